package io.conexor.itests.lab;

import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionsUnavailableException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * People who are logged in and click: each request goes to the next backend, finds the session and
 * changes one attribute. Every request is counted, every acknowledged change remembered.
 */
final class SessionLoad implements AutoCloseable {

  private final RedisFleet fleet;
  private final ExecutorService pool;
  private final List<Future<?>> people = new ArrayList<>();
  private final Map<SessionId, Map<String, Integer>> acknowledged = new ConcurrentHashMap<>();
  private volatile boolean stopping;

  final AtomicInteger requests = new AtomicInteger();
  final AtomicInteger unavailable = new AtomicInteger();
  final AtomicInteger loggedOut = new AtomicInteger();
  final AtomicLong longestMillis = new AtomicLong();

  SessionLoad(RedisFleet fleet, int people, Duration pause) {
    this.fleet = fleet;
    this.pool = Executors.newFixedThreadPool(people);
    for (int i = 0; i < people; i++) {
      int me = i;
      this.people.add(pool.submit(() -> click(me, pause)));
    }
  }

  private void click(int me, Duration pause) {
    SessionId id = null;
    for (int i = 1; !stopping; i++) {
      long start = System.nanoTime();
      try {
        var sessions = fleet.backend(me + i).sessions();
        if (id == null) {
          Session made = sessions.create("person-" + me, Map.of(), Duration.ofHours(1));
          id = made.id();
          acknowledged.put(id, new ConcurrentHashMap<>());
        } else {
          Optional<Session> found = sessions.find(id);
          String name = "a" + i % 5;
          Optional<Session> changed =
              sessions.update(id, Map.of(name, Integer.toString(i)), List.of());
          if (found.isEmpty() || changed.isEmpty()) {
            loggedOut.incrementAndGet();
            id = null;
          } else {
            acknowledged.get(id).put(name, i);
          }
        }
      } catch (SessionsUnavailableException e) {
        unavailable.incrementAndGet();
      }
      requests.incrementAndGet();
      long took = (System.nanoTime() - start) / 1_000_000;
      longestMillis.accumulateAndGet(took, Math::max);
      LockSupport.parkNanos(pause.toNanos());
    }
  }

  void stop() throws Exception {
    stopping = true;
    for (Future<?> each : people) {
      each.get(30, TimeUnit.SECONDS);
    }
  }

  /**
   * How many acknowledged sessions or changes are gone. A later change whose outcome was unknown
   * may have replaced a value by a higher one.
   */
  int lost() {
    int lost = 0;
    for (Map.Entry<SessionId, Map<String, Integer>> each : acknowledged.entrySet()) {
      Optional<Session> found = fleet.backend(0).sessions().find(each.getKey());
      if (found.isEmpty()) {
        lost++;
        continue;
      }
      for (Map.Entry<String, Integer> attribute : each.getValue().entrySet()) {
        String value = found.get().attributes().get(attribute.getKey());
        if (value == null || Integer.parseInt(value) < attribute.getValue()) {
          lost++;
        }
      }
    }
    return lost;
  }

  @Override
  public void close() {
    stopping = true;
    pool.shutdownNow();
  }

  @Override
  public String toString() {
    return requests
        + " requests, "
        + unavailable
        + " unavailable, "
        + loggedOut
        + " logged out, longest "
        + longestMillis
        + " ms";
  }
}
