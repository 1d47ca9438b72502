package io.conexor.itests.lab;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One process of the lab, which can be broken and started again. Not for concurrent use. */
public final class LabProcess implements AutoCloseable {

  private final String name;
  private final List<String> command;
  private final Path log;
  private @Nullable Process process;

  /** Not started yet; its output goes to {@code name.log} in the directory. */
  public LabProcess(String name, Path directory, List<String> command) {
    this.name = name;
    this.command = List.copyOf(command);
    this.log = directory.resolve(name + ".log");
  }

  /** Starts it, also again after it was killed. */
  public LabProcess start() {
    if (isAlive()) {
      throw new IllegalStateException(name + " runs already");
    }
    try {
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }

  public boolean isAlive() {
    return process != null && process.isAlive();
  }

  /** SIGKILL; returns when it is gone. */
  public void kill() {
    Process running = running();
    signal(running, "KILL");
    await(running);
  }

  /** SIGTERM; returns when it is gone. */
  public void terminate() {
    Process running = running();
    signal(running, "TERM");
    await(running);
  }

  /** SIGSTOP: it holds its sockets and answers nobody. */
  public void freeze() {
    signal(running(), "STOP");
  }

  /** SIGCONT. */
  public void thaw() {
    signal(running(), "CONT");
  }

  /** Of the running process. */
  public long pid() {
    return running().pid();
  }

  /** What it has printed. */
  public String output() {
    try {
      return Files.exists(log) ? Files.readString(log) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    Process running = process;
    if (running != null && running.isAlive()) {
      signal(running, "KILL");
      await(running);
    }
  }

  @Override
  public String toString() {
    return name;
  }

  /**
   * Ports nobody listens on now. They are taken by others with some luck only, since the kernel
   * hands out ephemeral ports in turn.
   */
  public static List<Integer> freePorts(int count) {
    List<ServerSocket> held = new ArrayList<>();
    try {
      for (int i = 0; i < count; i++) {
        held.add(new ServerSocket(0, 1, InetAddress.getLoopbackAddress()));
      }
      return held.stream().map(ServerSocket::getLocalPort).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      for (ServerSocket each : held) {
        try {
          each.close();
        } catch (IOException e) {
          // It was ours and held nothing.
        }
      }
    }
  }

  private Process running() {
    Process running = process;
    if (running == null || !running.isAlive()) {
      throw new IllegalStateException(name + " does not run:\n" + output());
    }
    return running;
  }

  private static void signal(Process to, String signal) {
    try {
      new ProcessBuilder("/bin/kill", "-" + signal, Long.toString(to.pid()))
          .start()
          .waitFor(5, TimeUnit.SECONDS);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void await(Process gone) {
    try {
      if (!gone.waitFor(10, TimeUnit.SECONDS)) {
        throw new IllegalStateException("process " + gone.pid() + " does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
