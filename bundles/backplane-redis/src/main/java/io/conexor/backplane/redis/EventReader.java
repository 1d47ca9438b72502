package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane.EventListener;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One subscriber's way through the partitions of a topic.
 *
 * <p>The bell brings batches; a batch that names as its predecessor the one delivered last is
 * delivered at once, anything else makes the reader read the stream. Three things are told apart
 * there: the stream goes on (the chain fits), it was trimmed (a gap), or its tail was lost by a
 * failover or it began anew (the chain does not fit). Then the stream is read again from its oldest
 * batch, and what was delivered before is recognised by writer and sequence; a gap is reported only
 * if nothing of it is recognised. After a move to another installation the stream there begins with
 * what writers have sent lately; it is a gap only if the numbers of a writer do not go on.
 *
 * <p>All state belongs to the mailbox.
 */
final class EventReader implements Subscription {

  private static final Logger log = LoggerFactory.getLogger(EventReader.class);
  private static final String READ_BYTES = Integer.toString(1 << 20);
  private static final int LIVES_REMEMBERED = 16;
  private static final int WRITERS_REMEMBERED = 1_024;

  private enum State {
    /** Nothing is known: the head must be read, or the given position looked up. */
    STARTING,
    /** A position was given that is not in the stream: all of it is read after a gap. */
    RESTARTING,
    LIVE,
    /** The chain broke: all of the stream is read, minus what was delivered. */
    REWINDING
  }

  private static final class Partition {
    final int number;
    State state = State.STARTING;
    @Nullable Position given;
    String epoch = "";
    long offset;
    String chain = "";
    boolean seen;
    boolean reading;
    boolean readAgain;
    final Set<String> lives = new LinkedHashSet<>();
    // Since the move to another installation, until its stream was read from the start.
    boolean moved;
    // Who has not been seen since the move; what they had sent before may be missing there.
    final Set<NodeId> unproven = new HashSet<>();
    String floorEpoch = "";
    long floor;
    // Written by the mailbox, read by writers that may have to wait for it.
    volatile boolean started;
    final Map<NodeId, Long> delivered =
        new LinkedHashMap<>(16, 0.75f, true) {
          @Override
          protected boolean removeEldestEntry(Map.Entry<NodeId, Long> eldest) {
            return size() > WRITERS_REMEMBERED;
          }
        };

    Partition(int number, @Nullable Position given) {
      this.number = number;
      this.given = given;
      this.seen = given != null;
    }

    @Nullable Position position() {
      if (given != null) {
        return given;
      }
      return seen ? new Position(epoch, number, offset) : null;
    }
  }

  private final Topic topic;
  private final EventListener listener;
  private final Layout layout;
  private final Supplier<@Nullable Link> links;
  private final Mailbox mailbox;
  private final Consumer<EventReader> onClose;
  private final Runnable onStarted;
  private final Counters counters;
  private final List<Partition> partitions = new ArrayList<>();
  private final AtomicBoolean missedRing = new AtomicBoolean();
  private int listenerFailures;
  // Written by whoever closes it, read by the mailbox.
  private volatile boolean closed;

  EventReader(
      Topic topic,
      Map<Integer, Position> from,
      EventListener listener,
      Layout layout,
      Supplier<@Nullable Link> links,
      Executor pool,
      long bufferBytes,
      Runnable onStarted,
      Consumer<EventReader> onClose,
      Counters counters) {
    this.topic = topic;
    this.listener = listener;
    this.layout = layout;
    this.links = links;
    this.mailbox = new Mailbox(pool, bufferBytes);
    this.onStarted = onStarted;
    this.onClose = onClose;
    this.counters = counters;
    for (int p = 0; p < layout.partitions(); p++) {
      partitions.add(new Partition(p, from.get(p)));
    }
  }

  boolean hasStarted(int partition) {
    return closed || partitions.get(partition).started;
  }

  /** Looks at every partition: there may be something new. */
  void poll() {
    mailbox.offer(() -> partitions.forEach(this::read), 0);
  }

  /**
   * The streams are others in a moment. Their writers append there again what they sent lately, so
   * nothing is missing if each goes on with a number that follows the last one delivered.
   */
  void moves() {
    mailbox.offer(
        () ->
            partitions.forEach(
                p -> {
                  p.moved = p.state == State.LIVE || p.state == State.REWINDING;
                  p.unproven.addAll(p.delivered.keySet());
                }),
        0);
  }

