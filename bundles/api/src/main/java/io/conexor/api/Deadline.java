package io.conexor.api;

import java.time.Duration;

/**
 * A moment on the monotonic clock of this process ({@link System#nanoTime()}); it never crosses a
 * process boundary: what travels is {@link #remaining()}.
 */
public record Deadline(long nanoTime) {

  public static Deadline in(Duration duration) {
    return new Deadline(System.nanoTime() + duration.toNanos());
  }

  /** What is left; zero when the deadline has passed, never negative. */
  public Duration remaining() {
    return Duration.ofNanos(remainingNanos());
  }

  /** What is left in nanoseconds; 0 when the deadline has passed, never negative. */
  public long remainingNanos() {
    return Math.max(0, nanoTime - System.nanoTime());
  }

  public boolean passed() {
    return nanoTime - System.nanoTime() <= 0;
  }

  /** The earlier of the two. */
  public Deadline orSooner(Deadline other) {
    return nanoTime - other.nanoTime <= 0 ? this : other;
  }
}
