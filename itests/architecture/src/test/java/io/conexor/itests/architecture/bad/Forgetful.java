package io.conexor.itests.architecture.bad;

import org.junit.jupiter.api.Test;

/** Holds a test that breaks the rules, out of sight of what looks for tests to run. */
public final class Forgetful {

  private Forgetful() {}

  /** Forgets one fact and sleeps through the other. */
  public static class BadTest {

    @Test
    void itSleeps() throws InterruptedException {
      Thread.sleep(1);
    }

    void forgotten_fact() {}
  }
}
