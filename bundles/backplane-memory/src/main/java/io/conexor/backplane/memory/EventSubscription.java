package io.conexor.backplane.memory;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane.EventListener;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One subscriber's way through the logs of a topic. The cursors belong to whoever turned {@code
 * signals} from 0 to 1, so there is one reader at a time, and what is unread waits in the logs.
 */
final class EventSubscription implements Subscription {

  private static final Logger log = LoggerFactory.getLogger(EventSubscription.class);
  private static final int TURN = 256;

  private final Topic topic;
  private final List<EventLog> logs;
  private final EventListener listener;
  private final Executor pool;
  private final Runnable onClose;
  private final Position[] cursors;
  private final boolean[] seen;
  private final boolean[] toldStart;
  private final AtomicInteger signals = new AtomicInteger();
  // Written by whoever closes or pauses, read by the reader.
  private volatile boolean closed;
  private volatile boolean paused;

  EventSubscription(
      Topic topic,
      List<EventLog> logs,
      Map<Integer, Position> from,
      EventListener listener,
      Executor pool,
      Consumer<EventSubscription> onClose) {
    this.topic = topic;
    this.logs = logs;
    this.listener = listener;
    this.pool = pool;
    this.onClose = () -> onClose.accept(this);
    this.cursors = new Position[logs.size()];
    this.seen = new boolean[logs.size()];
    this.toldStart = new boolean[logs.size()];
    for (int p = 0; p < cursors.length; p++) {
      Position given = from.get(p);
      EventLog.Extent extent = logs.get(p).extent();
      cursors[p] = given != null ? given : new Position(extent.epoch(), p, extent.last());
      seen[p] = given != null;
    }
  }

  /** There may be something new. */
  void signal() {
    if (!closed && signals.getAndIncrement() == 0) {
      pool.execute(this::run);
    }
  }

  /** A paused one reads nothing until it is resumed and signalled. */
  void pause(boolean now) {
    paused = now;
  }

  @Override
  public void close() {
    closed = true;
    onClose.run();
  }

  private void run() {
    int taken = signals.get();
    int budget = TURN;
    for (int p = 0; p < cursors.length; p++) {
      budget = advance(p, budget);
    }
    if (closed) {
      return; // leaving signals above 0, so nobody reads again
    }
    if (budget <= 0 || !signals.compareAndSet(taken, 0)) {
      pool.execute(this::run);
    }
  }

  private int advance(int p, int budget) {
    EventLog events = logs.get(p);
    int left = budget;
    if (!toldStart[p]) {
      toldStart[p] = true;
      Position start = cursors[p];
      if (!seen[p]) {
        tell(() -> listener.starts(start));
      }
    }
    while (left > 0 && !closed && !paused) {
      Position cursor = cursors[p];
      EventLog.Extent extent = events.extent();
      long next = cursor.offset() + 1;
      if (!cursor.epoch().equals(extent.epoch()) || cursor.offset() > extent.last()) {
        gap(p, new Position(extent.epoch(), p, extent.first() - 1));
      } else if (next > extent.last()) {
        return left;
      } else {
        Event event = next < extent.first() ? null : events.at(extent.epoch(), next);
        if (event == null) {
          gap(p, new Position(extent.epoch(), p, Math.max(extent.first(), next + 1) - 1));
        } else {
          cursors[p] = event.position();
          seen[p] = true;
          tell(() -> listener.event(event));
        }
      }
      left--;
    }
    return left;
  }

  private void gap(int p, Position resumesAt) {
    Position last = seen[p] ? cursors[p] : null;
    cursors[p] = resumesAt;
    tell(() -> listener.gap(topic, last, resumesAt));
  }

  private void tell(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException e) {
      log.warn("a subscriber of topic {} failed: {}", topic.name(), e.toString(), e);
    }
  }
}
