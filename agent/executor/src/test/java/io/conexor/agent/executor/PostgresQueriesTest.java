package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.api.database.LocalPostgres;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a backend sees of calls to a PostgreSQL: limits, batches, cancel, deadline, errors. */
class PostgresQueriesTest {
  private static final String SLOW = "SELECT count(*) FROM numbers a, numbers b, numbers c";

  private static LocalPostgres server;
  private static Connection owner;
  private static Fixture fixture;
  private static ScriptedLinks.Link link;

  @BeforeAll
  static void start() throws Exception {
    server = LocalPostgres.start();
    owner = server.connect();
    Fixture.run(owner, Fixture.TABLES);
    Fixture.run(
        owner,
        List.of(
            "CREATE TABLE numbers AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 100000) n"));
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", server.url(), "max.concurrent", 4, "max.queued", 4));
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

  private static ScriptedLinks.Reply ask(String sql, long maxRows, long maxBytes, int window) {
    return link.query("shop", sql, List.of(), maxRows, maxBytes, 30_000, window);
  }

  /** Statements of the agent that the database is running now. */
  private static long running() {
    try (Statement statement = owner.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT count(*) FROM pg_stat_activity"
                    + " WHERE application_name = 'conexor-agent' AND state = 'active'"
                    + " AND backend_type = 'client backend' AND query LIKE '%numbers%'")) {
      row.next();
      return row.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static void awaitRunning(long count) {
    Awaitility.await()
        .pollInterval(Duration.ofMillis(20))
        .atMost(Duration.ofSeconds(10))
        .until(() -> running() == count);
  }

  @Test
  void rows_and_the_end_come_in_one_message() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT id, name FROM users WHERE id = ?", 1L);

    assertThat(reply.ok()).containsExactly(List.of(1L, "ann"));
    assertThat(reply.columns).extracting(AgentMessage.Column::name).containsExactly("id", "name");
    assertThat(reply.messages).isOne();
    assertThat(reply.await().rowCount()).isOne();
    assertThat(reply.await().truncated()).isFalse();
  }

  @Test
  void no_rows_still_come_with_their_columns() {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT id FROM users WHERE id = 0");

    assertThat(reply.ok()).isEmpty();
    assertThat(reply.columns).hasSize(1);
  }

  @Test
  void truncated_is_exact() {
    String sql = "SELECT id FROM users ORDER BY id";

    assertThat(ask(sql, 4, 1 << 20, 8).await().truncated()).isFalse();
    assertThat(ask(sql, 3, 1 << 20, 8).await().truncated()).isFalse();
    ScriptedLinks.Reply two = ask(sql, 2, 1 << 20, 8);
    assertThat(two.ok()).containsExactly(List.of(1L), List.of(2L));
    assertThat(two.await().truncated()).isTrue();
    assertThat(ask(sql + " LIMIT 3", 2, 1 << 20, 8).await().truncated()).isTrue();
    assertThat(ask(sql + " LIMIT 2", 2, 1 << 20, 8).await().truncated()).isFalse();
  }

  @Test
  void truncated_is_exact_behind_a_cursor() {
    ScriptedLinks.Reply cut = ask("SELECT n FROM numbers", 5_000, 1L << 30, 100);
    ScriptedLinks.Reply whole = ask("SELECT n FROM numbers LIMIT 5000", 5_000, 1L << 30, 100);

    assertThat(cut.ok()).hasSize(5_000);
    assertThat(cut.await().truncated()).isTrue();
    assertThat(whole.ok()).hasSize(5_000);
    assertThat(whole.await().truncated()).isFalse();
  }

  @Test
  void the_ceiling_of_the_source_holds_whatever_is_asked_for() {
    fixture.source("small", Map.of("url", server.url(), "max.rows", 10, "max.bytes", 65_536));

    ScriptedLinks.Reply rows =
        link.query("small", "SELECT n FROM numbers", List.of(), 1_000, 1 << 30, 30_000, 8);
    ScriptedLinks.Reply bytes =
        link.query(
            "small",
            "SELECT repeat(filler, 20) FROM numbers",
            List.of(),
            1_000,
            1 << 30,
            30_000,
            8);

    assertThat(rows.ok()).hasSize(10);
    assertThat(rows.await().truncated()).isTrue();
    assertThat(bytes.ok()).hasSize(3);
    assertThat(bytes.await().truncated()).isTrue();
  }

  @Test
  void the_byte_limit_cuts_between_rows() {
    ScriptedLinks.Reply reply = ask("SELECT n, filler FROM numbers ORDER BY n", 1_000, 10_000, 8);

    assertThat(reply.ok()).hasSize(9);
    assertThat(reply.await().truncated()).isTrue();
    assertThat(reply.bytes).isLessThan(11_000);
  }

  @Test
  void wide_rows_of_a_small_result_still_fit_into_memory() {
    ScriptedLinks.Reply reply =
        ask("SELECT repeat(filler, 1000) FROM numbers LIMIT 60", 100, 1L << 30, 1_000);
    reply.keepRows = false;

    reply.ok();
    assertThat(reply.rowCount).isEqualTo(60);
    assertThat(reply.bytes).isGreaterThan(60_000_000L);
  }

  @Test
  void a_row_beyond_a_message_is_refused() {
    ScriptedLinks.Reply reply = ask("SELECT repeat('x', 5000000)", 1, 1L << 30, 8);

    assertThat(reply.error()).isEqualTo("row_too_large");
    assertThat(reply.await().error().blame()).isEqualTo("CALLER");
  }

  /** 100 MB of rows pass through with little memory, because unread batches stop the worker. */
  @Test
  void a_slow_reader_holds_the_worker_and_not_the_memory() {
    ScriptedLinks.Reply reply = link.stalled("shop", "SELECT n, filler FROM numbers", 2);

    Awaitility.await().atMost(Duration.ofSeconds(10)).until(() -> reply.batches == 2);
    long before = usedMemory();
    long most = 0;
    int seen = 2;
    while (!reply.hasEnded()) {
      // never more in flight than the window
      assertThat(reply.batches).isLessThanOrEqualTo(seen);
      seen += 2;
      link.credit(2);
      int until = seen;
      Awaitility.await()
          .pollDelay(Duration.ZERO)
          .pollInterval(Duration.ofMillis(1))
          .atMost(Duration.ofSeconds(10))
          .until(() -> reply.batches >= until || reply.hasEnded());
      if (seen % 200 == 0) {
        most = Math.max(most, usedMemory() - before);
      }
    }

    reply.ok();
    assertThat(reply.rowCount).isEqualTo(100_000);
    assertThat(reply.bytes).isGreaterThan(100_000_000L);
    assertThat(most).isLessThan(16L << 20);
  }

  private static long usedMemory() {
    Runtime runtime = Runtime.getRuntime();
    System.gc();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  @Test
  void a_full_link_holds_the_worker() {
    link.isFull = true;
    try {
      ScriptedLinks.Reply reply = link.query("shop", "SELECT 1");
      Awaitility.await()
          .during(Duration.ofMillis(100))
          .atMost(Duration.ofSeconds(1))
          .until(() -> !reply.hasEnded());
      link.isFull = false;

      assertThat(reply.ok()).hasSize(1);
    } finally {
      link.isFull = false;
    }
  }

  @Test
  void cancel_reaches_the_statement_in_the_database() {
    ScriptedLinks.Reply reply = link.query("shop", SLOW);
    awaitRunning(1);

    link.cancel();

    assertThat(reply.await(Duration.ofSeconds(20)).status()).isEqualTo(CallStatus.CANCELLED);
    awaitRunning(0);
    assertThat(link.query("shop", "SELECT 1").ok()).hasSize(1);
  }

  @Test
  void cancel_reaches_a_call_that_waits() {
    List<ScriptedLinks.Reply> slow = new ArrayList<>();
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      slow.add(link.query("shop", SLOW));
      ids.add(link.lastId);
    }
    awaitRunning(4);
    ScriptedLinks.Reply waiting = link.query("shop", "SELECT 1");

    link.cancel();

    assertThat(waiting.await(Duration.ofSeconds(20)).status()).isEqualTo(CallStatus.CANCELLED);
    ids.forEach(link::cancel);
    slow.forEach(reply -> assertThat(reply.error()).isEqualTo("cancelled"));
    awaitRunning(0);
  }

  @Test
  void cancel_reaches_a_call_that_waits_for_credit() {
    ScriptedLinks.Reply reply = link.stalled("shop", "SELECT n, filler FROM numbers", 1);
    Awaitility.await().atMost(Duration.ofSeconds(10)).until(() -> reply.batches == 1);

    link.cancel();

    assertThat(reply.await(Duration.ofSeconds(20)).status()).isEqualTo(CallStatus.CANCELLED);
  }

  @Test
  void a_lost_link_stops_its_statements() {
    ScriptedLinks.Link lost = fixture.links.link();
    ScriptedLinks.Reply unheard = lost.query("shop", SLOW);
    awaitRunning(1);

    lost.close();

    awaitRunning(0);
    assertThat(unheard.hasEnded()).isFalse();
    Awaitility.await().until(() -> fixture.executor.inFlight().getAsInt() == 0);
  }

  @Test
  void a_late_statement_is_cancelled() {
    ScriptedLinks.Reply reply = link.query("shop", SLOW, List.of(), 10, 1 << 20, 300, 8);

    assertThat(reply.error()).isEqualTo("deadline_exceeded");
    assertThat(Duration.ofNanos(reply.await().elapsedMicros() * 1_000))
        .isBetween(Duration.ofMillis(290), Duration.ofSeconds(3));
    awaitRunning(0);
  }

  @Test
  void the_ceiling_on_time_is_told_apart_from_the_deadline() {
    fixture.source("brief", Map.of("url", server.url(), "max.time.ms", 200));

    ScriptedLinks.Reply reply = link.query("brief", SLOW);

    assertThat(reply.error()).isEqualTo("time_limit");
    assertThat(reply.await().error().message()).contains("200 ms");
  }

  @Test
  void beyond_places_and_queue_a_call_is_refused_at_once() {
    List<ScriptedLinks.Reply> taken = new ArrayList<>();
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      taken.add(link.query("shop", SLOW));
      ids.add(link.lastId);
    }
    awaitRunning(4);
    for (int i = 0; i < 4; i++) {
      taken.add(link.query("shop", SLOW));
      ids.add(link.lastId);
    }

    ScriptedLinks.Reply refused = link.query("shop", "SELECT 1");

    assertThat(refused.await(Duration.ofSeconds(10)).error().code()).isEqualTo("source_busy");
    assertThat(refused.await().error().blame()).isEqualTo("CAPACITY");
    assertThat(refused.await().error().applied()).isEqualTo("NO");
    assertThat(refused.await().error().message()).contains("runs 4 statements and 4 more wait");
    ids.forEach(link::cancel);
    taken.forEach(reply -> assertThat(reply.error()).isEqualTo("cancelled"));
    awaitRunning(0);
  }

