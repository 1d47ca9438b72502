package io.conexor.api.database;

import java.time.Duration;
import java.util.Optional;

/** How fresh a read must be. */
public sealed interface Consistency {

  /** See {@link #caller}. */
  Duration RECENT = Duration.ofSeconds(2);

  /** From a replica at most this far behind, else the primary. */
  record Eventual(Duration maxLag) implements Consistency {}

  /**
   * At least what the token proves: a replica that has it, after a short wait if need be, else the
   * primary.
   *
   * @param maxLag and not further behind than this, where given
   */
  record Session(CommitToken token, Optional<Duration> maxLag) implements Consistency {}

  /** From the primary. */
  record Strong() implements Consistency {}

  static Consistency eventual(Duration maxLag) {
    return new Eventual(maxLag);
  }

  static Consistency session(CommitToken token) {
    return new Session(token, Optional.empty());
  }

  static Consistency session(CommitToken token, Duration maxLag) {
    return new Session(token, Optional.of(maxLag));
  }

  /**
   * For the caller that the thread is following: never older than what they wrote, and not more
   * than 2 s old; from the primary when it follows nobody.
   */
  static Consistency caller(Database database) {
    return database.position().map(known -> session(known, RECENT)).orElse(strong());
  }

  static Consistency strong() {
    return new Strong();
  }
}
