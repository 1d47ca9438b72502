package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.net.http.HttpResponse;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Which agent gets the calls: three of them, real, behind three backends and the balancer. */
@ExtendWith(LogsOfFailures.class)
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class AgentBalanceIT {

  private static final Logger log = LoggerFactory.getLogger(AgentBalanceIT.class);

  private static final boolean IS_FULL = Boolean.getBoolean("conexor.full");
  private static final Duration TIME = Duration.ofSeconds(IS_FULL ? 30 : 4);

  /** What other work on the same machine may add to the slowest of a hundred, in a few seconds. */
  private static final Duration NOISE = IS_FULL ? Duration.ZERO : Duration.ofMillis(150);

  /** In a few seconds chance alone makes a difference. */
  private static final double UNEVEN = IS_FULL ? 0.1 : 0.2;

  private static final Duration FIRST_ANSWER = Duration.ofSeconds(IS_FULL ? 1 : 2);

  /** Long enough to outweigh the two cores that everything here shares. */
  private static final String QUERY = "select pg_sleep(0.01)";

  private static final int PEOPLE = 9;

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private static Burst burst(Duration time) {
    return Burst.of(fleet.tenant(), FactLoad.NEAR, QUERY, PEOPLE, time);
  }

  @Test
  void equal_agents_get_equal_shares() {
    burst(Duration.ofSeconds(2));

    Burst burst = burst(TIME);

    log.info("equal agents: {}", burst);
    assertThat(burst.failures()).isEmpty();
    for (AgentFleet.Member each : fleet.members()) {
      assertThat(burst.share(each.name())).as(each.name()).isCloseTo(1 / 3.0, within(UNEVEN / 3));
    }
  }

  @Test
  void a_slow_agent_gets_few_calls_and_delays_nobody() {
    burst(Duration.ofSeconds(2));
    Burst before = burst(TIME);
    AgentFleet.Member slow = fleet.members().get(1);
    // Ten times as slow: what everybody takes, and nine times that on the way there and back.
    slow.toDatabase().delay(before.quantile(0.5).multipliedBy(9).dividedBy(2));
    burst(Duration.ofSeconds(2));

    Burst burst = burst(TIME);

    log.info("healthy: {}; with {} slowed down: {}", before, slow.name(), burst);
    assertThat(burst.failures()).isEmpty();
    assertThat(burst.share(slow.name())).isLessThan(0.1);
    Duration usual = before.quantile(0.99);
    assertThat(burst.quantile(0.99)).isLessThan(usual.multipliedBy(3).dividedBy(2).plus(NOISE));
  }

  @Test
  void an_agent_without_its_database_gets_no_calls_until_it_is_back() {
    AgentFleet.Member blind = fleet.members().get(2);
    blind.toDatabase().refuse(true);
    blind.toDatabase().cutAll();
    Burst noticing = burst(Duration.ofSeconds(1));
    Burst without = burst(TIME);
    blind.toDatabase().refuse(false);
    Burst returning = burst(Duration.ofSeconds(2));
    Burst back = burst(Duration.ofSeconds(2));

    log.info("database gone: {}, then {}; back: {}, then {}", noticing, without, returning, back);
    assertThat(noticing.failures()).isEmpty();
    assertThat(without.failures()).isEmpty();
    assertThat(without.share(blind.name())).isZero();
    assertThat(returning.failures()).isEmpty();
    assertThat(back.share(blind.name())).isGreaterThan(0.2);
  }

  @Test
  void with_the_last_agent_gone_it_is_told_soon_and_the_first_back_is_used_at_once() {
    fleet.members().forEach(each -> each.process().kill());
    for (int i = 0; i < 6; i++) { // all backends
      long since = System.nanoTime();
      HttpResponse<String> answer = ask();
      Duration took = Duration.ofNanos(System.nanoTime() - since);
      log.info(
          "no agent left: {} after {} ms {}", answer.statusCode(), took.toMillis(), answer.body());
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(Tenant.parse(answer.body()).get("code").asString()).isEqualTo("no_agent");
      assertThat(answer.headers().firstValue("Retry-After")).isPresent();
      assertThat(took).isLessThan(Duration.ofSeconds(3));
    }
    AgentProcess first = fleet.members().get(0).process();
    int before = first.output().length();
    first.start();
    while (!first.output().substring(before).contains("-> UP: node")) {
      AgentFleet.pass(Duration.ofMillis(20));
    }
    long up = System.nanoTime();
    HttpResponse<String> answer = ask();
    while (answer.statusCode() != 200 && System.nanoTime() - up < 10_000_000_000L) {
      AgentFleet.pass(Duration.ofMillis(20));
      answer = ask();
    }
    Duration took = Duration.ofNanos(System.nanoTime() - up);

    log.info("first answer {} ms after the first link", took.toMillis());
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(took).isLessThan(FIRST_ANSWER);
  }

  private static HttpResponse<String> ask() {
    return fleet
        .tenant()
        .call(
            "POST",
            "/query",
            java.util.Map.of("source", FactLoad.NEAR, "sql", "select 1", "timeoutMs", 5_000));
  }
}
