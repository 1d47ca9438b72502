package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a backend sees of calls to an SQLite file. */
class SqliteQueriesTest {
  private static final String SLOW =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

  @TempDir Path folder;
  private Fixture fixture;
  private ScriptedLinks.Link link;

  @BeforeEach
  void start() throws Exception {
    String url = "jdbc:sqlite:" + folder.resolve("shop.db");
    try (Connection owner = DriverManager.getConnection(url)) {
      Fixture.run(owner, Fixture.TABLES);
      Fixture.run(
          owner,
          List.of(
              "CREATE TABLE kinds (i INTEGER, r REAL, t TEXT, b BLOB, n NUMERIC, anything)",
              "INSERT INTO kinds VALUES (9223372036854775807, 0.1, 'a\u00e9\u4e16\ud83d\ude00', x'00ff10', 1.5, 7)",
              "INSERT INTO kinds VALUES (NULL, NULL, NULL, NULL, NULL, 'seven')"));
    }
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", url));
    link = fixture.links.link();
  }

  @AfterEach
  void stop() {
    if (fixture != null) {
      fixture.close();
    }
  }

  @Test
  void values_arrive_as_they_are() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT i, r, t, n, anything, b FROM kinds");

    assertThat(reply.ok().get(0).subList(0, 5))
        .isEqualTo(Arrays.asList(Long.MAX_VALUE, 0.1, "a\u00e9\u4e16\ud83d\ude00", 1.5, 7L));
    assertThat((byte[]) reply.rows.get(0).get(5)).containsExactly(0, -1, 16);
    assertThat(reply.rows.get(1)).isEqualTo(Arrays.asList(null, null, null, null, "seven", null));
  }

  @Test
  void parameters_reach_the_engine_as_values() {
    assertThat(link.query("shop", "SELECT ?", "'; DROP TABLE kinds; --").ok())
        .containsExactly(List.of("'; DROP TABLE kinds; --"));
    assertThat(link.query("shop", "SELECT t FROM kinds WHERE i = ?", Long.MAX_VALUE).ok())
        .hasSize(1);
    assertThat(link.query("shop", "SELECT t FROM kinds WHERE i IS ?", (Object) null).ok())
        .hasSize(1);
    assertThat(link.query("shop", "SELECT typeof(?), ? + 1", true, 1.5).ok())
        .containsExactly(List.of("integer", 2.5));
    assertThat(link.query("shop", "SELECT ?", List.of(1L)).error()).isEqualTo("sql_error");
  }

  @Test
  void truncated_is_exact() {
    String numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n";

    ScriptedLinks.Reply cut =
        link.query("shop", numbers.formatted(6), List.of(), 5, 1 << 20, 10_000, 8);
    ScriptedLinks.Reply whole =
        link.query("shop", numbers.formatted(5), List.of(), 5, 1 << 20, 10_000, 8);

    assertThat(cut.ok()).hasSize(5);
    assertThat(cut.await().truncated()).isTrue();
    assertThat(whole.ok()).hasSize(5);
    assertThat(whole.await().truncated()).isFalse();
  }

  @Test
  void cancel_and_deadline_reach_the_statement() {
    ScriptedLinks.Reply late = link.query("shop", SLOW, List.of(), 10, 1 << 20, 200, 8);
    assertThat(late.error()).isEqualTo("deadline_exceeded");
    ScriptedLinks.Reply cancelled = link.query("shop", SLOW);
    Awaitility.await().until(() -> fixture.executor.inFlight().getAsInt() == 1);

    link.cancel();

    assertThat(cancelled.await(Duration.ofSeconds(10)).status()).isEqualTo(CallStatus.CANCELLED);
  }

  @Test
  void tables_are_described() {
    List<List<Object>> tables = link.schema("shop").ok();

    assertThat(tables).hasSize(4);
    assertThat(tables.toString())
        .contains("\"refTable\":\"users\"", "\"kind\":\"view\"", "\"primaryKey\":[\"id\"]");
  }

  @Test
  void a_file_that_is_not_there_is_told() {
    fixture.source(
        "missing",
        Map.of("url", "jdbc:sqlite:" + folder.resolve("no.db"), "connect.timeout.ms", 300));
    Awaitility.await()
        .atMost(Duration.ofSeconds(10))
        .until(
            () ->
                fixture.links.offers.stream()
                    .anyMatch(offer -> offer.state() == SourceOffer.State.DOWN));

    assertThat(link.query("missing", "SELECT 1").error()).isEqualTo("source_unreachable");
  }
}
