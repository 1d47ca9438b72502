package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.api.database.LocalMariaDb;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import java.sql.Connection;
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
import org.junit.jupiter.params.provider.CsvSource;

/** What a backend sees of calls to a MariaDB. */
class MariaDbQueriesTest {
  private static final String SLOW =
      "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq = 0";

  private static LocalMariaDb server;
  private static Connection owner;
  private static Fixture fixture;
  private static ScriptedLinks.Link link;

  @BeforeAll
  static void start() throws Exception {
    server = LocalMariaDb.start();
    try (Connection root = server.connect("")) {
      Fixture.run(
          root,
          List.of(
              "CREATE DATABASE shop CHARACTER SET utf8mb4",
              "CREATE USER reader@localhost",
              "GRANT SELECT ON shop.* TO reader@localhost"));
    }
    owner = server.connect("shop");
    Fixture.run(owner, Fixture.TABLES);
    Fixture.run(
        owner,
        List.of(
            "CREATE TABLE kinds (id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT(1), big BIGINT UNSIGNED,"
                + " price DECIMAL(38, 18), f FLOAT, d DOUBLE, t VARCHAR(100) CHARACTER SET utf8mb4,"
                + " b VARBINARY(10), on_day DATE, at_time TIME(6), at_moment DATETIME(6), doc JSON,"
                + " flag BIT(1), bits BIT(9), u UUID, y YEAR)",
            "INSERT INTO kinds VALUES (1, 5, 18446744073709551615, 12345678901234567890.123456789012345678,"
                + " 0.1, 1.7976931348623157e308, 'a\u00e9\u4e16\ud83d\ude00', x'00ff10', '2024-02-29',"
                + " '-838:59:59.000001', '2024-02-29 12:00:00.000001', '{\"a\": 1.10}', b'1', b'100000001',"
                + " 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 2024)",
            "INSERT INTO kinds (id) VALUES (2)",
            "CREATE FUNCTION harmless() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM orders; RETURN 1; END"));
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", server.url("shop"), "user", "root"));
    link = fixture.links.link();
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

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "id        | DECIMAL   | 1",
        "tiny      | INTEGER   | 5",
        "big       | DECIMAL   | 18446744073709551615",
        "price     | DECIMAL   | 12345678901234567890.123456789012345678",
        "f         | DOUBLE    | 0.1",
        "d         | DOUBLE    | 1.7976931348623157E308",
        "t         | TEXT      | a\u00e9\u4e16\ud83d\ude00",
        "on_day    | DATE      | 2024-02-29",
        "at_time   | TIME      | -838:59:59.000001",
        "at_moment | TIMESTAMP | 2024-02-29T12:00:00.000001",
        "flag      | BOOLEAN   | true",
        "u         | UUID      | a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "y         | INTEGER   | 2024",
      })
  void values_arrive_as_they_are(String column, String type, String expected) {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT " + column + " FROM kinds ORDER BY id");

    assertThat(reply.ok().get(0).get(0)).hasToString(expected);
    assertThat(reply.columns.get(0).type()).isEqualTo(type);
    if (!column.equals("id")) {
      assertThat(reply.rows.get(1).get(0)).isNull();
    }
  }

  @Test
  void bytes_bits_and_documents_arrive() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT b, bits, doc FROM kinds WHERE id = 1");

    assertThat((byte[]) reply.ok().get(0).get(0)).containsExactly(0, -1, 16);
    assertThat((byte[]) reply.rows.get(0).get(1)).containsExactly(1, 1);
    assertThat(reply.rows.get(0).get(2)).isEqualTo("{\"a\": 1.10}");
  }

  @Test
  void parameters_reach_the_server_as_values() {
    assertThat(link.query("shop", "SELECT ?", "x' OR '1'='1\\\" -- \ud83d\ude00").ok())
        .containsExactly(List.of("x' OR '1'='1\\\" -- \ud83d\ude00"));
    assertThat(link.query("shop", "SELECT id FROM users WHERE id = ?", 1L).ok()).hasSize(1);
    assertThat(link.query("shop", "SELECT id FROM users WHERE name = ?", "x' OR 'a'='a").ok())
        .isEmpty();
    assertThat(
            link.query("shop", "SELECT big FROM kinds WHERE big = ?", "18446744073709551615").ok())
        .hasSize(1);
    assertThat(link.query("shop", "SELECT id FROM users WHERE email <=> ?", (Object) null).ok())
        .hasSize(1);
    assertThat(link.query("shop", "SELECT ? + 1", 1.5).ok()).hasSize(1);
    assertThat(link.query("shop", "SELECT tiny FROM kinds WHERE ?", true).ok()).hasSize(2);
    ScriptedLinks.Reply list =
        link.query("shop", "SELECT id FROM users WHERE id IN (?)", List.of(1L));
    assertThat(list.error()).isEqualTo("sql_error");
    assertThat(list.await().error().message()).contains("IN (?, ?, ...)");
  }

  @Test
  void truncated_is_exact_and_the_rest_is_not_read() {
    ScriptedLinks.Reply cut = ask("SELECT seq FROM seq_1_to_1000000000", 10);
    ScriptedLinks.Reply exact = ask("SELECT seq FROM seq_1_to_10", 10);
    ScriptedLinks.Reply one = ask("SELECT seq FROM seq_1_to_11", 10);

    assertThat(cut.ok()).hasSize(10);
    assertThat(cut.await().truncated()).isTrue();
    assertThat(exact.ok()).hasSize(10);
    assertThat(exact.await().truncated()).isFalse();
    assertThat(one.ok()).hasSize(10);
    assertThat(one.await().truncated()).isTrue();
  }

  private static ScriptedLinks.Reply ask(String sql, long maxRows) {
    return link.query("shop", sql, List.of(), maxRows, 1 << 20, 30_000, 8);
  }

  @Test
  void a_long_result_comes_in_batches_as_fast_as_it_is_read() {
    ScriptedLinks.Reply reply =
        link.stalled("shop", "SELECT seq, repeat('x', 100) FROM seq_1_to_100000", 2);
    Awaitility.await().atMost(Duration.ofSeconds(20)).until(() -> reply.batches == 2);

    while (!reply.hasEnded()) {
      int seen = reply.batches;
      link.credit(2);
      Awaitility.await()
          .pollDelay(Duration.ZERO)
          .pollInterval(Duration.ofMillis(1))
          .until(() -> reply.batches > seen || reply.hasEnded());
    }

    assertThat(reply.await().error()).isNull();
    assertThat(reply.rowCount).isEqualTo(100_000);
  }

  @Test
  void cancel_reaches_the_statement_in_the_database() {
    ScriptedLinks.Reply reply = link.query("shop", SLOW);
    awaitRunning(1);

    link.cancel();

    assertThat(reply.await(Duration.ofSeconds(20)).status()).isEqualTo(CallStatus.CANCELLED);
    awaitRunning(0);
  }

  @Test
  void a_late_statement_is_cancelled() {
    ScriptedLinks.Reply reply = link.query("shop", SLOW, List.of(), 10, 1 << 20, 300, 8);

    assertThat(reply.error()).isEqualTo("deadline_exceeded");
    awaitRunning(0);
  }

  private static void awaitRunning(long count) {
    Awaitility.await()
        .pollInterval(Duration.ofMillis(20))
        .atMost(Duration.ofSeconds(10))
        .until(
            () -> {
              try (Statement statement = owner.createStatement();
                  ResultSet row =
                      statement.executeQuery(
                          "SELECT count(*) FROM information_schema.processlist"
                              + " WHERE info LIKE 'SELECT count(*) FROM seq%'")) {
                row.next();
                return row.getLong(1) == count;
              }
            });
  }

  @Test
  void a_function_that_writes_fails_in_the_transaction() throws SQLException {
    assertThat(link.query("shop", "SELECT harmless()").error()).isEqualTo("sql_read_only");
    try (Statement statement = owner.createStatement();
        ResultSet row = statement.executeQuery("SELECT count(*) FROM orders")) {
      row.next();
      assertThat(row.getLong(1)).isEqualTo(3);
    }
  }

  @Test
  void the_role_is_reported() {
    fixture.source("reader", Map.of("url", server.url("shop"), "user", "reader"));
    Awaitility.await()
        .atMost(Duration.ofSeconds(10))
        .until(
            () ->
                fixture.links.offers.stream()
                    .allMatch(offer -> offer.state() == SourceOffer.State.UP));

    assertThat(offer("shop").reason()).contains("all privileges on *.*");
    assertThat(offer("shop").engine()).isEqualTo("mariadb");
    assertThat(offer("reader").reason()).isEmpty();
  }

  private static SourceOffer offer(String name) {
    return fixture.links.offers.stream()
        .filter(offer -> offer.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void tables_are_described() {
    List<List<Object>> tables = link.schema("shop").ok();

    assertThat(tables).hasSize(4);
    assertThat(tables.get(1).get(0).toString())
        .contains(
            "\"name\":\"orders\"",
            "\"refTable\":\"users\"",
            "\"primaryKey\":[\"id\"]",
            "\"engineType\":\"decimal(12,2)\"");
    assertThat(tables.get(2).get(0).toString()).contains("\"kind\":\"view\"");
  }

  @Test
  void a_mistake_is_explained() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT nothing FROM users");

    assertThat(reply.error()).isEqualTo("sql_error");
    assertThat(reply.await().error().sqlState()).isEqualTo("42S22");
    assertThat(reply.columns).extracting(AgentMessage.Column::name).isEmpty();
  }
}
