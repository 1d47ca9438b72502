package io.conexor.agent.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.agent.registry.Roster.Outcome;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.node.NodeId;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RosterTest {

  private static final NodeId NODE = new NodeId("node-1");
  private static final long SECOND = 1_000_000_000L;

  private final Roster roster = new Roster(SECOND, 0);

  @Test
  void an_unknown_node_with_links_is_asked_for_them() {
    assertThat(roster.digest(NODE, digest(4, 1), 0)).isInstanceOf(Outcome.AskSnapshot.class);
  }

  @Test
  void an_unknown_node_without_links_is_known_at_once() {
    assertThat(roster.digest(NODE, digest(4, 0), 0)).isEqualTo(new Outcome.Same());
    Attachment link = Links.link(NODE, 1, "sales");

    assertThat(roster.delta(NODE, up(4, link), 0))
        .isEqualTo(new Outcome.Changed(List.of(link), List.of()));
  }

  @Test
  void a_node_is_asked_only_once_at_a_time() {
    roster.digest(NODE, digest(4, 1), 0);

    assertThat(roster.digest(NODE, digest(4, 1), SECOND)).isEqualTo(new Outcome.Same());
  }

  @Test
  void after_a_failed_snapshot_the_next_digest_asks_again() {
    roster.digest(NODE, digest(4, 1), 0);
    roster.snapshotFailed(NODE);

    assertThat(roster.digest(NODE, digest(4, 1), 1)).isInstanceOf(Outcome.AskSnapshot.class);
  }

  @Test
  void changes_during_a_snapshot_are_applied_after_it() {
    Attachment first = Links.link(NODE, 1, "sales");
    Attachment second = Links.link(NODE, 2, "sales");
    roster.digest(NODE, digest(4, 1), 0);
    roster.delta(NODE, new Gossip.Delta(3, 4, List.of(first), List.of()), 0);
    roster.delta(NODE, up(4, second), 0);

    Outcome outcome = roster.page(NODE, new Gossip.Page(4, List.of(first), false), 0);

    assertThat(outcome).isInstanceOf(Outcome.Changed.class);
    assertThat(((Outcome.Changed) outcome).attached()).containsExactlyInAnyOrder(first, second);
    assertThat(roster.digest(NODE, digest(5, 2), 0)).isEqualTo(new Outcome.Same());
  }

  @Test
  void a_change_lost_during_a_snapshot_asks_again() {
    roster.digest(NODE, digest(4, 1), 0);
    roster.delta(NODE, up(6, Links.link(NODE, 3)), 0);

    assertThat(roster.page(NODE, new Gossip.Page(4, List.of(Links.link(NODE, 1)), false), 0))
        .isInstanceOf(Outcome.AskSnapshot.class);
  }

  @Test
  void a_snapshot_comes_in_pages() {
    roster.digest(NODE, digest(4, 2), 0);

    assertThat(roster.page(NODE, new Gossip.Page(4, List.of(Links.link(NODE, 1)), true), 0))
        .isEqualTo(new Outcome.AskMore(1));
    Outcome last = roster.page(NODE, new Gossip.Page(4, List.of(Links.link(NODE, 2)), false), 0);

    assertThat(((Outcome.Changed) last).attached()).hasSize(2);
  }

  @Test
  void a_lost_delta_is_noticed_by_the_next_one() {
    roster.digest(NODE, digest(0, 0), 0);

    assertThat(roster.delta(NODE, up(1, Links.link(NODE, 1)), 0))
        .isInstanceOf(Outcome.AskSnapshot.class);
  }

  @Test
  void a_repeated_delta_changes_nothing() {
    roster.digest(NODE, digest(0, 0), 0);
    roster.delta(NODE, up(0, Links.link(NODE, 1)), 0);

    assertThat(roster.delta(NODE, up(0, Links.link(NODE, 1)), 0)).isEqualTo(new Outcome.Same());
  }

  @Test
  void a_digest_with_other_loads_changes_only_loads() {
    Attachment link = Links.link(NODE, 1, "sales");
    roster.digest(NODE, digest(0, 0), 0);
    roster.delta(NODE, up(0, link), 0);

    Outcome outcome =
        roster.digest(NODE, new Gossip.Digest(1, 1, 1_000, Map.of(new LinkId(1), 5)), 0);

    assertThat(outcome).isEqualTo(new Outcome.Loads(List.of(Roster.withLoad(link, 5))));
  }

  @Test
  void a_snapshot_that_lacks_a_known_link_detaches_it() {
    roster.digest(NODE, digest(0, 0), 0);
    roster.delta(NODE, up(0, Links.link(NODE, 1)), 0);
    roster.doubtAll();
    roster.digest(NODE, digest(7, 1), 0);

    Outcome outcome = roster.page(NODE, new Gossip.Page(7, List.of(Links.link(NODE, 2)), false), 0);

    assertThat(((Outcome.Changed) outcome).detached()).containsExactly(new LinkId(1));
  }

  @Test
  void a_node_is_forgotten_after_three_of_its_own_heartbeats() {
    roster.digest(NODE, new Gossip.Digest(0, 0, 2_000, Map.of()), 0);

    for (int second = 1; second <= 6; second++) {
      assertThat(roster.expire(second * SECOND, SECOND)).isEmpty();
    }

    assertThat(roster.expire(7 * SECOND, SECOND)).extracting(Roster.Gone::node).containsOnly(NODE);
    assertThat(roster.size()).isZero();
  }

  @Test
  void time_this_process_was_stopped_is_not_held_against_the_others() {
    roster.expire(0, SECOND);
    roster.digest(NODE, digest(0, 0), 0);

    assertThat(roster.expire(60 * SECOND, SECOND)).isEmpty();
    assertThat(roster.expire(61 * SECOND, SECOND)).isEmpty();
    assertThat(roster.expire(62 * SECOND, SECOND)).hasSize(1);
  }

  @Test
  void a_node_that_says_goodbye_is_forgotten_at_once() {
    roster.digest(NODE, digest(0, 0), 0);
    roster.delta(NODE, up(0, Links.link(NODE, 1)), 0);

    assertThat(roster.bye(NODE)).isPresent();
    assertThat(roster.bye(NODE)).isEmpty();
  }

  private static Gossip.Digest digest(long number, int links) {
    return new Gossip.Digest(number, links, 1_000, Map.of());
  }

  private static Gossip.Delta up(long before, Attachment link) {
    return new Gossip.Delta(before, before + 1, List.of(link), List.of());
  }
}
