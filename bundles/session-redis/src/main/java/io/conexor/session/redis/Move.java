package io.conexor.session.redis;

import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionsUnavailableException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sessions while all backends move from one installation to another. A backend first joins: it
 * still works with {@code from}, and knows where to look for what others have moved. Once every
 * backend has joined, each leaves: new sessions begin in {@code to}, and whoever needs an old one
 * carries it over first. So no session is in use in two places, and no backend misses one.
 *
 * <p>To carry is to take the session out of use at {@code from} (it lies aside there, and whoever
 * comes meanwhile carries the same content), to put it down at {@code to} unless it is there or has
 * ended there, and to drop it at {@code from}. Each step may be repeated, and anybody who stops in
 * between leaves it for the next.
 *
 * @param left whether this backend works with {@code to} already
 */
record Move(Sessions from, Sessions to, boolean left) {

  private static final Logger log = LoggerFactory.getLogger(Move.class);
  private static final int CARRIERS = 8;
  private static final int LOOKS = 5;
  private static final Duration PATIENCE = Duration.ofMinutes(3);
  private static final Duration PAUSE = Duration.ofMillis(500);

  private void carry(SessionId id) {
    from.take(id)
        .ifPresent(
            taken -> {
              to.put(taken);
              from.drop(taken);
            });
  }

  Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    return (left ? to : from).create(subject, attributes, timeToLive);
  }

  Optional<Session> find(SessionId id) {
    Optional<Session> found = left ? Optional.empty() : from.find(id);
    if (found.isEmpty()) {
      carry(id);
      found = to.find(id);
    }
    return found;
  }

  Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    Optional<Session> changed = left ? Optional.empty() : from.update(id, set, remove);
    if (changed.isEmpty()) {
      carry(id);
      changed = to.update(id, set, remove);
    }
    return changed;
  }

  Optional<Session> rotate(SessionId id) {
    Optional<Session> rotated = left ? Optional.empty() : from.rotate(id);
    if (rotated.isEmpty()) {
      carry(id);
      to.markEnded(id);
      rotated = to.rotate(id);
    }
    return rotated;
  }

  void remove(SessionId id) {
    if (!left) {
      from.remove(id);
    }
    carry(id);
    to.markEnded(id);
    to.remove(id);
  }

  int removeAll(String subject, Optional<SessionId> except) {
    List<SessionId> ids = new ArrayList<>(from.ids(subject));
    int ended = left ? 0 : from.removeAll(subject, except);
    ids.removeIf(id -> id.equals(except.orElse(null)));
    ids.forEach(this::carry);
    to.ids(subject).stream().filter(id -> !id.equals(except.orElse(null))).forEach(ids::add);
    ids.stream().distinct().forEach(to::markEnded);
    return ended + to.removeAll(subject, except);
  }

  List<Session> list(String subject) {
    if (left) {
      from.ids(subject).forEach(this::carry);
      return to.list(subject);
    }
    List<Session> all = new ArrayList<>(from.list(subject));
    to.list(subject).stream()
        .filter(s -> all.stream().noneMatch(known -> known.id().equals(s.id())))
        .forEach(all::add);
    all.sort(Comparator.comparing(Session::createdAt));
    return all;
  }

  /**
   * Carries every session that is left at {@code from}. To be called when no backend begins
   * sessions there any more. What Redis does not answer is asked again for some minutes: a failover
   * of either installation only delays this.
   *
   * @return how many there were
   */
  int all() {
    long end = System.nanoTime() + PATIENCE.toNanos();
    Set<SessionId> carried = new HashSet<>();
    ExecutorService carriers =
        Executors.newFixedThreadPool(CARRIERS, task -> new Thread(task, "conexor-session-carrier"));
    try {
      // Looks again until nothing is left, since a look may miss what is renamed meanwhile.
      for (int look = 0; look < LOOKS; look++) {
        List<SessionId> ids = patiently(from::all, end);
        if (ids.isEmpty()) {
          break;
        }
        List<Future<?>> going = new ArrayList<>();
        for (SessionId id : ids) {
          going.add(
              carriers.submit(
                  () ->
                      patiently(
                          () -> {
                            carry(id);
                            return id;
                          },
                          end)));
        }
        for (Future<?> each : going) {
          each.get();
        }
        carried.addAll(ids);
        log.info("{} sessions moved", carried.size());
      }
      return carried.size();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted after " + carried.size() + " sessions", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof SessionsUnavailableException unavailable) {
        throw unavailable;
      }
      throw new IllegalStateException("a session cannot be moved", e);
    } finally {
      carriers.shutdownNow();
    }
  }

  private static <T> T patiently(Supplier<T> what, long end) {
    for (int attempt = 1; ; attempt++) {
      try {
        return what.get();
      } catch (SessionsUnavailableException e) {
        if (System.nanoTime() - end >= 0 || Thread.currentThread().isInterrupted()) {
          throw e;
        }
        if (Integer.bitCount(attempt) == 1) {
          log.info("moving sessions: {}; trying again", e.getMessage());
        }
        LockSupport.parkNanos(PAUSE.toNanos());
      }
    }
  }
}
