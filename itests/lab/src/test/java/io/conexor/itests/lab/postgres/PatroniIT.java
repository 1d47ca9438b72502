package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.database.PostgresDatabase;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Two nodes, synchronous: directly and through proxies. */
class PatroniIT extends PatroniContract {

  @Override
  PatroniLab started() {
    return PatroniLab.start(2);
  }

  @Override
  int nodes() {
    return 2;
  }

  @Test
  void through_haproxy_a_switchover_costs_no_acknowledged_write() throws Exception {
    try (PoolerLab proxies = PoolerLab.start(lab)) {
      run("switchover, HAProxy", proxies.proxies(), Map.of(), leader -> lab.switchover());
    }
  }

  @Test
  void through_pgbouncer_and_haproxy_a_killed_postmaster_costs_no_acknowledged_write()
      throws Exception {
    try (PoolerLab poolers = PoolerLab.start(lab)) {
      run(
          "postmaster killed, PgBouncer and HAProxy",
          poolers.poolers(),
          Map.of("pooler", "transaction"),
          PatroniNode::killPostmaster);
    }
  }

  @Test
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void through_pgbouncer_and_haproxy_a_switchover_costs_no_acknowledged_write() throws Exception {
    try (PoolerLab poolers = PoolerLab.start(lab)) {
      run(
          "switchover, PgBouncer and HAProxy",
          poolers.poolers(),
          Map.of("pooler", "transaction"),
          leader -> lab.switchover());
    }
  }

  @Test
  void a_pooler_that_nobody_mentioned_is_reported() {
    lab.heal();
    try (PoolerLab poolers = PoolerLab.start(lab);
        PostgresDatabase database = PostgresDatabase.open(poolers.poolers(), Map.of());
        PostgresDatabase beside =
            PostgresDatabase.open(poolers.poolers(), Map.of("pooler", "transaction"));
        Traffic traffic = new Traffic(List.of(beside))) {
      traffic.writers(4, Duration.ZERO);

      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> database.check().reason().contains("set database.pooler=transaction"));
      assertThat(beside.check().reason()).doesNotContain("pooler");
    }
  }

  @Test
  void a_killed_node_costs_no_acknowledged_write() throws Exception {
    run("node killed", PatroniNode::kill);
  }

  @Test
  void a_frozen_node_costs_no_acknowledged_write_also_when_it_wakes_up() throws Exception {
    run("node frozen", PatroniNode::freeze);
  }

  @Test
  void a_killed_postmaster_costs_no_acknowledged_write() throws Exception {
    run("postmaster killed", PatroniNode::killPostmaster);
  }

  @Test
  void a_switchover_costs_no_acknowledged_write() throws Exception {
    run("switchover", leader -> lab.switchover());
  }
}
