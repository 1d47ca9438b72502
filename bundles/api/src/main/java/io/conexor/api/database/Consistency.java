package io.conexor.api.database;

import java.time.Duration;

/** How fresh a read must be. */
public sealed interface Consistency {

  /** From a replica at most this far behind, else the primary. */
  record Eventual(Duration maxLag) implements Consistency {}

  /**
   * At least what the token proves: a replica that has it, after a short wait if need be, else the
   * primary.
   */
  record Session(CommitToken token) implements Consistency {}

  /** From the primary. */
  record Strong() implements Consistency {}

  static Consistency eventual(Duration maxLag) {
    return new Eventual(maxLag);
  }

  static Consistency session(CommitToken token) {
    return new Session(token);
  }

  static Consistency strong() {
    return new Strong();
  }
}
