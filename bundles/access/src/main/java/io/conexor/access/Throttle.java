package io.conexor.access;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;

/**
 * Spaces attempts: so many at once, then one per interval, for each of a bounded number of subjects
 * (generic cell rate algorithm: one number per subject, the moment at which its bucket is full
 * again).
 */
final class Throttle {

  private final long intervalNanos;
  private final long burstNanos;
  private final int maxSubjects;
  private final LongSupplier nanoTime;

  /** By subject, when it will have its whole burst again. */
  private final ConcurrentHashMap<String, Long> fullAt = new ConcurrentHashMap<>();

  Throttle(int burst, Duration interval, int maxSubjects, LongSupplier nanoTime) {
    this.intervalNanos = interval.toNanos();
    this.burstNanos = intervalNanos * burst;
    this.maxSubjects = maxSubjects;
    this.nanoTime = nanoTime;
  }

  /** Takes one attempt; answers how long to wait when there is none left. */
  Optional<Duration> take(String subject) {
    long now = nanoTime.getAsLong();
    makeRoom(now);
    long[] wait = new long[1];
    fullAt.compute(
        subject,
        (key, before) -> {
          long from = before == null || before - now < 0 ? now : before;
          long after = from + intervalNanos;
          if (after - now > burstNanos) {
            wait[0] = after - now - burstNanos;
            return from;
          }
          return after;
        });
    return wait[0] == 0 ? Optional.empty() : Optional.of(Duration.ofNanos(wait[0]));
  }

  /** Gives the whole burst back, after a success. */
  void forgive(String subject) {
    fullAt.remove(subject);
  }

  int subjects() {
    return fullAt.size();
  }

  // Entries that are full again carry no information. If none is, somebody is spraying: the few
  // evicted then regain a burst, and the bound on password hashes at a time still holds.
  private void makeRoom(long now) {
    if (fullAt.size() < maxSubjects) {
      return;
    }
    fullAt.values().removeIf(moment -> moment - now <= 0);
    int surplus = fullAt.size() - maxSubjects * 9 / 10;
    var subjects = fullAt.keySet().iterator();
    while (surplus-- > 0 && subjects.hasNext()) {
      subjects.next();
      subjects.remove();
    }
  }
}
