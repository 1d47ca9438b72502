package io.conexor.itests.bench;

import io.conexor.database.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** A PostgreSQL of its own, with one table and a role that may read it. */
final class AccountsDatabase implements AutoCloseable {

  static final String READER = "reader";
  static final int ROWS = 100_000;

  private final EmbeddedPostgres server;

  private AccountsDatabase(EmbeddedPostgres server) {
    this.server = server;
  }

  /** The balance of every account follows from its id, so that each answer can be checked. */
  static int balance(int id) {
    return (int) (id * 7_919L % 1_000_003);
  }

  static AccountsDatabase start(Path folder) throws Exception {
    AccountsDatabase started =
        new AccountsDatabase(EmbeddedPostgres.in(folder, "", List.of(READER)));
    try (Connection connection = started.connectAsOwner();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)");
      statement.execute(
          "INSERT INTO accounts SELECT i, (i * 7919::bigint % 1000003)::int"
              + " FROM generate_series(1, %d) i".formatted(ROWS));
      statement.execute("GRANT SELECT ON accounts TO " + READER);
      statement.execute("VACUUM ANALYZE accounts");
      return started;
    } catch (SQLException | RuntimeException e) {
      started.close();
      throw e;
    }
  }

  /** It comes up in the background. */
  private Connection connectAsOwner() throws SQLException {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (true) {
      try {
        return DriverManager.getConnection(url(), server.user(), server.password().reveal());
      } catch (SQLException e) {
        if (System.nanoTime() - until > 0) {
          throw e;
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
      }
    }
  }

  int port() {
    return server.endpoints().get(0).port();
  }

  String database() {
    return server.database();
  }

  String url() {
    return "jdbc:postgresql://127.0.0.1:" + port() + "/" + database();
  }

  String password() throws IOException {
    return server.password(READER).reveal();
  }

  /** Processor time of all its processes so far. */
  double cpuMicros() {
    try {
      return server
          .pid()
          .flatMap(ProcessHandle::of)
          .map(Processes::cpuMicros)
          .orElseThrow(() -> new IllegalStateException("PostgreSQL has ended"));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    server.close();
  }
}
