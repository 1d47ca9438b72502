package io.conexor.demo;

import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.lang.management.RuntimeMXBean;

/** Lines with the time since the JVM started. */
final class Progress {

  private final PrintStream out;
  private final RuntimeMXBean jvm = ManagementFactory.getRuntimeMXBean();

  Progress(PrintStream out) {
    this.out = out;
  }

  long millis() {
    return jvm.getUptime();
  }

  void say(String line) {
    out.printf("%6.1f s  %s%n", millis() / 1000.0, line);
    out.flush();
  }
}
