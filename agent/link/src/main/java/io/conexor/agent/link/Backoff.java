package io.conexor.agent.link;

import java.time.Duration;
import java.util.function.DoubleSupplier;

/**
 * Full-jitter backoff: any time between nothing and a ceiling that doubles with each failure. A
 * thousand agents that lost the same backend come back spread over the ceiling instead of together.
 *
 * @param random numbers from 0 to 1
 */
record Backoff(Duration initial, Duration max, DoubleSupplier random) {

  /**
   * @param failures in a row before this one, 0 for the first
   */
  Duration next(int failures) {
    double ceiling =
        Math.min((double) max.toNanos(), initial.toNanos() * Math.pow(2, Math.min(failures, 30)));
    return Duration.ofNanos((long) (random.getAsDouble() * ceiling));
  }
}