  void poll(int partition) {
    mailbox.offer(() -> read(partitions.get(partition)), 0);
  }

  void ring(int partition, Batch.Ring ring) {
    Partition p = partitions.get(partition);
    int weight = ring.batch().body().length + 64;
    if (!mailbox.offerHere(() -> rung(p, ring), weight)) {
      missedRing.set(true); // the next ring, or the poll, reads what this one brought
    }
  }

  @Override
  public void close() {
    closed = true;
    onClose.accept(this);
    onStarted.run(); // writers need not wait for it any more
  }

  private void rung(Partition p, Batch.Ring ring) {
    if (closed) {
      return;
    }
    if (missedRing.getAndSet(false)) {
      partitions.forEach(this::read);
    }
    Batch batch = ring.batch();
    boolean fits = p.state == State.LIVE && p.given == null && batch.previous().equals(p.chain);
    if (fits && ring.complete()) {
      deliver(p, batch, p.offset);
    } else if (p.state != State.LIVE
        || batch.sequence() > p.delivered.getOrDefault(batch.writer(), 0L)) {
      read(p);
    }
  }

  private void read(Partition p) {
    Link link = links.get();
    if (closed || link == null) {
      return;
    }
    if (p.reading) {
      p.readAgain = true;
      return;
    }
    p.reading = true;
    p.readAgain = false;
    counters.reads.increment();
    var unused =
        link.eval(
                Scripts.READ,
                List.of(layout.stream(topic, p.number), layout.head(topic, p.number)),
                after(p).getBytes(US_ASCII),
                READ_BYTES.getBytes(US_ASCII))
            .whenComplete(
                (answer, failure) ->
                    mailbox.offer(
                        () -> {
                          p.reading = false;
                          if (failure == null && !closed) {
                            absorb(p, answer);
                          } // else the poll tries again
                          if (p.readAgain) {
                            read(p);
                          }
                        },
                        0));
  }

  private static String after(Partition p) {
    return switch (p.state) {
      case STARTING -> {
        Position given = p.given;
        yield given == null ? "" : Long.toString(Math.max(0, given.offset() - 1));
      }
      case RESTARTING, REWINDING -> "0";
      case LIVE -> Long.toString(p.offset);
    };
  }

  private void absorb(Partition p, List<Object> answer) {
    String headEpoch = Batch.text(answer.get(0));
    long headOffset = Long.parseLong(Batch.text(answer.get(1)));
    String headChain = Batch.text(answer.get(2));
    List<Batch> batches = new ArrayList<>();
    for (int i = Scripts.READ_HEADER; i < answer.size(); i += Batch.ENTRY_FIELDS) {
      batches.add(Batch.ofEntry(answer, i));
    }
    switch (p.state) {
      case STARTING -> {
        Position given = p.given;
        if (given == null) {
          moveTo(p, headEpoch, headOffset, headChain);
          p.floorEpoch = headEpoch;
          p.floor = headOffset;
          p.state = State.LIVE;
          if (!headEpoch.isEmpty()) {
            tell(() -> listener.starts(new Position(headEpoch, p.number, headOffset)));
          }
        } else if (!headEpoch.isEmpty()) {
          startFrom(p, given, batches);
        }
        started(p);
      }
      case RESTARTING, REWINDING -> {
        if (headEpoch.isEmpty()) {
          return; // the stream is gone; there is nothing to go on with until it is written again
        }
        boolean known =
            p.state == State.REWINDING
                && !batches.isEmpty()
                && (p.moved || knows(p, batches.get(0)));
        if (!known) {
          gap(
              p,
              batches.isEmpty()
                  ? new Position(headEpoch, p.number, headOffset)
                  : before(p, batches.get(0)));
        }
        p.state = State.LIVE;
        p.given = null;
        p.moved = false;
        if (batches.isEmpty()) {
          moveTo(p, headEpoch, headOffset, headChain);
        }
        deliverAll(p, batches);
      }
      case LIVE -> goOn(p, batches, headEpoch, headChain);
    }
    if (!batches.isEmpty() || p.state == State.RESTARTING || p.state == State.REWINDING) {
      p.readAgain = true; // there may be more than one answer holds
    }
  }

