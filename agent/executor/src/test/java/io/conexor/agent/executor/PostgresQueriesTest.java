package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.api.database.LocalPostgres;
import io.conexor.protocol.agent.AgentMessage;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a backend sees of calls to a PostgreSQL. */
class PostgresQueriesTest {
  private static LocalPostgres server;
  private static Fixture fixture;
  private static ScriptedLinks.Link link;

  @BeforeAll
  static void start() throws Exception {
    server = LocalPostgres.start();
    try (Connection owner = server.connect()) {
      Fixture.run(owner, Fixture.TABLES);
    }
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", server.url()));
    link = fixture.links.link();
  }

  @AfterAll
  static void stop() {
    if (fixture != null) {
      fixture.close();
    }
    if (server != null) {
      server.close();
    }
  }

  @Test
  void rows_and_the_end_come_in_one_message() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT id, name FROM users WHERE id = ?", 1L);

    assertThat(reply.ok()).containsExactly(List.of(1L, "ann"));
    assertThat(reply.columns).extracting(AgentMessage.Column::name).containsExactly("id", "name");
    assertThat(reply.messages).isOne();
    assertThat(reply.end.rowCount()).isOne();
    assertThat(reply.end.truncated()).isFalse();
  }

  @Test
  void truncated_is_exact() {
    List<Object> none = List.of();
    String sql = "SELECT id FROM users ORDER BY id";

    ScriptedLinks.Reply all = link.query("shop", sql, none, 3, 1 << 20, 10_000, 8);
    ScriptedLinks.Reply two = link.query("shop", sql, none, 2, 1 << 20, 10_000, 8);

    assertThat(all.ok()).hasSize(3);
    assertThat(all.end.truncated()).isFalse();
    assertThat(two.ok()).hasSize(2);
    assertThat(two.end.truncated()).isTrue();
  }

  @Test
  void writes_are_refused_by_the_gate() {
    assertThat(link.query("shop", "DELETE FROM users").error()).isEqualTo("sql_not_a_read");
  }

  @Test
  void a_late_statement_is_cancelled() {
    ScriptedLinks.Reply reply =
        link.query(
            "shop",
            "SELECT count(*) FROM generate_series(1, 1000000000) a",
            List.of(),
            10,
            1 << 20,
            300,
            8);

    assertThat(reply.error()).isEqualTo("deadline_exceeded");
    assertThat(Duration.ofNanos(reply.end.elapsedMicros() * 1_000))
        .isLessThan(Duration.ofSeconds(3));
  }

  @Test
  void a_mistake_is_explained() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT nothing FROM users");

    assertThat(reply.error()).isEqualTo("sql_error");
    assertThat(reply.end.error().blame()).isEqualTo("CALLER");
    assertThat(reply.end.error().applied()).isEqualTo("NO");
    assertThat(reply.end.error().sqlState()).isEqualTo("42703");
    assertThat(reply.end.error().message()).contains("nothing");
  }

  @Test
  void tables_are_described() {
    List<List<Object>> tables = link.schema("shop").ok();

    assertThat(tables).hasSize(3);
    assertThat(tables.get(0).get(0).toString())
        .contains("\"name\":\"orders\"", "\"refTable\":\"users\"", "\"primaryKey\":[\"id\"]");
  }

  @Test
  void the_role_is_reported() {
    Awaitility.await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> fixture.links.offers.get(0).state() == SourceOffer.State.UP);

    assertThat(fixture.links.offers.get(0).productVersion()).startsWith("PostgreSQL ");
    assertThat(fixture.links.offers.get(0).reason()).contains("can change 2 tables");
  }
}
