package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalMariaDb;
import io.conexor.api.database.LocalPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The corpus against real engines: what is allowed runs, and what is refused changes nothing even
 * when the gate is not there, because the second defence holds.
 */
class EnginesTest {
  @TempDir Path folder;

  @Test
  void postgresql_runs_what_is_allowed_and_writes_nothing() throws Exception {
    try (LocalPostgres server = LocalPostgres.start();
        Connection owner = server.connect()) {
      Fixture.run(owner, Fixture.TABLES);
      Fixture.run(
          owner,
          List.of(
              "CREATE TABLE docs (id INTEGER PRIMARY KEY, doc JSONB, tags TEXT[])",
              "INSERT INTO docs VALUES (1, '{\"a\": 1}', '{x,y}')",
              "CREATE SEQUENCE s"));

      check(Dialect.POSTGRESQL, server.url(), owner);
    }
  }

  @Test
  void mariadb_runs_what_is_allowed_and_writes_nothing() throws Exception {
    try (LocalMariaDb server = LocalMariaDb.start();
        Connection root = server.connect("")) {
      Fixture.run(root, List.of("CREATE DATABASE shop CHARACTER SET utf8mb4"));
      try (Connection owner = server.connect("shop")) {
        Fixture.run(owner, Fixture.TABLES);
        Fixture.run(
            owner,
            List.of(
                "CREATE TABLE docs (id INTEGER PRIMARY KEY, doc JSON)",
                "INSERT INTO docs VALUES (1, '{\"a\": 1}')",
                "ALTER TABLE users ADD FULLTEXT (name)",
                "CREATE SEQUENCE s"));

        check(Dialect.MYSQL, server.url("shop") + "?user=root", owner);
      }
    }
  }

  @Test
  void sqlite_runs_what_is_allowed_and_writes_nothing() throws Exception {
    String url = "jdbc:sqlite:" + folder.resolve("shop.db");
    try (Connection owner = DriverManager.getConnection(url)) {
      Fixture.run(owner, Fixture.TABLES);
      Fixture.run(
          owner,
          List.of(
              "CREATE TABLE docs (id INTEGER PRIMARY KEY, doc TEXT)",
              "INSERT INTO docs VALUES (1, '{\"a\": 1}')"));

      check(Dialect.SQLITE, url, owner);
    }
  }

  @Test
  void h2_runs_what_is_allowed_and_writes_nothing() throws Exception {
    String url =
        "jdbc:h2:mem:engines;DB_CLOSE_DELAY=-1;NON_KEYWORDS=VALUE;CASE_INSENSITIVE_IDENTIFIERS=TRUE";
    try (Connection owner = DriverManager.getConnection(url)) {
      Fixture.run(owner, Fixture.TABLES);

      // DDL commits in H2, so only data is compared here; a read-only file covers the rest
      check(Dialect.H2, url, owner);
    }
  }

  @Test
  void h2_file_is_opened_for_reading_when_the_url_says_so() throws Exception {
    String file = "jdbc:h2:" + folder.resolve("shop");
    try (Connection owner = DriverManager.getConnection(file)) {
      Fixture.run(owner, Fixture.TABLES);
    }
    try (Fixture fixture = new Fixture()) {
      fixture.source("h2", Map.of("url", file + ";ACCESS_MODE_DATA=r"));
      ScriptedLinks.Link link = fixture.links.link();

      assertThat(link.query("h2", "SELECT COUNT(*) FROM users").ok()).containsExactly(List.of(3L));
    }
  }

  private void check(Dialect dialect, String url, Connection owner) throws Exception {
    String before = fingerprint(owner);
    List<String> failed = new ArrayList<>();
    try (Fixture fixture = new Fixture()) {
      fixture.source("shop", Map.of("url", url, "max.time.ms", 5_000));
      ScriptedLinks.Link link = fixture.links.link();
      for (Corpus.Entry entry : Corpus.of(dialect)) {
        if (!entry.allowed() || !entry.runs()) {
          continue;
        }
        int parameters = (int) entry.sql().replace("??", "").chars().filter(c -> c == '?').count();
        List<Object> values = new ArrayList<>();
        for (int i = 0; i < parameters; i++) {
          values.add(entry.sql().contains("name =") ? "x" : (Object) 1L);
        }
        ScriptedLinks.Reply reply =
            link.query("shop", entry.sql(), values, 100, 1L << 30, 10_000, 100);
        if (reply.await().error() != null) {
          failed.add(entry.line() + "\n    -> " + reply.await().error());
        }
      }
      assertThat(failed).isEmpty();
    }
    secondDefence(dialect, url);
    assertThat(fingerprint(owner)).isEqualTo(before);
  }

  /** Sends what the gate refuses straight to a session of the pool's kind. */
  private static void secondDefence(Dialect dialect, String url) throws Exception {
    SourceSettings settings =
        SourceSettings.checked(SourceConfig.PID + "~shop", Fixture.config(Map.of("url", url)));
    Engine engine = new Engine(settings);
    DriverDataSource sessions = new DriverDataSource(settings, Fixture.DRIVERS, engine);
    for (Corpus.Entry entry : Corpus.of(dialect)) {
      boolean waits =
          entry
              .sql()
              .toUpperCase(java.util.Locale.ROOT)
              .matches(
                  "(?s).*(SLEEP|LOCK|WAIT|BENCHMARK|CANCEL|ABORT|SHUTDOWN|TERMINATE|KILL|RELOAD|PROMOTE|ROTATE|SWITCH|CHECKPOINT|IMPORT|EXPORT|FLUSH|RESET|PROGRAM|/TMP|HTTP|SCHEMA|PURGE|BACKUP|SCRIPT|SET |REPLICATION).*");
      if (entry.allowed() || waits || entry.sql().contains("\u0000")) {
        continue;
      }
      boolean ddl =
          dialect == Dialect.H2
              && entry
                  .sql()
                  .matches(
                      "(?is).*\\b(CREATE|DROP|ALTER|TRUNCATE|GRANT|REVOKE|COMMIT|RUNSCRIPT|COMMENT)\\b.*");
      if (ddl || entry.sql().contains(";")) {
        continue;
      }
      try (Connection session = sessions.getConnection()) {
        if (engine.transaction(1) == Engine.Transaction.EXPLICIT) {
          engine.begin(session, true);
        }
        try (var statement = session.createStatement()) {
          statement.execute(entry.sql());
        } catch (java.sql.SQLException expected) {
          // refused by the engine; whether it was is seen in the data
        }
        if (!session.getAutoCommit()) {
          session.rollback();
        }
      }
    }
  }

  private static String fingerprint(Connection owner) throws Exception {
    StringBuilder all = new StringBuilder();
    for (String sql :
        List.of("SELECT * FROM users ORDER BY id", "SELECT * FROM orders ORDER BY id")) {
      try (var statement = owner.createStatement();
          var rows = statement.executeQuery(sql)) {
        int columns = rows.getMetaData().getColumnCount();
        while (rows.next()) {
          for (int i = 1; i <= columns; i++) {
            all.append(rows.getString(i)).append('|');
          }
          all.append('\n');
        }
      }
    }
    assertThat(Files.exists(Path.of("/tmp/x"))).isFalse();
    return all.toString();
  }
}
