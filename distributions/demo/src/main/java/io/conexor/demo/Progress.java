package io.conexor.demo;

import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.time.Duration;

/** Lines with the time since the JVM started. */
final class Progress {

  private final PrintStream out;
  // of the same clock as nanoTime; the wall clock is asked once, for what passed before main
  private final long start =
      System.nanoTime()
          - Duration.ofMillis(
                  System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime())
              .toNanos();

  Progress(PrintStream out) {
    this.out = out;
  }

  long millis() {
    return Duration.ofNanos(System.nanoTime() - start).toMillis();
  }

  void say(String line) {
    out.printf("%6.1f s  %s%n", millis() / 1000.0, line);
    out.flush();
  }
}
