package io.conexor.itests.bench;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** Processes that are measured, and those that prepare them. */
final class Processes {

  /** Linux counts processor time in hundredths of a second for everybody who asks in this way. */
  private static final double MICROS_PER_TICK = 10_000;

  private Processes() {}

  /** A process with its descendants; ended with this JVM at the latest. */
  record Running(String name, Process process, Path log) implements AutoCloseable {

    /** Processor time of it so far, without its children. */
    double cpuMicros() {
      return Processes.cpuMicros(process.pid());
    }

    String output() {
      try {
        return Files.readString(log);
      } catch (IOException e) {
        return "no output: " + e;
      }
    }

    @Override
    public void close() {
      List<ProcessHandle> descendants = process.descendants().toList();
      process.destroy();
      try {
        if (!process.waitFor(15, TimeUnit.SECONDS)) {
          process.destroyForcibly();
        }
      } catch (InterruptedException e) {
        process.destroyForcibly();
        Thread.currentThread().interrupt();
      }
      descendants.forEach(ProcessHandle::destroyForcibly);
    }
  }

  static Running start(
      String name, List<String> command, Path directory, Map<String, String> environment)
      throws IOException {
    Path log = directory.resolve(name + ".log");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .redirectInput(new File("/dev/null"));
    builder.environment().putAll(environment);
    Running running = new Running(name, builder.start(), log);
    Runtime.getRuntime().addShutdownHook(new Thread(running::close, "end-" + name));
    return running;
  }

  /** Runs it to its end. */
  static void run(List<String> command, Path directory, Path log)
      throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .redirectInput(new File("/dev/null"))
            .start();
    if (process.waitFor() != 0) {
      throw new IOException(command.get(0) + " failed:\n" + Files.readString(log));
    }
  }

  static void await(String what, Running process, int seconds, BooleanSupplier condition) {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    while (!condition.getAsBoolean()) {
      if (!process.process().isAlive() || System.nanoTime() - until > 0) {
        throw new IllegalStateException(
            what + " did not come up in " + seconds + " s:\n" + process.output());
      }
      LockSupport.parkNanos(50_000_000);
    }
  }

  static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Processor time of a process and all its descendants so far, ended ones included. */
  static double cpuMicros(ProcessHandle process) {
    return Stream.concat(Stream.of(process), process.descendants())
        .mapToDouble(each -> ticks(each.pid(), 4) * MICROS_PER_TICK)
        .sum();
  }

  /** Processor time of a process so far, without its children. */
  static double cpuMicros(long pid) {
    return ticks(pid, 2) * MICROS_PER_TICK;
  }

  /**
   * proc(5): fields 14 to 17 of stat, user and system time of the process and of children it has
   * buried; counted behind the name, which may hold anything.
   */
  private static long ticks(long pid, int fields) {
    try {
      String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
      String[] behindName = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      return Arrays.stream(behindName, 11, 11 + fields).mapToLong(Long::parseLong).sum();
    } catch (IOException e) {
      return 0; // it has ended
    }
  }
}
