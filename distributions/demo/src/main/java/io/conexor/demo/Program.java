package io.conexor.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;

/** A server or an agent in a process of its own, started as an operator would. */
final class Program implements AutoCloseable {

  private static final int LINES_SHOWN = 15;
  private static final Duration LONGEST_STOP = Duration.ofSeconds(40);

  private final String name;
  private final Path log;
  private final Process process;

  /**
   * @param name {@code server} or {@code agent}
   * @param settings go into {@code NAME.properties} beside the folder and nowhere else
   */
  Program(String name, Path distributions, Path data, Map<String, String> settings)
      throws IOException {
    this.name = name;
    this.log = data.resolve(name + ".log");
    Path file = data.resolve(name + ".properties");
    List<String> lines = new ArrayList<>();
    settings.forEach((key, value) -> lines.add(key + " = " + value));
    Files.write(file, lines);

    Path command = distributions.resolve(name + "/target/conexor-" + name + "/bin/conexor-" + name);
    // Ctrl-C reaches every process of the terminal; these are to wait until they are told
    ProcessBuilder builder =
        new ProcessBuilder(
            List.of(
                "/bin/sh",
                "-c",
                "trap '' INT HUP; exec \"$0\" run --config \"$1\"",
                command.toString(),
                file.toString()));
    // the environment would override the file
    settings.keySet().forEach(key -> builder.environment().remove(variable(key)));
    process =
        builder
            .directory(data.toFile())
            .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
  }

  private static String variable(String key) {
    return "CONEXOR_" + key.toUpperCase(Locale.ROOT).replaceAll("[^A-Z0-9]", "_");
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  CompletableFuture<Process> onExit() {
    return process.onExit();
  }

  /** What to say when it ended although nobody told it to. */
  DemoException ended() {
    return new DemoException(
        "the %s ended with code %d%n%s".formatted(name, process.exitValue(), lastLines()));
  }

  interface Question<T> {
    Optional<T> ask() throws IOException, InterruptedException;
  }

  /** The first answer, unless the process ends or the time is up before. */
  <T> T await(String what, Duration longest, Question<T> question)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + longest.toNanos();
    while (true) {
      if (!process.isAlive()) {
        throw ended();
      }
      Optional<T> answer = question.ask();
      if (answer.isPresent()) {
        return answer.get();
      }
      if (System.nanoTime() - deadline > 0) {
        throw new DemoException(
            "the %s is not %s after %d s%n%s"
                .formatted(name, what, longest.toSeconds(), lastLines()));
      }
      LockSupport.parkNanos(20_000_000);
    }
  }

  private String lastLines() {
    List<String> lines;
    try {
      lines = Files.readAllLines(log, UTF_8);
    } catch (IOException unreadable) {
      return "its log " + log + " cannot be read: " + unreadable.getMessage();
    }
    int from = Math.max(0, lines.size() - LINES_SHOWN);
    return "the end of " + log + ":\n  " + String.join("\n  ", lines.subList(from, lines.size()));
  }

  /** Drains and stops; kills what does not stop in time. */
  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(LONGEST_STOP.toSeconds(), SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Stops the program of an earlier demo that was killed before it could do so itself.
   *
   * @param folder of the program
   * @return whether there was one
   */
  static boolean stopLeftover(Path folder)
      throws IOException, InterruptedException, ExecutionException {
    Path pidFile = folder.resolve("pid");
    if (!Files.exists(pidFile)) {
      return false;
    }
    Optional<ProcessHandle> left =
        ProcessHandle.of(Long.parseLong(Files.readString(pidFile).strip()))
            .filter(found -> found.info().commandLine().orElse("").contains("conexor.program="));
    if (left.isEmpty()) {
      return false;
    }
    left.get().destroy();
    try {
      left.get().onExit().get(LONGEST_STOP.toSeconds(), SECONDS);
    } catch (TimeoutException slow) {
      left.get().destroyForcibly();
    }
    return true;
  }
}