  @Test
  void many_calls_at_once_are_each_answered_with_their_own_rows() {
    for (int round = 0; round < 50; round++) {
      List<ScriptedLinks.Reply> replies = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        replies.add(link.query("shop", "SELECT ?::int", (long) (round * 10 + i)));
      }
      for (int i = 0; i < 6; i++) {
        assertThat(replies.get(i).ok()).containsExactly(List.of((long) (round * 10 + i)));
      }
    }
  }

  @Test
  void a_mistake_is_explained_without_the_values() {
    ScriptedLinks.Reply column = link.query("shop", "SELECT nothing FROM users");
    ScriptedLinks.Reply value =
        link.query("shop", "SELECT id FROM users WHERE id = ?", "secret-value");

    assertThat(column.error()).isEqualTo("sql_error");
    assertThat(column.await().error().blame()).isEqualTo("CALLER");
    assertThat(column.await().error().applied()).isEqualTo("NO");
    assertThat(column.await().error().sqlState()).isEqualTo("42703");
    assertThat(column.await().error().message()).contains("nothing");
    assertThat(value.error()).isEqualTo("sql_error");
    assertThat(value.await().error().message()).doesNotContain("secret-value");
    assertThat(link.query("shop", "SELECT 1 / 0").error()).isEqualTo("sql_error");
    assertThat(link.query("shop", "SELECT 1").ok()).hasSize(1);
  }

  @Test
  void an_unknown_source_is_told() {
    assertThat(link.query("elsewhere", "SELECT 1").error()).isEqualTo("source_not_here");
  }

  @Test
  void lists_of_nulls_and_values_are_bound() {
    assertThat(
            link.query("shop", "SELECT name FROM users WHERE id = ANY (?)", Arrays.asList(1L, null))
                .ok())
        .containsExactly(List.of("ann"));
  }

  @Test
  void the_role_is_reported() {
    Awaitility.await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> offer("shop").state() == SourceOffer.State.UP);

    assertThat(offer("shop").productVersion()).startsWith("PostgreSQL ");
    assertThat(offer("shop").reason()).contains("can change 3 tables");
    assertThat(offer("shop").maxConcurrent()).isEqualTo(4);
    assertThat(offer("shop").isReadOnly()).isTrue();
  }

  private static SourceOffer offer(String name) {
    return fixture.links.offers.stream()
        .filter(offer -> offer.name().equals(name))
        .findFirst()
        .orElseThrow();
  }
}
