package io.conexor.database.embedded;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Locale;
import java.util.Properties;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tukaani.xz.XZInputStream;

/** Where PostgreSQL's programs are: unpacked from this bundle, or installed on the machine. */
final class Installation {

  private static final Logger log = LoggerFactory.getLogger(Installation.class);

  private final Path bin;

  private Installation(Path bin) {
    this.bin = bin;
  }

  Path folder() {
    return bin;
  }

  Path program(String name) {
    return bin.resolve(name);
  }

  /**
   * @param configured the folder of {@code initdb} and {@code postgres}; empty = those of this
   *     bundle
   * @throws IllegalStateException when this platform has none, saying what to do
   */
  static void check(String configured) {
    if (configured.isEmpty()) {
      archive();
      return;
    }
    for (String program : new String[] {"initdb", "postgres"}) {
      Path path = Path.of(configured, program);
      if (!Files.isExecutable(path)) {
        throw new IllegalStateException(
            EmbeddedPostgres.PID
                + ": installation="
                + configured
                + " holds no program '"
                + program
                + "'; it must be the bin folder of a PostgreSQL 15 or newer");
      }
    }
  }

  /** The configured installation, or this bundle's, unpacked into the folder if it is not yet. */
  static Installation in(Path folder, String configured) throws IOException {
    if (!configured.isEmpty()) {
      return new Installation(Path.of(configured).toAbsolutePath());
    }
    Path home = folder.resolve("installation-" + version());
    if (!Files.isDirectory(home)) {
      long start = System.nanoTime();
      Path half = folder.resolve("installation.new");
      delete(half);
      Files.createDirectories(half);
      String archive = archive();
      try (InputStream resource = Installation.class.getResourceAsStream(archive)) {
        if (resource == null) {
          throw new IOException("the archive " + archive + " is missing from the bundle");
        }
        Tar.unpack(new XZInputStream(new BufferedInputStream(resource, 1 << 16)), half);
      }
      // INVARIANT: the final name exists only with everything in it
      Files.move(half, home, StandardCopyOption.ATOMIC_MOVE);
      log.info(
          "unpacked PostgreSQL {} into {} in {} ms",
          version(),
          home,
          (System.nanoTime() - start) / 1_000_000);
    }
    return new Installation(home.resolve("bin"));
  }

  private static String archive() {
    String platform = platform(System.getProperty("os.name"), System.getProperty("os.arch"));
    String archive = "/postgres-" + platform + ".txz";
    if (Installation.class.getResource(archive) == null) {
      throw new IllegalStateException(
          "this distribution carries no PostgreSQL for "
              + platform
              + "; install PostgreSQL 15 or newer and set database.embedded.installation to the folder of its"
              + " initdb, e.g. /usr/lib/postgresql/15/bin, or use an external database (feature"
              + " 'postgres')");
    }
    return archive;
  }

  /** As the archives are named. */
  static String platform(String os, String architecture) {
    String system = os.toLowerCase(Locale.ROOT);
    String name =
        system.startsWith("mac") ? "darwin" : system.startsWith("win") ? "windows" : "linux";
    String machine =
        switch (architecture.toLowerCase(Locale.ROOT)) {
          case "amd64", "x86_64" -> "x86_64";
          case "aarch64", "arm64" -> "arm_64";
          default -> architecture;
        };
    return name + "-" + machine;
  }

  private static String version() {
    try (InputStream in = Installation.class.getResourceAsStream("binaries.properties")) {
      Properties properties = new Properties();
      if (in != null) {
        properties.load(in);
      }
      return properties.getProperty("version", "unknown");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Removes a folder and what is in it, if it exists. */
  static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(
              Path left, @org.jspecify.annotations.Nullable IOException failure)
              throws IOException {
            Files.delete(left);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
