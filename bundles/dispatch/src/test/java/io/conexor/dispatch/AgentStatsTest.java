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

  @Test
  void an_agent_that_has_found_its_database_again_begins_anew() {
    stats.told(State.UP);
    stats.sample(Duration.ofSeconds(3).toNanos(), now);
    fail(AgentStats.FAILURES);
    stats.told(State.DOWN);
    assertThat(stats.isBroken()).isTrue();

    stats.told(State.UP);

    assertThat(stats.isBroken()).isFalse();
    assertThat(stats.latencyNanos(now)).isZero();
  }

  @Test
  void being_told_the_same_again_changes_nothing() {
    stats.told(State.UP);
    fail(AgentStats.FAILURES);

    stats.told(State.UP);

    assertThat(stats.isBroken()).isTrue();
  }
}
