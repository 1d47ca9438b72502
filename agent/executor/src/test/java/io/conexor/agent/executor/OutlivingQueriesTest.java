package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Life;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Queries that lose their link, and those who come back for them, on a real PostgreSQL. */
@Timeout(60)
class OutlivingQueriesTest {

  private static LocalPostgres server;
  private static Connection owner;

  private Fixture fixture;
  private ScriptedLinks.Link first;
  private ScriptedLinks.Link second;

  @BeforeAll
  static void startServer() throws Exception {
    server = LocalPostgres.start();
    owner = server.connect();
    Fixture.run(
        owner,
        List.of(
            "CREATE TABLE runs (at timestamptz DEFAULT clock_timestamp())",
            "CREATE TABLE numbers AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 30000) n"));
  }

  @AfterAll
  static void stopServer() throws Exception {
    if (owner != null) {
      owner.close();
    }
    if (server != null) {
      server.close();
    }
  }

  @BeforeEach
  void start() {
    start(Keeper.Limits.DEFAULT);
  }

  private void start(Keeper.Limits limits) {
    fixture = new Fixture(limits);
    fixture.source(
        "shop",
        Map.of(
            "url",
            server.url(),
            "max.concurrent",
            4,
            "functions.allowed",
            new String[] {"pg_sleep"}));
    fixture.source("shop-rw", Map.of("url", server.url(), "read.only", false));
    first = fixture.links.link();
    second = fixture.links.link();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  /** Each run gives another value, so the same value is the same run. */
  private static String slow(double seconds) {
    return "SELECT clock_timestamp()::text AS began, pg_sleep(" + seconds + ")::text";
  }

  private static long active() {
    return number(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'conexor-agent'"
            + " AND state = 'active' AND query LIKE '%pg_sleep%'");
  }

  private static long number(String sql) {
    try (Statement statement = owner.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static void awaitActive(long count) {
    Awaitility.await()
        .pollInterval(Duration.ofMillis(10))
        .atMost(Duration.ofSeconds(5))
        .until(() -> active() == count);
  }

  private void awaitOneHeld() {
    Awaitility.await()
        .pollInterval(Duration.ofMillis(10))
        .atMost(Duration.ofSeconds(5))
        .until(() -> fixture.executor.held().size() == 1);
  }

  @Test
  void a_request_whose_link_is_lost_goes_on_and_is_read_by_the_next_that_is_like_it() {
    UUID id = UUID.randomUUID();
    ScriptedLinks.Reply lost = first.query(Life.REQUEST, id, "shop", slow(1.2));
    awaitOneHeld();

    first.close();
    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(1.2));

    assertThat(active()).isEqualTo(1);
    assertThat(found.ok()).hasSize(1);
    assertThat(found.await().elapsedMicros()).isGreaterThan(1_100_000);
    assertThat(lost.hasEnded()).isFalse();
    // the one that came back had less to wait for
    assertThat(active()).isZero();
  }

  @Test
  void a_young_request_whose_link_is_lost_is_found_too() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(0.6));
    awaitActive(1);

    first.close();
    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(0.6));

