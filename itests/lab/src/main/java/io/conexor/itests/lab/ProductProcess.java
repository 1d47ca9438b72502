package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A server or an agent of the product, started from its exploded archive with a data folder and a
 * configuration file of its own. It can be killed, frozen and started again with the same data.
 * What it prints goes to {@code target/lab-logs/NAME.log}, which stays. Not for concurrent use.
 */
public abstract sealed class ProductProcess implements AutoCloseable permits Backend, AgentProcess {

  private static final Set<ProductProcess> RUNNING = ConcurrentHashMap.newKeySet();

  // What a test left behind ends with it.
  static {
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  for (ProductProcess each : RUNNING) {
                    Process left = each.process;
                    if (left != null) {
                      left.destroyForcibly();
                    }
                  }
                },
                "lab-cleanup"));
  }

  private static final Pattern USED = Pattern.compile("(?:heap\\s.*?|, )used (\\d+)K");

  private final String name;
  private final Path program;
  private final String jvm;
  private final Map<String, String> settings;
  private final Path folder;
  private final Path log;
  private @Nullable Process process;

  ProductProcess(String name, Path program, String jvm, Map<String, String> settings) {
    this.name = name;
    this.program = program;
    this.jvm = jvm;
    this.settings = new LinkedHashMap<>(settings);
    try {
      // An embedded PostgreSQL runs as another user, who has to get through here.
      this.folder =
          Files.createTempDirectory(
              "conexor-lab-",
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
      this.log =
          Files.createDirectories(Path.of("target", "lab-logs").toAbsolutePath())
              .resolve(name + "-" + folder.getFileName().toString().substring(12) + ".log");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts the process; the caller waits for what it needs. */
  final void launch() {
    if (isAlive()) {
      throw new IllegalStateException(name + " runs already");
    }
    try {
      Path configuration = writeConfiguration();
      ProcessBuilder builder =
          new ProcessBuilder(program.toString(), "run", "--config", configuration.toString())
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
      builder.environment().keySet().removeIf(key -> key.startsWith("CONEXOR_"));
      builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
      builder.environment().put("JAVA_OPTS", jvm);
      process = builder.start();
      RUNNING.add(this);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path writeConfiguration() throws IOException {
    Path configuration = folder.resolve("conexor.properties");
    List<String> lines = new ArrayList<>();
    lines.add("runtime.data.dir = " + data());
    lines.add("runtime.log.to = console");
    settings.forEach((key, value) -> lines.add(key + " = " + value));
    return Files.write(configuration, lines);
  }

  /** Changes its configuration file while it runs. */
  public final void reconfigure(Map<String, String> changes) {
    settings.putAll(changes);
    try {
      writeConfiguration();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until it has printed this. */
  public final void awaitOutput(String text) {
    await("'" + text + "' in its log", Duration.ofMinutes(1), () -> output().contains(text));
  }

  /** A setting for the next start. */
  final void put(String key, String value) {
    settings.put(key, value);
  }

  /**
   * Runs one command of the management shell and returns what it printed.
   *
   * @throws IllegalStateException with the output if the command fails
   */
  public final String shell(String command) {
    try {
      ProcessBuilder builder =
          new ProcessBuilder(
              program.toString(),
              "shell",
              "--config",
              folder.resolve("conexor.properties").toString(),
              "-c",
              command);
      builder.environment().keySet().removeIf(key -> key.startsWith("CONEXOR_"));
      builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
      Process asked = builder.redirectErrorStream(true).start();
      String output = new String(asked.getInputStream().readAllBytes(), UTF_8);
      if (asked.waitFor() != 0) {
        throw new IllegalStateException(command + ": " + output);
      }
      return output;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the shell ran " + command, e);
    }
  }

  /** Its data folder. */
  public final Path data() {
    return folder.resolve("data");
  }

  public final long pid() {
    return running().pid();
  }

  public final boolean isAlive() {
    return process != null && process.isAlive();
  }

  /** SIGKILL; returns when it is gone. */
  public final void kill() {
    signal("KILL");
    await(Duration.ofSeconds(10));
  }

  /** SIGTERM, which drains first; returns when it is gone. */
  public final void terminate() {
    signal("TERM");
    await(Duration.ofMinutes(1));
  }

  /** SIGSTOP: it holds its sockets and answers nobody. */
  public final void pause() {
    signal("STOP");
  }

  /** SIGCONT. */
  public final void resume() {
    signal("CONT");
  }

  /** What it has printed, in all its runs. */
  public final String output() {
    try {
      return Files.exists(log) ? Files.readString(log) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The end of {@link #output}. */
  public final String tail(int lines) {
    List<String> all = output().lines().toList();
    return String.join("\n", all.subList(Math.max(0, all.size() - lines), all.size()));
  }

  /** Memory the operating system counts for it, in KiB. */
  public final long residentKiB() {
    return status("VmRSS");
  }

  public final long threads() {
    return status("Threads");
  }

  /** Heap in use after a full collection, in KiB. */
  public final long liveHeapKiB() {
    jcmd("GC.run");
    return usedHeapKiB();
  }

  /** Heap in use now, garbage included, in KiB. */
  public final long usedHeapKiB() {
    String report = jcmd("GC.heap_info");
    Matcher used = USED.matcher(report);
    long sum = 0;
    // One line for G1, one for each generation of the serial collector; then Metaspace.
    for (String line : report.lines().takeWhile(each -> !each.contains("Metaspace")).toList()) {
      used.reset(line);
      sum += used.find() ? Long.parseLong(used.group(1)) : 0;
    }
    if (sum == 0) {
      throw new IllegalStateException("cannot read the heap of " + name + " from " + report);
    }
    return sum;
  }

  /** One diagnostic command of the JVM, see {@code jcmd PID help}. */
  public final String jcmd(String... command) {
    List<String> line = new ArrayList<>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "jcmd").toString());
    line.add(Long.toString(pid()));
    line.addAll(List.of(command));
    try {
      Process asked = new ProcessBuilder(line).redirectErrorStream(true).start();
      String answer = new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!asked.waitFor(20, SECONDS) || asked.exitValue() != 0) {
        throw new IllegalStateException(line + " failed: " + answer);
      }
      return answer;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while asking " + name, e);
    }
  }

  /** Kills it and deletes its data. */
  @Override
  public void close() {
    if (isAlive()) {
      kill();
    }
    RUNNING.remove(this);
    try {
      deleteTree(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public final String toString() {
    return name;
  }

  /** The ends of what all of them have printed, for the report of a failed test. */
  static String tails(int lines) {
    StringBuilder text = new StringBuilder();
    for (ProductProcess each : RUNNING) {
      text.append("--- ").append(each.name).append(each.isAlive() ? "" : " (dead)").append('\n');
      text.append(each.tail(lines)).append('\n');
    }
    return text.toString();
  }

  /** Waits until this holds, and fails with the log if it does not in time or the process ends. */
  final void await(String what, Duration limit, java.util.function.BooleanSupplier condition) {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.getAsBoolean()) {
      if (!isAlive()) {
        throw new AssertionError(name + " ended before " + what + ":\n" + tail(80));
      }
      if (System.nanoTime() - end > 0) {
        throw new AssertionError(name + ": no " + what + " after " + limit + "\n" + tails(80));
      }
      java.util.concurrent.locks.LockSupport.parkNanos(50_000_000);
    }
  }

  private long status(String field) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc", Long.toString(pid()), "status"))) {
        if (line.startsWith(field + ":")) {
          return Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new IllegalStateException("no " + field + " of " + name);
  }

  private Process running() {
    Process running = process;
    if (running == null || !running.isAlive()) {
      throw new IllegalStateException(name + " does not run:\n" + tail(40));
    }
    return running;
  }

  private void signal(String signal) {
    try {
      new ProcessBuilder("/bin/kill", "-" + signal, Long.toString(pid()))
          .start()
          .waitFor(5, SECONDS);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void await(Duration limit) {
    try {
      if (process != null
          && !process.waitFor(limit.toMillis(), java.util.concurrent.TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException(name + " does not end:\n" + tail(40));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void deleteTree(Path root) throws IOException {
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException failure) {
            // A process that is ending removes its own files.
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure)
              throws IOException {
            Files.deleteIfExists(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
