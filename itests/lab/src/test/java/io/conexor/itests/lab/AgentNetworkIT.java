package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A real agent with one link through a net that is slow, or that forgets what rests. */
@ExtendWith(LogsOfFailures.class)
class AgentNetworkIT {

  private static final Logger log = LoggerFactory.getLogger(AgentNetworkIT.class);

  private static final boolean IS_FULL = Boolean.getBoolean("conexor.full");
  private static final Duration TIME = Duration.ofSeconds(IS_FULL ? 20 : 4);
  private static final String QUERY = "select id, note from fact where id < 20";

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private static Burst burst(int people) {
    return Burst.of(fleet.tenant(), FactLoad.FAR, QUERY, people, TIME);
  }

  @Test
  void a_link_with_200_ms_of_latency_carries_at_least_20_times_what_one_caller_gets() {
    TcpRelay net = fleet.far().toBackends();
    net.delay(Duration.ofMillis(100));
    try {
      Burst alone = burst(1);
      Burst together = burst(32);

      double factor = (double) together.nanos().length / alone.nanos().length;
      log.info("200 ms away: alone {}; 32 together {}; {} times as many", alone, together, factor);
      assertThat(alone.failures()).isEmpty();
      assertThat(together.failures()).isEmpty();
      assertThat(alone.quantile(0.5)).isBetween(Duration.ofMillis(200), Duration.ofMillis(400));
      assertThat(factor).isGreaterThan(20);
    } finally {
      net.delay(Duration.ZERO);
    }
  }

  @Test
  void a_middlebox_that_cuts_what_rests_cuts_no_link() {
    TcpRelay net = fleet.far().toBackends();
    net.forgetAfter(Duration.ofSeconds(IS_FULL ? 30 : 3));
    int output = fleet.far().process().output().length();
    try {
      AgentFleet.pass(Duration.ofSeconds(IS_FULL ? 65 : 7)); // nobody asks anything
      Burst burst = burst(2);

      String said = fleet.far().process().output().substring(output);
      log.info("after a rest: {}; the agent said '{}'", burst, said);
      assertThat(burst.failures()).isEmpty();
      assertThat(said).doesNotContain("DOWN");
    } finally {
      net.forgetAfter(Duration.ofDays(1));
    }
  }
}