  /** Looks up a position that a subscriber gave. */
  private void startFrom(Partition p, Position given, List<Batch> batches) {
    if (batches.isEmpty()) {
      p.state = State.RESTARTING; // it lies ahead of the stream
      return;
    }
    Batch first = batches.get(0);
    if (!first.epoch().equals(given.epoch())) {
      p.state = State.RESTARTING;
      return;
    }
    if (first.first() > given.offset() + 1) {
      gap(p, before(p, first));
    }
    p.state = State.LIVE;
    p.given = null;
    moveTo(p, given.epoch(), Math.max(given.offset(), first.first() - 1), "");
    deliverAll(p, batches);
  }

  private void goOn(Partition p, List<Batch> batches, String headEpoch, String headChain) {
    if (batches.isEmpty()) {
      if (!headEpoch.isEmpty() && !headChain.equals(p.chain)) {
        rewind(p); // the stream ends before what was delivered
      }
      return;
    }
    Batch first = batches.get(0);
    if (first.previous().equals(p.chain)) {
      deliverAll(p, batches);
      return;
    }
    // What was delivered while this answer was on its way; what comes after it must still fit.
    int ahead = 0;
    while (ahead < batches.size() && batches.get(ahead).last() <= p.offset) {
      ahead++;
    }
    if (ahead == batches.size()) {
      return; // the next read shows whether it was these
    }
    if (ahead > 0 && batches.get(ahead).previous().equals(p.chain)) {
      deliverAll(p, batches.subList(ahead, batches.size()));
    } else if (ahead == 0 && first.epoch().equals(p.epoch) && first.first() > p.offset + 1) {
      gap(p, before(p, first));
      deliverAll(p, batches);
    } else {
      rewind(p);
    }
  }

  private void rewind(Partition p) {
    counters.rewinds.increment();
    p.state = State.REWINDING;
  }

  private boolean knows(Partition p, Batch batch) {
    // A batch that was delivered and stands in the stream under another epoch was appended again
    // after everything was lost; what other writers had there is not known.
    return isOld(p, batch)
        || (p.lives.contains(batch.epoch())
            && batch.sequence() <= p.delivered.getOrDefault(batch.writer(), 0L));
  }

  /** Whether it was there before the subscription began. */
  private static boolean isOld(Partition p, Batch batch) {
    return batch.last() <= p.floor && batch.epoch().equals(p.floorEpoch);
  }

  private void deliverAll(Partition p, List<Batch> batches) {
    for (Batch each : batches) {
      deliver(p, each, each.epoch().equals(p.epoch) ? p.offset : each.first() - 1);
    }
  }

  private void deliver(Partition p, Batch batch, long after) {
    boolean repeated =
        isOld(p, batch) || batch.sequence() <= p.delivered.getOrDefault(batch.writer(), 0L);
    boolean follows = batch.sequence() <= p.delivered.getOrDefault(batch.writer(), 0L) + 1;
    if (p.unproven.remove(batch.writer()) && !follows) {
      gap(p, before(p, batch));
    }
    moveTo(p, batch.epoch(), batch.last(), batch.chain());
    if (repeated) {
      counters.duplicates.add(batch.last() - batch.first() + 1);
      return;
    }
    p.delivered.put(batch.writer(), batch.sequence());
    p.seen = true;
    for (Event event : batch.events(topic, p.number, Math.min(after, batch.last()))) {
      if (closed) {
        return;
      }
      counters.delivered.increment();
      tell(() -> listener.event(event));
    }
  }

  private void gap(Partition p, Position resumesAt) {
    counters.gaps.increment();
    Position last = p.position();
    tell(() -> listener.gap(topic, last, resumesAt));
  }

  private void tell(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException e) {
      listenerFailures++;
      if (Integer.bitCount(listenerFailures) == 1) {
        log.warn(
            "a subscriber of topic {} failed {} times so far", topic.name(), listenerFailures, e);
      }
    }
  }

  private void started(Partition p) {
    if (!p.started) {
      p.started = true;
      onStarted.run();
    }
  }

  private static void moveTo(Partition p, String epoch, long offset, String chain) {
    if (!p.epoch.equals(epoch)) {
      p.epoch = epoch;
      p.lives.add(epoch);
      if (p.lives.size() > LIVES_REMEMBERED) {
        p.lives.remove(p.lives.iterator().next());
      }
    }
    p.offset = offset;
    p.chain = chain;
  }

  private static Position before(Partition p, Batch batch) {
    return new Position(batch.epoch(), p.number, batch.first() - 1);
  }
}
