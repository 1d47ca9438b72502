package io.conexor.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Secret;
import io.conexor.api.health.Health;
import io.conexor.database.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.locks.LockSupport;
import org.postgresql.PGConnection;

/** A PostgreSQL with {@code distributions/demo/data} in it: what a customer would have. */
final class SampleDatabase implements AutoCloseable {

  static final String READER = "reader";

  private static final Duration LONGEST_START = Duration.ofMinutes(2);
  // in the order their foreign keys ask for
  private static final List<String> TABLES =
      List.of("continents", "countries", "regions", "airports", "cities");

  private final EmbeddedPostgres postgres;
  private final Path folder;

  /**
   * @param installation where PostgreSQL's programs are
   */
  SampleDatabase(Path folder, Path installation) throws IOException {
    this.folder = folder;
    postgres = EmbeddedPostgres.in(folder, installation.toString(), List.of(READER));
  }

  String url() {
    return "jdbc:postgresql://127.0.0.1:%d/%s"
        .formatted(postgres.endpoints().get(0).port(), postgres.database());
  }

  /** Holds the password of {@link #READER}. */
  Path passwordFile() throws IOException {
    Secret made = postgres.password(READER);
    assert !made.reveal().isEmpty();
    return folder.resolve("password-" + READER);
  }

  long pid() throws IOException {
    return postgres.pid().orElseThrow(() -> new DemoException("the sample database is gone"));
  }

  /** Returns when the server takes connections and holds the data; how many rows it loaded. */
  long awaitLoaded() throws SQLException, IOException {
    long deadline = System.nanoTime() + LONGEST_START.toNanos();
    Health health = postgres.check();
    while (health.status() != Health.Status.HEALTHY) {
      if (health.status() == Health.Status.UNHEALTHY || System.nanoTime() - deadline > 0) {
        throw new DemoException("the sample database does not start: " + health.reason());
      }
      LockSupport.parkNanos(5_000_000);
      health = postgres.check();
    }
    Properties login = new Properties();
    login.setProperty("user", postgres.user());
    login.setProperty("password", postgres.password().reveal());
    try (Connection connection = DriverManager.getConnection(url(), login)) {
      return isLoaded(connection) ? 0 : load(connection);
    }
  }

  private static boolean isLoaded(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("select to_regclass('public.cities') is not null")) {
      return row.next() && row.getBoolean(1);
    }
  }

  /** All or nothing, so that a table that is there is complete. */
  private static long load(Connection connection) throws SQLException, IOException {
    connection.setAutoCommit(false);
    long rows = 0;
    try (Statement statement = connection.createStatement()) {
      statement.execute(text("schema.sql"));
      for (String table : TABLES) {
        try (InputStream csv = resource(table + ".csv")) {
          rows +=
              connection
                  .unwrap(PGConnection.class)
                  .getCopyAPI()
                  .copyIn("copy " + table + " from stdin (format csv, header)", csv);
        }
      }
      statement.execute(text("finish.sql"));
    }
    connection.commit();
    return rows;
  }

  private static String text(String name) throws IOException {
    try (InputStream in = resource(name)) {
      return new String(in.readAllBytes(), UTF_8);
    }
  }

  private static InputStream resource(String name) {
    InputStream in = SampleDatabase.class.getResourceAsStream(name);
    if (in == null) {
      throw new DemoException(name + " is missing in the demo; build it anew: ./conexor build");
    }
    return in;
  }

  @Override
  public void close() {
    postgres.close();
  }
}
