package io.conexor.itests.lab.postgres;

import io.conexor.itests.lab.Binaries;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** PostgreSQL, etcd and PgBouncer refuse to run as root: this is who they run as instead. */
final class Account {

  static final Path BIN = Path.of("/usr/lib/postgresql/15/bin");

  private Account() {}

  static boolean isRoot() {
    return "root".equals(System.getProperty("user.name"));
  }

  /** The command, for the account that servers run as. */
  static List<String> command(List<String> command) {
    List<String> all = new ArrayList<>();
    if (isRoot()) {
      all.addAll(
          List.of(
              "setpriv",
              "--reuid",
              "postgres",
              "--regid",
              "postgres",
              "--init-groups",
              "--inh-caps=-all"));
    }
    all.addAll(command);
    return all;
  }

  static Path program(String name) {
    Binaries.require("postgres");
    return BIN.resolve(name);
  }

  /** An empty folder of that account. */
  static Path folder(String prefix) {
    try {
      Path folder = Files.createTempDirectory(prefix);
      own(folder);
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void own(Path path) {
    if (isRoot()) {
      run(Map.of(), List.of("chown", "-R", "postgres:postgres", path.toString()));
    }
  }

  /** Runs it to its end as that account. */
  static String runAs(List<String> command) {
    return run(Map.of(), command(command));
  }

  static String run(Map<String, String> environment, List<String> command) {
    try {
      Path output = Files.createTempFile("conexor-run-", ".log");
      try {
        ProcessBuilder builder =
            new ProcessBuilder(command)
                .directory(Path.of("/").toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
          process.destroyForcibly();
          throw new IllegalStateException(command + " did not end in 60 s");
        }
        String said = Files.readString(output);
        if (process.exitValue() != 0) {
          throw new IllegalStateException(command + " failed: " + said);
        }
        return said;
      } finally {
        Files.deleteIfExists(output);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while running " + command, e);
    }
  }

  static void delete(Path root) {
    try {
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
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(
                Path directory, @org.jspecify.annotations.Nullable IOException failure)
                throws IOException {
              Files.deleteIfExists(directory);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
