package io.conexor.itests.lab.postgres;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Three nodes, synchronous, each on a host of its own that the net may lose. */
class PatroniPartitionIT extends PatroniContract {

  @Override
  PatroniLab started() {
    return PatroniLab.startOnHosts(3);
  }

  @Override
  int nodes() {
    return 3;
  }

  @Test
  void a_primary_that_the_net_lost_costs_no_acknowledged_write_also_when_it_comes_back()
      throws Exception {
    run("node cut off", leader -> lab.cut(leader, true));
  }

  @Test
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void of_three_nodes_a_killed_one_costs_no_acknowledged_write() throws Exception {
    run("node of three killed", PatroniNode::kill);
  }

  @Test
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void of_three_nodes_one_that_freezes_and_wakes_up_never_stops_reads() throws Exception {
    run("node of three frozen", PatroniNode::freeze);
  }
}
