package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer;
import io.conexor.api.database.LocalPostgres;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A database that goes away and comes back. */
class PostgresOutageTest {
  private LocalPostgres server;
  private Fixture fixture;

  @BeforeEach
  void start() {
    server = LocalPostgres.start();
    fixture = new Fixture();
  }

  @AfterEach
  void stop() {
    if (fixture != null) {
      fixture.close();
    }
    if (server != null) {
      server.close();
    }
  }

  private SourceOffer offer() {
    return fixture.links.offers.get(0);
  }

  private static ConditionFactory soon() {
    return Awaitility.await().atMost(Duration.ofSeconds(15)).pollInterval(Duration.ofMillis(50));
  }

  private ScriptedLinks.Reply ask() {
    return fixture.links.link().query("db", "SELECT 1");
  }

  @Test
  void a_database_that_comes_later_is_served_later() {
    server.pause();
    fixture.source("db", Map.of("url", server.url(), "connect.timeout.ms", 500));

    soon().until(() -> offer().state() == SourceOffer.State.DOWN);
    ScriptedLinks.Reply refused = ask();
    assertThat(refused.error()).isEqualTo("source_unreachable");
    assertThat(refused.await().error().blame()).isEqualTo("DEPENDENCY");
    assertThat(refused.await().error().applied()).isEqualTo("NO");
    assertThat(offer().reason()).isNotBlank();
    assertThat(fixture.links.link().schema("db").error()).isEqualTo("source_unreachable");
    server.resume();

    soon().until(() -> offer().state() == SourceOffer.State.UP);
    assertThat(ask().ok()).hasSize(1);
  }

  @Test
  void calls_on_a_database_known_to_be_down_do_not_wait() {
    // one after the other they would wait for a minute
    fixture.source(
        "db", Map.of("url", server.url(), "connect.timeout.ms", 3_000, "max.concurrent", 1));
    soon().until(() -> offer().state() == SourceOffer.State.UP);
    server.pause();
    assertThat(ask().error()).isIn("source_unreachable", "source_failing");
    soon().until(() -> offer().state() == SourceOffer.State.DOWN);

    List<ScriptedLinks.Reply> replies = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      replies.add(ask());
    }

    for (ScriptedLinks.Reply reply : replies) {
      assertThat(reply.await(Duration.ofSeconds(10)).error().code())
          .isEqualTo("source_unreachable");
    }
  }

  /** The pool holds connections to the server that was; no call hears of it. */
  @Test
  void a_restart_under_the_pool_fails_no_read() {
    fixture.source("db", Map.of("url", server.url(), "max.concurrent", 4));
    List<ScriptedLinks.Reply> before = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      before.add(
          fixture.links.link().query("db", "SELECT count(*) FROM generate_series(1, 50000)"));
    }
    before.forEach(ScriptedLinks.Reply::ok);
    server.pause();
    server.resume();

    for (int i = 0; i < 16; i++) {
      assertThat(ask().ok()).hasSize(1);
    }
  }

  @Test
  void sources_do_not_disturb_each_other() {
    fixture.source("gone", Map.of("url", "jdbc:postgresql://127.0.0.1:1/x", "user", "x"));
    fixture.source("db", Map.of("url", server.url()));
    List<ScriptedLinks.Reply> lost = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      lost.add(fixture.links.link().query("gone", "SELECT 1"));
    }

    assertThat(ask().ok()).hasSize(1);
    lost.forEach(reply -> assertThat(reply.error()).isEqualTo("source_unreachable"));
  }

  @Test
  void a_source_that_is_taken_away_answers_what_it_has() {
    Source source = fixture.source("db", Map.of("url", server.url(), "max.concurrent", 1));
    ScriptedLinks.Link link = fixture.links.link();
    ScriptedLinks.Reply running =
        link.query("db", "SELECT count(*) FROM generate_series(1, 1000000000)");
    ScriptedLinks.Reply waiting = link.query("db", "SELECT 1");

    fixture.executor.removeSource(source);
    source.deactivate();

    assertThat(running.error()).isEqualTo("source_stopping");
    assertThat(running.await().error().applied()).isEqualTo("NO");
    assertThat(waiting.error()).isEqualTo("source_stopping");
    assertThat(fixture.links.offers).isEmpty();
    assertThat(link.query("db", "SELECT 1").error()).isEqualTo("source_not_here");
  }
}