    assertThat(active()).isEqualTo(1);
    assertThat(found.ok()).hasSize(1);
  }

  @Test
  void a_result_that_nobody_heard_is_read_by_the_next_request_that_is_like_it() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(0.6));
    awaitActive(1);
    first.close();
    awaitActive(0);

    long before = System.nanoTime();
    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(0.6));

    assertThat(found.ok()).hasSize(1);
    assertThat(Duration.ofNanos(System.nanoTime() - before)).isLessThan(Duration.ofMillis(500));
  }

  @Test
  void while_its_backend_lives_the_same_request_again_runs_anew() {
    UUID id = UUID.randomUUID();
    ScriptedLinks.Reply one = first.query(Life.REQUEST, id, "shop", slow(1));
    awaitOneHeld();
    ScriptedLinks.Reply other = second.query(Life.REQUEST, id, "shop", slow(1));
    awaitActive(2);
    ScriptedLinks.Reply third = second.query(Life.REQUEST, id, "shop", slow(1));
    awaitActive(3);

    assertThat(one.ok().get(0).get(0)).isNotEqualTo(other.ok().get(0).get(0));
    assertThat(third.ok().get(0).get(0)).isNotEqualTo(one.ok().get(0).get(0));
  }

  @Test
  void another_asker_or_another_statement_is_another_request() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(1));
    awaitOneHeld();
    first.close();

    second.query(Life.REQUEST, UUID.randomUUID(), "shop", slow(1));
    second.query(Life.REQUEST, id, "shop", slow(1.1));

    awaitActive(3);
  }

  @Test
  void who_was_answered_and_asks_again_is_answered_anew() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(0.7));
    awaitOneHeld();
    first.close();
    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(0.7));
    found.ok();

    ScriptedLinks.Reply again = second.query(Life.REQUEST, id, "shop", slow(0.7));

    assertThat(again.ok().get(0).get(0)).isNotEqualTo(found.ok().get(0).get(0));
  }

  /** The new request may arrive before the end of the old link does. */
  @Test
  void a_request_that_is_quicker_than_the_news_of_its_link_waits_a_moment() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(1.2));
    awaitOneHeld();

    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(1.2));
    first.close();

    assertThat(found.ok()).hasSize(1);
    assertThat(found.await().elapsedMicros()).isGreaterThan(1_100_000);
    assertThat(active()).isZero();
  }

  @Test
  void nobody_who_comes_back_ends_a_read_in_time() {
    fixture.close();
    start(new Keeper.Limits(60_000, 300, 10, 1 << 20, 1 << 20));
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(20));
    awaitOneHeld();

    first.close();

    awaitActive(0);
    assertThat(fixture.executor.held()).isEmpty();
    assertThat(second.query(Life.RESULT, id, "shop", "").error()).isEqualTo("query_unknown");
  }

  @Test
  void who_comes_back_and_goes_again_ends_it() {
    UUID id = UUID.randomUUID();
    first.query(Life.REQUEST, id, "shop", slow(20));
    awaitOneHeld();
    first.close();
    ScriptedLinks.Reply found = second.query(Life.REQUEST, id, "shop", slow(20));

    second.cancel();

    assertThat(found.await().status()).isEqualTo(CallStatus.CANCELLED);
    awaitActive(0);
  }

  @Test
  void one_that_was_cancelled_is_not_what_the_next_like_it_hears_of() {
    UUID id = UUID.randomUUID();
    ScriptedLinks.Reply cancelled = first.query(Life.REQUEST, id, "shop", slow(0.3));
    awaitActive(1);

    first.cancel();
    first.close();
    ScriptedLinks.Reply anew = second.query(Life.REQUEST, id, "shop", slow(0.3));

    assertThat(anew.ok()).hasSize(1);
    assertThat(fixture.executor.held()).isEmpty();
    assertThat(cancelled.hasEnded()).isFalse();
  }

  @Test
  void a_failure_that_nobody_heard_is_not_what_the_next_like_it_hears() {
    UUID id = UUID.randomUUID();
    String failing = "SELECT pg_sleep(0.3)::text, 1 / length(pg_sleep(0)::text)";
    first.query(Life.REQUEST, id, "shop", failing);
    awaitActive(1);
    first.close();
    awaitActive(0);

    ScriptedLinks.Reply anew = second.query(Life.REQUEST, id, "shop", failing);

    awaitActive(1);
    assertThat(anew.await().status()).isEqualTo(CallStatus.FAILED);
  }

  @Test
  void a_change_runs_to_its_end_and_is_not_repeated() {
    UUID id = UUID.randomUUID();
    String change = "INSERT INTO runs SELECT clock_timestamp() FROM pg_sleep(0.8)";
    long before = number("SELECT count(*) FROM runs");
    first.query(Life.ONCE, id, "shop-rw", change);
    awaitActive(1);

    first.close();
    ScriptedLinks.Reply again = second.query(Life.ONCE, id, "shop-rw", change);
    ScriptedLinks.Reply andAgain = second.query(Life.ONCE, id, "shop-rw", change);

    assertThat(again.ok()).isEqualTo(List.of(List.of(1L)));
    assertThat(andAgain.ok()).isEqualTo(List.of(List.of(1L)));
    assertThat(second.query(Life.ONCE, id, "shop-rw", change).ok()).hasSize(1);
    assertThat(number("SELECT count(*) FROM runs")).isEqualTo(before + 1);
  }

  @Test
  void one_that_was_left_to_its_agent_tells_its_state_and_gives_its_result() {
    UUID id = UUID.randomUUID();
    UUID request = UUID.randomUUID();
    ScriptedLinks.Reply left = first.query(Life.REQUEST, request, "shop", slow(0.8));
    awaitActive(1);
    first.detach(id);

    assertThat(second.query(Life.RESULT, request, "shop", "").error()).isEqualTo("query_unknown");

    assertThat(second.query(Life.STATE, id, "shop", "").ok().get(0).get(0)).isEqualTo("RUNNING");
    ScriptedLinks.Reply waiting = second.query(Life.RESULT, id, "shop", "");
    second.cancel(); // whoever only waits ends nothing
    assertThat(waiting.await().status()).isEqualTo(CallStatus.CANCELLED);
    first.close();
    awaitActive(0);

    assertThat(second.query(Life.STATE, id, "shop", "").ok().get(0).get(0)).isEqualTo("DONE");
    assertThat(second.query(Life.RESULT, id, "shop", "").ok()).hasSize(1);
    assertThat(second.query(Life.RESULT, id, "shop-rw", "").error()).isEqualTo("query_unknown");
    assertThat(second.query(Life.DISCARD, id, "shop", "").ok()).hasSize(1);
    assertThat(second.query(Life.STATE, id, "shop", "").error()).isEqualTo("query_unknown");
    assertThat(left.hasEnded()).isFalse();
  }

  @Test
  void one_that_was_left_to_its_agent_can_be_discarded_while_it_runs() {
    UUID id = UUID.randomUUID();
    first.query(Life.ONCE, id, "shop", slow(20));
    awaitActive(1);
    first.detach(id);

    second.query(Life.DISCARD, id, "shop", "").ok();

    awaitActive(0);
    Awaitility.await()
        .atMost(Duration.ofSeconds(2))
        .until(
            () -> second.query(Life.STATE, id, "shop", "").ok().get(0).get(0).equals("CANCELLED"));
    assertThat(second.query(Life.RESULT, id, "shop", "").await().status())
        .isEqualTo(CallStatus.CANCELLED);
  }

  @Test
  void a_recorded_result_is_read_at_the_pace_of_each_reader() {
    UUID id = UUID.randomUUID();
    String sql = "SELECT n, filler FROM numbers WHERE n <= 3000 ORDER BY n";
    ScriptedLinks.Reply slow = first.query(Life.ONCE, id, "shop", sql, 2);
    ScriptedLinks.Reply quick = second.query(Life.RESULT, id, "shop", "");

    assertThat(quick.ok()).hasSize(3_000);
    assertThat(slow.batches).isEqualTo(2);
    for (int i = 0; i < 1_000 && !slow.hasEnded(); i++) {
      first.credit(1);
    }
    assertThat(slow.hasEnded()).isTrue();
    assertThat(slow.ok()).isEqualTo(quick.rows);
    assertThat(slow.columns).isEqualTo(quick.columns);
  }

  @Test
  void results_are_bounded_in_bytes_and_number() {
    fixture.close();
    start(new Keeper.Limits(60_000, 60_000, 2, 3 << 20, 1 << 20));
    String large = "SELECT n, filler FROM numbers ORDER BY n";

    ScriptedLinks.Reply cut = first.query(Life.ONCE, UUID.randomUUID(), "shop", large);
    assertThat(cut.ok()).hasSizeLessThan(1_000);
    assertThat(cut.await().truncated()).isTrue();

    UUID two = UUID.randomUUID();
    first.query(Life.ONCE, two, "shop", slow(1.5));
    UUID three = UUID.randomUUID();
    first.query(Life.ONCE, three, "shop", slow(1.5));
    assertThat(fixture.executor.held()).containsExactly(three.toString(), two.toString());
    assertThat(first.query(Life.ONCE, UUID.randomUUID(), "shop", slow(0)).error())
        .isEqualTo("keep_full");
    // what would be recorded just in case is not
    ScriptedLinks.Reply plain = first.query(Life.REQUEST, UUID.randomUUID(), "shop", large, 10_000);
    assertThat(plain.ok()).hasSize(30_000);
  }
}
