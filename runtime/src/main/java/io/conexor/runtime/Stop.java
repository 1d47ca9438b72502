package io.conexor.runtime;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The {@code stop} command, and the file by which it finds the process. */
final class Stop {

  private Stop() {}

  static int run(RuntimeSettings settings, PrintStream out) {
    Path file = ProcessFile.path(settings.dataDirectory());
    Optional<ProcessHandle> process = read(file).flatMap(ProcessHandle::of);
    if (process.isEmpty()) {
      out.println("nothing to stop: no process uses " + settings.dataDirectory());
      return 0;
    }
    Duration deadline = settings.drainTimeout().plus(settings.stopTimeout()).plusSeconds(2);
    process.get().destroy();
    try {
      process.get().onExit().get(deadline.toMillis(), TimeUnit.MILLISECONDS);
      out.println("stopped");
      return 0;
    } catch (TimeoutException e) {
      throw new LaunchException(
          "process " + process.get().pid() + " still runs after " + deadline, e);
    } catch (ExecutionException e) {
      throw new LaunchException(
          "cannot wait for process " + process.get().pid() + ": " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 1;
    }
  }

  private static Optional<Long> read(Path file) {
    try {
      return Files.exists(file)
          ? Optional.of(Long.valueOf(Files.readString(file).trim()))
          : Optional.empty();
    } catch (IOException | NumberFormatException e) {
      throw new LaunchException("cannot read the process id in " + file + ": " + e, e);
    }
  }

  /** Holds the process id while the process runs. */
  record ProcessFile(Path file) implements AutoCloseable {

    static Path path(Path data) {
      return data.resolve("pid");
    }

    static ProcessFile write(RuntimeSettings settings) {
      Path file = path(settings.dataDirectory());
      try {
        Files.createDirectories(settings.dataDirectory());
        Files.writeString(file, ProcessHandle.current().pid() + "\n");
      } catch (IOException e) {
        throw new LaunchException("cannot write to the data directory: " + e, e);
      }
      return new ProcessFile(file);
    }

    @Override
    public void close() {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        throw new LaunchException("cannot delete " + file + ": " + e, e);
      }
    }
  }
}
