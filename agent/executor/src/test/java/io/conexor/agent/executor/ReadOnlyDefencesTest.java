package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.api.database.LocalPostgres;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each of the three defences holds where the one before it does not. */
class ReadOnlyDefencesTest {
  private static LocalPostgres server;
  private static Connection owner;
  private static Fixture fixture;

  @BeforeAll
  static void start() throws Exception {
    server = LocalPostgres.start();
    owner = server.connect();
    Fixture.run(owner, Fixture.TABLES);
    Fixture.run(
        owner,
        List.of(
            // what no parser can see: a function of the owner's that writes
            "CREATE FUNCTION harmless() RETURNS int LANGUAGE plpgsql AS"
                + " 'BEGIN DELETE FROM orders; RETURN 1; END'",
            "CREATE FUNCTION loosen() RETURNS text LANGUAGE sql AS"
                + " $$SELECT set_config('default_transaction_read_only', 'off', false)$$",
            "CREATE FUNCTION loosen_now() RETURNS text LANGUAGE sql AS"
                + " $$SELECT set_config('transaction_read_only', 'off', false)$$"));
    try (Connection root = asRoot()) {
      Fixture.run(
          root,
          List.of(
              "CREATE ROLE reader LOGIN",
              "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
              "CREATE ROLE writer LOGIN",
              "GRANT SELECT, INSERT ON users TO writer"));
    }
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", server.url()));
  }

  @AfterAll
  static void stop() throws Exception {
    if (fixture != null) {
      fixture.close();
    }
    if (owner != null) {
      owner.close();
    }
    if (server != null) {
      server.close();
    }
  }

  private static String as(String role) {
    return "jdbc:postgresql://127.0.0.1:" + server.port() + "/conexor?user=" + role;
  }

  private static Connection asRoot() throws SQLException {
    return java.sql.DriverManager.getConnection(as("postgres"));
  }

  private static long orders() throws SQLException {
    try (Statement statement = owner.createStatement();
        ResultSet row = statement.executeQuery("SELECT count(*) FROM orders")) {
      row.next();
      return row.getLong(1);
    }
  }

  @Test
  void a_function_that_writes_passes_the_gate_and_fails_in_the_transaction() throws Exception {
    ScriptedLinks.Reply small = fixture.links.link().query("shop", "SELECT harmless()");
    ScriptedLinks.Reply large =
        fixture
            .links
            .link()
            .query("shop", "SELECT harmless()", List.of(), 50_000, 1 << 20, 10_000, 8);

    assertThat(small.error()).isEqualTo("sql_read_only");
    assertThat(large.error()).isEqualTo("sql_read_only");
    assertThat(small.await().error().blame()).isEqualTo("CALLER");
    assertThat(orders()).isEqualTo(3);
  }

  @Test
  void a_function_that_switches_the_default_off_opens_nothing() throws Exception {
    ScriptedLinks.Link link = fixture.links.link();
    for (int i = 0; i < 20; i++) {
      link.query("shop", "SELECT loosen()").ok();
      assertThat(link.query("shop", "SELECT loosen_now()").error()).isEqualTo("sql_error");
      assertThat(link.query("shop", "SELECT harmless()").error()).isEqualTo("sql_read_only");
    }

    assertThat(orders()).isEqualTo(3);
  }

  /** What the gate refuses, sent as the runner would send it had the gate let it through. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "DELETE FROM orders",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copy_of_orders FROM orders",
        "SELECT nextval('s')",
        "COMMIT; DELETE FROM orders",
        "ROLLBACK; DELETE FROM orders; BEGIN",
        "SELECT 1; COMMIT; DROP TABLE orders CASCADE; BEGIN",
        "DO $$BEGIN DELETE FROM orders; END$$",
        "TRUNCATE orders",
        "CREATE TABLE x (a int)",
        "COPY orders FROM PROGRAM 'echo'",
      })
  void what_goes_around_the_gate_meets_the_transaction(String sql) throws Exception {
    SourceSettings settings =
        SourceSettings.checked(
            SourceConfig.PID + "~shop", Fixture.config(Map.of("url", server.url())));
    Engine engine = new Engine(settings);
    try (Connection session =
            new DriverDataSource(settings, Fixture.DRIVERS, engine).getConnection();
        PreparedStatement statement =
            session.prepareStatement("BEGIN READ ONLY; " + sql + "; COMMIT")) {
      statement.execute();
      while (statement.getMoreResults() || statement.getUpdateCount() != -1) {
        // all of them
      }
    } catch (SQLException expected) {
      assertThat(expected.getSQLState()).isIn("25006", "42P01", "42501", "25001");
    }
    assertThat(orders()).isEqualTo(3);
  }

  @Test
  void the_probe_says_what_the_role_could_do() {
    fixture.source("root", Map.of("url", as("postgres")));
    fixture.source("writer", Map.of("url", as("writer")));
    fixture.source("reader", Map.of("url", as("reader")));
    fixture.source("open", Map.of("url", as("writer"), "read.only", false));
    Awaitility.await()
        .atMost(Duration.ofSeconds(15))
        .until(
            () ->
                fixture.links.offers.stream()
                    .allMatch(offer -> offer.state() == SourceOffer.State.UP));

    assertThat(reason("root")).contains("is a superuser");
    assertThat(reason("writer")).contains("can change 1 tables (public.users");
    assertThat(reason("reader")).isEmpty();
    assertThat(
            fixture.links.offers.stream()
                .filter(offer -> offer.name().equals("open"))
                .allMatch(SourceOffer::isReadOnly))
        .isFalse();
  }

  private static String reason(String source) {
    return fixture.links.offers.stream()
        .filter(offer -> offer.name().equals(source))
        .findFirst()
        .orElseThrow()
        .reason();
  }

  @Test
  void the_role_is_the_last_defence() throws Exception {
    fixture.source("last", Map.of("url", as("reader"), "read.only", false));

    assertThat(fixture.links.link().query("last", "DELETE FROM orders").error())
        .isEqualTo("sql_error");
    assertThat(orders()).isEqualTo(3);
  }

  @Test
  void a_source_that_may_write_says_so_and_writes() throws Exception {
    fixture.source("free", Map.of("url", server.url(), "read.only", false));

    ScriptedLinks.Reply reply =
        fixture
            .links
            .link()
            .query("free", "UPDATE users SET email = ? WHERE id = ?", "ann@example.net", 1L);

    assertThat(reply.ok()).containsExactly(List.of(1L));
  }
}
