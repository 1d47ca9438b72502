package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Numbered events from every backend to every backend at a steady rate. Every event is counted
 * where it arrives, and repeats and disorder are too.
 */
final class EventLoad implements AutoCloseable {

  private static final int KEYS = 16;

  // Sent until a reader is there to see one; any of them may arrive late, and none is counted.
  private static final String START = "start-";

  private final RedisFleet fleet;
  private final Topic topic = new Topic("load." + Long.toString(System.nanoTime(), 36));
  private final List<Reader> readers = new ArrayList<>();
  private final List<Subscription> subscriptions = new ArrayList<>();
  private final Thread publisher;
  private final int total;
  private final AtomicInteger failed = new AtomicInteger();
  private final AtomicInteger acknowledged = new AtomicInteger();
  final AtomicLong longestMillis = new AtomicLong();

  private final class Reader implements Backplane.EventListener {
    final Map<String, AtomicInteger> last = new ConcurrentHashMap<>();
    final AtomicInteger received = new AtomicInteger();
    final AtomicInteger disordered = new AtomicInteger();
    final List<String> gaps = new CopyOnWriteArrayList<>();
    volatile boolean started;

    @Override
    public void event(Event event) {
      if (event.key().startsWith(START)) {
        started = true;
        return;
      }
      received.incrementAndGet();
      int number = Integer.parseInt(new String(event.payload(), UTF_8));
      int before = last.computeIfAbsent(event.key(), k -> new AtomicInteger(-1)).getAndSet(number);
      if (number != before + 1) {
        disordered.incrementAndGet();
      }
    }

    @Override
    public void gap(Topic of, @Nullable Position lastSeen, Position resumesAt) {
      gaps.add(lastSeen + " -> " + resumesAt);
    }
  }

  EventLoad(RedisFleet fleet, int total, int perSecond) {
    this.fleet = fleet;
    this.total = total;
    for (RedisFleet.Backend each : fleet.backends()) {
      Reader reader = new Reader();
      readers.add(reader);
      subscriptions.add(each.backplane().subscribe(topic, Map.of(), reader));
    }
    // Each backend knows its place in the stream once its own first event came.
    publisher = new Thread(() -> publish(perSecond), "load");
  }

  void start() {
    for (int i = 0; i < fleet.backends().size(); i++) {
      for (int attempt = 0; !readers.get(i).started && attempt < 200; attempt++) {
        fleet.backend(i).backplane().publish(topic, START + i, "0".getBytes(UTF_8));
        LockSupport.parkNanos(50_000_000);
      }
    }
    publisher.start();
  }

  private void publish(int perSecond) {
    long start = System.nanoTime();
    for (int i = 0; i < total; i++) {
      long due = start + i * 1_000_000_000L / perSecond;
      while (System.nanoTime() < due) {
        LockSupport.parkNanos(due - System.nanoTime());
      }
      int key = i % KEYS;
      long sent = System.nanoTime();
      fleet
          .backend(key)
          .backplane()
          .publish(topic, "key-" + key, Integer.toString(i / KEYS).getBytes(UTF_8))
          .whenComplete(
              (at, failure) -> {
                longestMillis.accumulateAndGet((System.nanoTime() - sent) / 1_000_000, Math::max);
                (failure == null ? acknowledged : failed).incrementAndGet();
              });
    }
  }

  boolean isComplete() {
    return acknowledged.get() + failed.get() == total
        && readers.stream().allMatch(r -> r.received.get() >= total);
  }

  int failed() {
    return failed.get();
  }

  int missing() {
    return readers.stream().mapToInt(r -> Math.max(0, total - r.received.get())).sum();
  }

  int doubled() {
    return readers.stream().mapToInt(r -> Math.max(0, r.received.get() - total)).sum();
  }

  int disordered() {
    return readers.stream().mapToInt(r -> r.disordered.get()).sum();
  }

  List<String> gaps() {
    return readers.stream().flatMap(r -> r.gaps.stream()).toList();
  }

  @Override
  public void close() {
    publisher.interrupt();
    subscriptions.forEach(Subscription::close);
  }

  @Override
  public String toString() {
    return total
        + " events to "
        + readers.size()
        + " backends: "
        + failed
        + " failed, "
        + missing()
        + " missing, "
        + doubled()
        + " doubled, "
        + disordered()
        + " out of order, gaps "
        + gaps()
        + ", longest publish "
        + longestMillis
        + " ms";
  }
}
