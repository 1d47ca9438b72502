package io.conexor.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.SourceOffer.State;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class AgentStatsTest {

  private static final Duration FIRST_PAUSE = Duration.ofMillis(500);

  private final AgentStats stats = new AgentStats();
  private long now;

  private void fail(int times) {
    for (int i = 0; i < times; i++) {
      stats.failed(now);
    }
  }

  private Duration pause() {
    return Duration.ofNanos(stats.pauseNanos(now));
  }

  @Test
  void calls_that_were_under_way_when_the_breaker_opened_do_not_lengthen_its_pause() {
    fail(AgentStats.FAILURES + 20);

    assertThat(stats.isBroken()).isTrue();
    assertThat(pause()).isEqualTo(FIRST_PAUSE);
  }

  @Test
  void each_probe_that_fails_doubles_the_pause_up_to_15_s() {
    fail(AgentStats.FAILURES);
    for (int i = 1; i <= 8; i++) {
      now += stats.pauseNanos(now);
      assertThat(stats.tryProbe(now)).isTrue();
      assertThat(stats.tryProbe(now)).isFalse();
      fail(2);

      Duration doubled = FIRST_PAUSE.multipliedBy(1L << Math.min(5, i));
      assertThat(pause())
          .isEqualTo(
              doubled.compareTo(Duration.ofSeconds(15)) < 0 ? doubled : Duration.ofSeconds(15));
    }
  }

  private void sample(Duration... answers) {
    for (Duration answer : answers) {
      stats.sample(answer.toNanos(), now);
    }
  }

  private Duration latency() {
    return Duration.ofNanos(stats.latencyNanos(now));
  }

  @Test
  void the_first_answers_of_a_cold_agent_do_not_count() {
    sample(Duration.ofMillis(400), Duration.ofMillis(90), Duration.ofMillis(20));
    assertThat(latency()).isZero();

    sample(Duration.ofMillis(30));

    assertThat(latency()).isEqualTo(Duration.ofMillis(20));
  }

  @Test
  void what_is_forgotten_does_not_come_back_with_the_next_answer() {
    Duration slow = Duration.ofMillis(800);
    sample(slow, slow, slow, slow);

    now += Duration.ofSeconds(10).toNanos();
    assertThat(latency()).isEqualTo(slow.dividedBy(32));
    sample(Duration.ofMillis(25));

    assertThat(latency()).isEqualTo(Duration.ofMillis(25));
  }

  @Test
  void a_slow_agent_is_tried_again_by_one_call_first() {
    Duration slow = Duration.ofMillis(800);
    sample(slow, slow, slow, slow);
    now += Duration.ofSeconds(4).toNanos();
    assertThat(latency()).isEqualTo(slow.dividedBy(4));

    assertThat(stats.tryAcquire(16)).isTrue();

    assertThat(latency()).isEqualTo(slow);
  }

  @Test
  void an_agent_that_has_found_its_database_again_begins_anew() {
    stats.told(State.UP);
    Duration slow = Duration.ofSeconds(3);
    sample(slow, slow, slow, slow);
    fail(AgentStats.FAILURES);
    stats.told(State.DOWN);
    assertThat(stats.isBroken()).isTrue();

    stats.told(State.UP);

    assertThat(stats.isBroken()).isFalse();
    assertThat(latency()).isZero();
  }

  @Test
  void being_told_the_same_again_changes_nothing() {
    stats.told(State.UP);
    fail(AgentStats.FAILURES);

    stats.told(State.UP);

    assertThat(stats.isBroken()).isTrue();
  }
}
