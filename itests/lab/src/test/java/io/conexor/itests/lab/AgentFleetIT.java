package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.sql.SQLException;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Three backends behind the balancer, three agents on one database, queries all the time: whatever
 * is killed, frozen, cut off or drained, every query is answered, and rightly. Sent through the
 * balancer's one URL like any client's, with the configuration the archive ships.
 */
@ExtendWith(LogsOfFailures.class)
class AgentFleetIT {

  private static final Logger log = LoggerFactory.getLogger(AgentFleetIT.class);

  /** What a death may add to the longest answer of quiet times. */
  private static final Duration DEATH = Duration.ofMillis(1_500);

  /** What a hang may add. */
  private static final Duration HANG = Duration.ofSeconds(4);

  private static final boolean IS_FULL = Boolean.getBoolean("conexor.full");
  private static final Duration CALM = Duration.ofSeconds(IS_FULL ? 5 : 1);
  private static final Duration STORM = Duration.ofSeconds(IS_FULL ? 15 : 3);

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private static FactLoad load;

  @BeforeAll
  static void start() {
    fleet.mend();
    load = fleet.load(6);
    AgentFleet.pass(Duration.ofSeconds(2)); // what is slow because it is new says nothing
  }

  @AfterAll
  static void stop() {
    if (load != null) {
      load.close();
    }
  }

  /** The longest answer while nothing was broken; nothing may have failed either. */
  private Duration usual;

  @BeforeEach
  void calm() {
    load.report();
    AgentFleet.pass(CALM);
    FactLoad.Report quiet = load.report();
    log.info("nothing broken: {}", quiet);
    assertThat(quiet.failures()).isEmpty();
    assertThat(quiet.answers()).isPositive();
    usual = quiet.longest();
  }

  private static AgentFleet.Member agent(int number) {
    return fleet.members().get(number);
  }

  private static Backend backend(int number) {
    return fleet.backends().get(number);
  }

  @Test
  void a_killed_agent_fails_no_query() {
    agent(0).process().kill();
    AgentFleet.pass(STORM);
    verify("agent killed", DEATH);
  }

  @Test
  void frozen_agents_fail_no_query() {
    agent(1).process().pause();
    agent(2).process().pause();
    try {
      AgentFleet.pass(STORM.plusSeconds(2));
      verify("two agents frozen", HANG);
    } finally {
      agent(1).process().resume();
      agent(2).process().resume();
    }
    AgentFleet.pass(CALM);
    verify("agents thawed", DEATH);
  }

  @Test
  void a_link_that_is_cut_fails_no_query() {
    for (int i = 0; i < 3; i++) {
      agent(i).toBackends().cutOne();
      AgentFleet.pass(CALM);
    }
    verify("link cut", DEATH);
  }

  @Test
  void an_agent_that_is_cut_off_fails_no_query() {
    agent(2).toBackends().refuse(true);
    agent(2).toBackends().cutAll();
    AgentFleet.pass(STORM);
    verify("all links of an agent cut", DEATH);

    agent(2).toBackends().refuse(false);
    fleet.awaitLinks();
    verify("agent back", DEATH);
  }

  @Test
  void a_drained_agent_fails_no_query() {
    agent(0).process().terminate();
    AgentFleet.pass(CALM);
    verify("agent drained", DEATH);
  }

  @Test
  void a_killed_backend_fails_no_query() {
    backend(1).kill();
    AgentFleet.pass(STORM);
    verify("backend killed", DEATH);

    backend(1).start();
    fleet.awaitLinks();
    verify("backend back", DEATH);
  }

  @Test
  void a_write_is_never_sent_twice_whoever_is_killed() throws SQLException {
    try (WriteLoad writes = WriteLoad.start(fleet.tenant(), 4)) {
      AgentFleet.pass(CALM);
      backend(1).kill();
      AgentFleet.pass(CALM);
      agent(1).process().kill();
      AgentFleet.pass(CALM);
      agent(0).toBackends().cutAll();
      AgentFleet.pass(CALM);
      writes.stop();
      log.info("writes: {}", writes);
      assertThat(writes.lostOrDoubled(fleet.database())).isEmpty();
      assertThat(writes.acknowledged()).isPositive();
    }
    verify("backend and agent killed, links cut", DEATH);
  }

  @Test
  void backends_restarted_one_after_another_fail_no_query() {
    for (Backend each : fleet.backends()) {
      each.terminate();
      verify("backend drained", DEATH);
      each.start();
      fleet.awaitLinks();
      verify("backend back", DEATH);
    }
  }

  @Test
  void agents_restarted_one_after_another_fail_no_query() {
    for (AgentFleet.Member each : fleet.members()) {
      each.process().terminate();
      each.process().start();
      fleet.awaitLinks();
    }
    verify("agents restarted", DEATH);
  }

  private void verify(String what, Duration mayAdd) {
    FactLoad.Report report = load.report();
    log.info("{}: {}; longest before: {} ms", what, report, usual.toMillis());
    assertThat(report.failures()).as(what).isEmpty();
    assertThat(report.answers()).as(what).isPositive();
    assertThat(report.longest()).as(what).isLessThan(usual.plus(mayAdd));
  }
}
