package io.conexor.api.database;

import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * A throw-away PostgreSQL of this machine's own installation, on a free loopback port, for tests
 * that need the real thing. The data folder goes away with {@link #close}.
 */
public final class LocalPostgres implements AutoCloseable {

  private final Path bin;
  private final Path folder;
  private final int port;

  private LocalPostgres(Path bin, Path folder, int port) {
    this.bin = bin;
    this.folder = folder;
    this.port = port;
  }

  /** Starts a server; a machine without PostgreSQL skips the test, unless {@code itests.strict}. */
  public static LocalPostgres start() {
    Optional<Path> bin = installation();
    if (bin.isEmpty()) {
      if (Boolean.getBoolean("itests.strict")) {
        throw new AssertionError("this test needs PostgreSQL's initdb and postgres");
      }
      Assumptions.abort("PostgreSQL (initdb, postgres) is not installed");
    }
    try {
      Path folder = Files.createTempDirectory("conexor-pg-");
      if (isRoot()) {
        run(List.of("chown", "postgres", folder.toString()));
      }
      LocalPostgres server = new LocalPostgres(bin.orElseThrow(), folder, freePort());
      server.tool(
          "initdb", "-D", server.dataFolder(), "-U", "postgres", "-A", "trust", "--no-sync");
      server.resume();
      // Not a superuser: superusers escape row-level security.
      try (Connection connection =
              DriverManager.getConnection(
                  "jdbc:postgresql://127.0.0.1:" + server.port + "/postgres?user=postgres");
          Statement statement = connection.createStatement()) {
        statement.execute("create role conexor login");
        statement.execute("create database conexor owner conexor");
      } catch (SQLException e) {
        throw new IllegalStateException(e.getMessage(), e);
      }
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A server that another process has started; only its connections may be used. */
  public static LocalPostgres at(int port) {
    return new LocalPostgres(Path.of(""), Path.of(""), port);
  }

  /** Starts it again after {@link #pause}, on the same port with the same data. */
  public void resume() {
    tool(
        "pg_ctl",
        "-D",
        dataFolder(),
        "-l",
        folder.resolve("log").toString(),
        "-w",
        "-t",
        "30",
        "-o",
        "-p " + port + " -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off",
        "start");
  }

  /** Stops it at once, as a crash would, and keeps the data. */
  public void pause() {
    tool("pg_ctl", "-D", dataFolder(), "-w", "-m", "immediate", "stop");
  }

  public int port() {
    return port;
  }

  public String url() {
    return "jdbc:postgresql://127.0.0.1:" + port + "/conexor?user=conexor&connectTimeout=5";
  }

  public Connection connect() throws SQLException {
    return DriverManager.getConnection(url());
  }

  /** Creates the tables of the product with the migrations in this source tree. */
  public LocalPostgres migrate() {
    Path migrations = Path.of("bundles/catalog/src/main/resources/io/conexor/catalog/migrations");
    Path here = Path.of("").toAbsolutePath();
    while (here != null && !Files.isDirectory(here.resolve(migrations))) {
      here = here.getParent();
    }
    if (here == null) {
      throw new IllegalStateException(migrations + " is not above the working directory");
    }
    try (Stream<Path> files = Files.list(here.resolve(migrations))) {
      for (Path file : files.sorted().toList()) {
        execute(Files.readString(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }

  /** Runs a script, all of it in one simple query. */
  public void execute(String sql) {
    execute(url(), sql);
  }

  /** The same as a superuser, whom row-level security does not concern. */
  public void executeAsSuperuser(String sql) {
    execute(url().replace("user=conexor", "user=postgres"), sql);
  }

  private static void execute(String url, String sql) {
    try (Connection connection = DriverManager.getConnection(url);
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      pause();
    } catch (RuntimeException alreadyStopped) {
      // closing a paused server is fine
    }
    try {
      deleteTree(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String dataFolder() {
    return folder.resolve("data").toString();
  }

  private void tool(String name, String... arguments) {
    List<String> command = new ArrayList<>();
    if (isRoot()) {
      command.addAll(List.of("runuser", "-u", "postgres", "--"));
    }
    command.add(bin.resolve(name).toString());
    command.addAll(List.of(arguments));
    run(command);
  }

  private static void run(List<String> command) {
    try {
      File output = File.createTempFile("conexor-run-", ".log");
      try {
        Process process =
            new ProcessBuilder(command)
                .directory(new File("/"))
                .redirectErrorStream(true)
                .redirectOutput(output)
                .start();
        if (!process.waitFor(60, SECONDS)) {
          process.destroyForcibly();
          throw new IllegalStateException(command + " did not end in 60 s");
        }
        if (process.exitValue() != 0) {
          throw new IllegalStateException(
              command + " failed: " + Files.readString(output.toPath(), StandardCharsets.UTF_8));
        }
      } finally {
        Files.deleteIfExists(output.toPath());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while running " + command, e);
    }
  }

  private static Optional<Path> installation() {
    List<Path> candidates = new ArrayList<>();
    Path debian = Path.of("/usr/lib/postgresql");
    if (Files.isDirectory(debian)) {
      try (Stream<Path> versions = Files.list(debian)) {
        versions.sorted().forEach(version -> candidates.add(0, version.resolve("bin")));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
      candidates.add(Path.of(folder));
    }
    return candidates.stream()
        .filter(
            folder ->
                Files.isExecutable(folder.resolve("initdb"))
                    && Files.isExecutable(folder.resolve("postgres")))
        .findFirst();
  }

  private static boolean isRoot() {
    return "root".equals(System.getProperty("user.name"));
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static void deleteTree(Path root) throws IOException {
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, IOException failure)
              throws IOException {
            Files.delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
