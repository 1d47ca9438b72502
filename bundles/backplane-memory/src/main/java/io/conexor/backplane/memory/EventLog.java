package io.conexor.backplane.memory;

import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The last events of one partition of a topic in a ring. Appending takes the monitor; reading takes
 * nothing: a reader that finds another event in the slot it looks at has been overtaken.
 */
final class EventLog {

  private final int partition;
  private final int maxBytes;
  private final AtomicReferenceArray<@Nullable Event> ring;
  private int bytes;

  /**
   * What is kept now. Written by appenders under the monitor, read by everyone.
   *
   * @param first the oldest offset kept; {@code last + 1} when nothing is kept
   */
  record Extent(String epoch, long first, long last) {}

  private volatile Extent extent = new Extent(UUID.randomUUID().toString(), 1, 0);

  EventLog(int partition, int maxEvents, int maxBytes) {
    this.partition = partition;
    this.maxBytes = maxBytes;
    this.ring = new AtomicReferenceArray<>(maxEvents);
  }

  Extent extent() {
    return extent;
  }

  synchronized Position append(Topic topic, String key, NodeId from, byte[] payload) {
    Extent before = extent;
    Position position = new Position(before.epoch(), partition, before.last() + 1);
    long first = before.first();
    bytes += payload.length;
    while (first < position.offset()
        && (position.offset() - first >= ring.length() || bytes > maxBytes)) {
      Event oldest = ring.getAndSet(slot(first), null);
      bytes -= oldest == null ? 0 : oldest.payload().length;
      first++;
    }
    ring.set(slot(position.offset()), new Event(topic, key, from, position, payload));
    extent = new Extent(before.epoch(), first, position.offset());
    return position;
  }

  /** Null when it is no longer kept. */
  @Nullable Event at(String epoch, long offset) {
    Event event = ring.get(slot(offset));
    return event != null
            && event.position().offset() == offset
            && event.position().epoch().equals(epoch)
        ? event
        : null;
  }

  synchronized void lose() {
    for (int i = 0; i < ring.length(); i++) {
      ring.set(i, null);
    }
    bytes = 0;
    extent = new Extent(UUID.randomUUID().toString(), 1, 0);
  }

  private int slot(long offset) {
    return (int) (offset % ring.length());
  }
}
