package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends this node's events to one partition of one topic. One append is in flight; what is
 * published meanwhile goes along with the next, so the faster it comes the larger the batches.
 *
 * <p>Batches are numbered. Redis refuses a number it has, so a repeat is harmless, and asks for
 * what is missing when a failover lost the tail, so acknowledged batches are kept for a while and
 * appended again. The monitor guards the fields; nothing is called under it that waits.
 */
final class EventWriter {

  private static final Logger log = LoggerFactory.getLogger(EventWriter.class);
  private static final int BATCH_EVENTS = 512;
  private static final int BATCH_BYTES = 64 << 10;

  /** What all writers of a backplane share. */
  record Limits(
      int batchEvents,
      int maxEvents,
      long maxBytes,
      long bufferBytes,
      Quota quota,
      long timeoutNanos,
      long keepNanos,
      long keepBytes,
      int ringBytes) {}

  /** Bytes of events that wait anywhere on this node, against one limit. */
  static final class Quota {
    private final long limit;
    private final AtomicLong used = new AtomicLong();

    Quota(long limit) {
      this.limit = limit;
    }

    private boolean take(int bytes) {
      if (used.addAndGet(bytes) > limit) {
        used.addAndGet(-bytes);
        return false;
      }
      return true;
    }

    private void give(int bytes) {
      used.addAndGet(-bytes);
    }
  }

  private record Pending(byte[] key, byte[] payload, CompletableFuture<Position> done, long since) {
    int size() {
      return key.length + payload.length + 64;
    }
  }

  /** A batch that has its number. */
  private record Numbered(
      long sequence, int count, byte[] body, List<Pending> events, long since) {}

  private final Topic topic;
  private final int partition;
  private final NodeId node;
  private final Layout layout;
  private final Limits limits;
  private final Supplier<@Nullable Link> links;
  private final BooleanSupplier mayAppend;
  private final Link.Retry retry;
  private final Counters counters;

  // What every append says.
  private final List<Object> keys;
  private final byte[] name;
  private final byte[] bell;
  private final byte[] topicName;
  private final byte[] mostEvents;
  private final byte[] mostBytes;
  private final byte[] ringBytes;

  private final Deque<Pending> queue = new ArrayDeque<>();
  private final Deque<Numbered> kept = new ArrayDeque<>();
  private @Nullable Numbered inFlight;
  private long waitingBytes;
  private long keptBytes;
  private long nextSequence = 1;
  private long acknowledged;
  private boolean repairing;

  EventWriter(
      Topic topic,
      int partition,
      NodeId node,
      Layout layout,
      Limits limits,
      Supplier<@Nullable Link> links,
      BooleanSupplier mayAppend,
      Link.Retry retry,
      Counters counters) {
    this.topic = topic;
    this.partition = partition;
    this.node = node;
    this.layout = layout;
    this.limits = limits;
    this.links = links;
    this.mayAppend = mayAppend;
    this.retry = retry;
    this.counters = counters;
    this.keys = List.of(layout.stream(topic, partition), layout.head(topic, partition));
    this.name = bytes(node.value());
    this.bell = bytes(layout.bell(partition));
    this.topicName = bytes(topic.name());
    this.mostEvents = bytes(Integer.toString(limits.maxEvents()));
    this.mostBytes = bytes(Long.toString(limits.maxBytes()));
    this.ringBytes = bytes(Integer.toString(limits.ringBytes()));
  }

  CompletableFuture<Position> publish(String key, byte[] payload) {
    CompletableFuture<Position> done = new CompletableFuture<>();
    Pending event = new Pending(key.getBytes(UTF_8), payload, done, System.nanoTime());
    synchronized (this) {
      boolean fits =
          waitingBytes + event.size() <= limits.bufferBytes() && limits.quota().take(event.size());
      if (!fits) {
        counters.publishFailed.increment();
        return CompletableFuture.failedFuture(
            new BackplaneException(
                Applied.NO,
                "Redis does not keep up: "
                    + waitingBytes
                    + " bytes of events wait for topic "
                    + topic.name(),
                null));
      }
      waitingBytes += event.size();
      queue.add(event);
    }
    advance();
    return done;
  }

