package io.conexor.api.database;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** A throw-away MariaDB of this machine's own installation, on a free loopback port. */
public final class LocalMariaDb implements AutoCloseable {
  private final Path folder;
  private final Process process;
  private final int port;

  private LocalMariaDb(Path folder, Process process, int port) {
    this.folder = folder;
    this.process = process;
    this.port = port;
  }

  /** Starts a server; a machine without MariaDB skips the test, unless {@code itests.strict}. */
  public static LocalMariaDb start() throws IOException, InterruptedException {
    Path server =
        Stream.of("/usr/sbin/mariadbd", "/usr/local/bin/mariadbd", "/usr/libexec/mariadbd")
            .map(Path::of)
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    if (server == null) {
      if (Boolean.getBoolean("itests.strict")) {
        throw new AssertionError("this test needs mariadbd");
      }
      Assumptions.abort("MariaDB (mariadbd) is not installed");
    }
    Path folder = Files.createTempDirectory("conexor-mariadb-");
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    run(
        folder,
        "mariadb-install-db",
        "--no-defaults",
        "--datadir=" + folder.resolve("data"),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--user=" + System.getProperty("user.name"));
    Process process =
        new ProcessBuilder(
                server.toString(),
                "--no-defaults",
                "--datadir=" + folder.resolve("data"),
                "--port=" + port,
                "--bind-address=127.0.0.1",
                "--socket=" + folder.resolve("sock"),
                "--pid-file=" + folder.resolve("pid"),
                "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0",
                "--user=" + System.getProperty("user.name"))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile())
            .start();
    LocalMariaDb started = new LocalMariaDb(folder, process, port);
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (true) {
      try (Connection ready = started.connect("")) {
        ready.isValid(1);
        break;
      } catch (SQLException e) {
        if (System.nanoTime() - until > 0 || !process.isAlive()) {
          String log = Files.readString(folder.resolve("log"));
          started.close();
          throw new AssertionError("MariaDB does not start: " + log, e);
        }
        if (process.waitFor(100, TimeUnit.MILLISECONDS)) {
          continue;
        }
      }
    }
    return started;
  }

  public Connection connect(String database) throws SQLException {
    return DriverManager.getConnection(url(database) + "?user=root");
  }

  public String url(String database) {
    return "jdbc:mariadb://127.0.0.1:" + port + "/" + database;
  }

  private static void run(Path folder, String... command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("install").toFile())
            .start();
    if (process.waitFor() != 0) {
      throw new AssertionError(
          List.of(command) + ": " + Files.readString(folder.resolve("install")));
    }
  }

  @Override
  public void close() throws IOException, InterruptedException {
    process.destroy();
    if (!process.waitFor(10, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
    }
  }
}
