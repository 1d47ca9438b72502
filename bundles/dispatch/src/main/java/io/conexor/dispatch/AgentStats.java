package io.conexor.dispatch;

import io.conexor.api.agent.SourceOffer;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** How one run of an agent does on one source, as seen from here. Survives changes of its links. */
final class AgentStats {

  /** Failures in a row that open the breaker. */
  static final int FAILURES = 5;

  private static final long FIRST_PAUSE_NANOS = 500_000_000L;
  private static final long LONGEST_PAUSE_NANOS = 15_000_000_000L;

  /** Half of what is known about an agent's slowness is forgotten after so long without a call. */
  private static final long HALF_LIFE_NANOS = 2_000_000_000L;

  /**
   * Answers of a new agent that are waited for before it counts as slow. The first are: it has to
   * load classes and to open connections.
   */
  static final int COLD = 4;

  private final AtomicInteger inFlight = new AtomicInteger();

  /** Written by reader threads, as the next two; a lost update costs one sample. */
  private volatile long latencyNanos;

  private volatile int samples;

  private volatile long sampledNanos;

  private final AtomicInteger failures = new AtomicInteger();
  private final AtomicLong closedUntilNanos = new AtomicLong();

  /** Probes that failed since the breaker opened. */
  private final AtomicInteger probes = new AtomicInteger();

  /** Whether a broken one has been let a call through that has not failed yet. */
  private final AtomicBoolean isProbed = new AtomicBoolean();

  /** What it said of its database last; written by whoever makes a list of routes. */
  private volatile SourceOffer.State state = SourceOffer.State.UNKNOWN;

  /** An agent that has found its database again begins anew. */
  void told(SourceOffer.State now) {
    if (now == SourceOffer.State.UP && state == SourceOffer.State.DOWN) {
      succeeded();
      samples = 0;
    }
    state = now;
  }

  int inFlight() {
    return inFlight.get();
  }

  boolean tryAcquire(int limit) {
    int now = inFlight.get();
    while (now < limit) {
      if (inFlight.compareAndSet(now, now + 1)) {
        return true;
      }
      now = inFlight.get();
    }
    return false;
  }

  void release() {
    inFlight.decrementAndGet();
  }

  void sample(long nanos, long now) {
    int count = samples;
    if (count < COLD) {
      latencyNanos = Math.max(1, count == 0 ? nanos : Math.min(latencyNanos, nanos));
      samples = count + 1;
    } else {
      // From what is left of it: otherwise one answer would bring all back that was forgotten.
      long old = decayed(now, HALF_LIFE_NANOS);
      latencyNanos = Math.max(1, old + (nanos - old) / 8);
    }
    sampledNanos = now;
  }

  /** Nobody waits any more for an answer that has not come after so long. */
  void atLeast(long nanos, long now) {
    if (nanos > decayed(now, HALF_LIFE_NANOS)) {
      sample(nanos, now);
    }
  }

  /** Smoothed time to the first answer; 0 = nothing known. */
  long latencyNanos(long now) {
    if (samples < COLD) {
      return 0;
    }
    // Once enough is forgotten it is tried again, by one call first.
    return decayed(now, inFlight.get() == 0 ? HALF_LIFE_NANOS : 4 * HALF_LIFE_NANOS);
  }

  /** The same, also of a cold one: how long a place there is taken. */
  long serviceNanos(long now) {
    return decayed(now, HALF_LIFE_NANOS);
  }

  private long decayed(long now, long halfLife) {
    long halves = (now - sampledNanos) / halfLife;
    return halves >= 40 ? 0 : latencyNanos >> halves;
  }

  void succeeded() {
    if (failures.get() != 0) {
      failures.set(0);
      probes.set(0);
    }
  }

  /** Calls that were under way when the breaker opened, and fail too, change nothing. */
  void failed(long now) {
    int count = failures.incrementAndGet();
    if (count == FAILURES) {
      isProbed.set(false);
      closedUntilNanos.set(now + FIRST_PAUSE_NANOS);
    } else if (count > FAILURES && isProbed.compareAndSet(true, false)) {
      int doublings = Math.min(5, probes.incrementAndGet());
      closedUntilNanos.set(now + Math.min(LONGEST_PAUSE_NANOS, FIRST_PAUSE_NANOS << doublings));
    }
  }

  /** True while calls had better go elsewhere. */
  boolean isBroken() {
    return failures.get() >= FAILURES;
  }

  /** How long until a broken one is tried again. */
  long pauseNanos(long now) {
    return Math.max(0, closedUntilNanos.get() - now);
  }

  /** Lets one call through to a broken one after its pause. */
  boolean tryProbe(long now) {
    long until = closedUntilNanos.get();
    if (now - until >= 0 && closedUntilNanos.compareAndSet(until, now + FIRST_PAUSE_NANOS)) {
      isProbed.set(true);
      return true;
    }
    return false;
  }
}