  /** Sends the next batch if there is one and nothing is under way. */
  void advance() {
    if (!mayAppend.getAsBoolean()) {
      expire();
      return;
    }
    Numbered next;
    synchronized (this) {
      if (inFlight != null || repairing || queue.isEmpty()) {
        return;
      }
      List<Pending> events = new ArrayList<>();
      List<byte[]> keys = new ArrayList<>();
      List<byte[]> payloads = new ArrayList<>();
      int bytes = 0;
      while (!queue.isEmpty() && events.size() < Math.min(BATCH_EVENTS, limits.batchEvents())) {
        Pending head = queue.element();
        bytes += head.key().length + head.payload().length + 6;
        if (!events.isEmpty() && bytes > BATCH_BYTES) {
          break;
        }
        events.add(queue.remove());
        keys.add(head.key());
        payloads.add(head.payload());
      }
      next =
          new Numbered(
              nextSequence++,
              events.size(),
              Batch.encode(keys, payloads),
              events,
              System.nanoTime());
      inFlight = next;
    }
    append(next, "", 0);
  }

  private void append(Numbered batch, String how, int failures) {
    Link link = links.get();
    if (link == null) {
      again(batch, how, failures, new IllegalStateException("no Redis is connected"));
      return;
    }
    var unused =
        call(link, batch, how)
            .whenComplete(
                (answer, failure) -> {
                  if (failure != null) {
                    again(batch, how, failures, failure);
                  } else if ("M".equals(Batch.text(answer.get(0)))) {
                    repair(batch, Long.parseLong(Batch.text(answer.get(1))));
                  } else {
                    acknowledged(batch, answer);
                  }
                });
  }

  private java.util.concurrent.CompletionStage<List<Object>> call(
      Link link, Numbered batch, String how) {
    return link.eval(
        Scripts.APPEND,
        keys,
        bytes(newEpoch()),
        name,
        bytes(Long.toString(batch.sequence())),
        bytes(Integer.toString(batch.count())),
        batch.body(),
        mostEvents,
        mostBytes,
        bytes(how),
        bell,
        bytes(link.ringCommand()),
        topicName,
        ringBytes);
  }

  private void acknowledged(Numbered batch, List<Object> answer) {
    String epoch = Batch.text(answer.get(1));
    long last = Long.parseLong(Batch.text(answer.get(2)));
    long now = System.nanoTime();
    synchronized (this) {
      inFlight = null;
      acknowledged = Math.max(acknowledged, batch.sequence());
      release(batch);
      kept.add(new Numbered(batch.sequence(), batch.count(), batch.body(), List.of(), now));
      keptBytes += batch.body().length;
      dropOld(now);
    }
    for (int i = 0; i < batch.events().size(); i++) {
      Pending event = batch.events().get(i);
      counters.published.increment();
      counters.publishMicros.add((now - event.since()) / 1_000);
      event.done().complete(new Position(epoch, partition, last - batch.count() + 1 + i));
    }
    advance();
  }

  private void again(Numbered batch, String how, int failures, Throwable failure) {
    if (System.nanoTime() - batch.since() > limits.timeoutNanos()) {
      synchronized (this) {
        inFlight = null;
        release(batch);
      }
      fail(batch.events(), Applied.UNKNOWN, failure);
      advance();
      return;
    }
    if (failures >= 16 && Integer.bitCount(failures) == 1) {
      log.warn(
          "topic {} partition {}: {} attempts to append failed: {}",
          topic.name(),
          partition,
          failures,
          firstLine(failure));
    }
    expire();
    retry.later(() -> append(batch, how, failures + 1));
  }

  /** Redis has only the batches up to {@code stored}: appends the kept ones after it again. */
  private void repair(Numbered batch, long stored) {
    List<Numbered> missing = new ArrayList<>();
    boolean lost;
    synchronized (this) {
      lost = stored < acknowledged;
      for (Numbered each : kept) {
        if (each.sequence() > stored) {
          missing.add(each);
        }
      }
    }
    if (lost) {
      counters.repairs.increment();
      log.warn(
          "topic {} partition {}: Redis lost batches {}..{}; {} of them are appended again",
          topic.name(),
          partition,
          stored + 1,
          acknowledged(),
          missing.size());
    }
    missing.add(batch);
    appendAll(missing, 0, lost ? "bump" : "force", batch);
  }

  private void appendAll(List<Numbered> batches, int at, String how, Numbered last) {
    Numbered each = batches.get(at);
    if (at == batches.size() - 1) {
      append(last, how, 0);
      return;
    }
    Link link = links.get();
    if (link == null) {
      again(last, "", 0, new IllegalStateException("no Redis is connected"));
      return;
    }
    var unused =
        call(link, each, how)
            .whenComplete(
                (answer, failure) -> {
                  if (failure != null) {
                    again(last, "", 0, failure); // it is told again what is missing
                  } else {
                    appendAll(batches, at + 1, "force", last);
                  }
                });
  }

  /**
   * Asks whether Redis still has what it acknowledged lately, since nobody else would notice after
   * the last event before a failover.
   */
  void verify() {
    expire();
    advance();
    Link link = links.get();
    Numbered newest;
    synchronized (this) {
      dropOld(System.nanoTime());
      if (link == null || inFlight != null || repairing || kept.isEmpty()) {
        return;
      }
      newest = kept.getLast();
      repairing = true;
    }
    var unused =
        link.eval(Scripts.WRITTEN, List.of(layout.head(topic, partition)), bytes(node.value()))
            .whenComplete(
                (answer, failure) -> {
                  if (failure != null
                      || Long.parseLong(Batch.text(answer.get(0))) >= newest.sequence()) {
                    verified();
                    return;
                  }
                  synchronized (this) {
                    repairing = false;
                    inFlight = newest; // its repeat is answered as a duplicate or appended
                    kept.remove(newest);
                    keptBytes -= newest.body().length;
                  }
                  Numbered repeat =
                      new Numbered(
                          newest.sequence(),
                          newest.count(),
                          newest.body(),
                          List.of(),
                          System.nanoTime());
                  repair(repeat, Long.parseLong(Batch.text(answer.get(0))));
                });
  }

  private void verified() {
    synchronized (this) {
      repairing = false;
    }
    advance();
  }

  /** Fails what has waited too long without ever being sent. */
  private void expire() {
    List<Pending> late = new ArrayList<>();
    synchronized (this) {
      while (!queue.isEmpty()
          && System.nanoTime() - queue.element().since() > limits.timeoutNanos()) {
        Pending each = queue.remove();
        waitingBytes -= each.size();
        limits.quota().give(each.size());
        late.add(each);
      }
    }
    fail(late, Applied.NO, null);
  }

  private void fail(List<Pending> events, Applied applied, @Nullable Throwable cause) {
    for (Pending each : events) {
      counters.publishFailed.increment();
      each.done()
          .completeExceptionally(
              new BackplaneException(
                  applied,
                  "topic "
                      + topic.name()
                      + ": Redis did not take the event in "
                      + limits.timeoutNanos() / 1_000_000
                      + " ms",
                  cause));
    }
  }

  void close() {
    List<Pending> left = new ArrayList<>();
    synchronized (this) {
      left.addAll(queue);
      queue.clear();
      if (inFlight != null) {
        left.addAll(inFlight.events());
      }
    }
    fail(left, Applied.UNKNOWN, null);
  }

  /** How long the oldest event has waited, in nanoseconds. */
  synchronized long oldestWait(long now) {
    if (inFlight != null) {
      return now - inFlight.since();
    }
    Pending head = queue.peek();
    return head == null ? 0 : now - head.since();
  }

  private static String firstLine(Throwable failure) {
    String line = String.valueOf(failure.getMessage()).lines().findFirst().orElse("");
    return failure.getClass().getSimpleName()
        + " "
        + line.substring(0, Math.min(100, line.length()));
  }

  /** Only needs to differ from the epochs before; it is used if a new life begins. */
  private static String newEpoch() {
    return Long.toString(ThreadLocalRandom.current().nextLong() >>> 1, 36);
  }

  private synchronized long acknowledged() {
    return acknowledged;
  }

  private void release(Numbered batch) {
    for (Pending each : batch.events()) {
      waitingBytes -= each.size();
      limits.quota().give(each.size());
    }
  }

  private void dropOld(long now) {
    while (!kept.isEmpty()
        && (keptBytes > limits.keepBytes() || now - kept.element().since() > limits.keepNanos())) {
      keptBytes -= kept.remove().body().length;
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }
}
