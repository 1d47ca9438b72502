package io.conexor.agent.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import io.conexor.agent.registry.GossipedAgentDirectory.Settings;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.health.Health;
import io.conexor.api.node.NodeId;
import java.lang.annotation.Annotation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GossipedAgentDirectoryTest {

  private static final NodeId NODE_A = new NodeId("node-a");
  private static final NodeId NODE_B = new NodeId("node-b");
  private static final NodeId NODE_C = new NodeId("node-c");
  private static final Duration HEARTBEAT = Duration.ofMillis(60);

  private final ScriptedBackplane.Fleet fleet = new ScriptedBackplane.Fleet();
  private final List<GossipedAgentDirectory> directories = new ArrayList<>();

  private final ScriptedBackplane backplaneA = fleet.join(NODE_A);
  private final ScriptedBackplane backplaneB = fleet.join(NODE_B);
  private final GossipedAgentDirectory a = directory(NODE_A, backplaneA);
  private final GossipedAgentDirectory b = directory(NODE_B, backplaneB);

  @AfterEach
  void close_all() {
    directories.forEach(GossipedAgentDirectory::close);
  }

  @Test
  void a_link_of_this_backend_is_seen_before_announce_returns() {
    a.announce(Links.link(NODE_A, 1, "sales"));

    assertThat(a.serving(Links.ORG, "sales")).hasSize(1);

    a.withdraw(new LinkId(1), "gone");

    assertThat(a.serving(Links.ORG, "sales")).isEmpty();
  }

  @Test
  void a_link_of_another_backend_is_seen_within_a_moment() {
    Attachment link = Links.link(NODE_A, 1, "sales");

    a.announce(link);

    await().untilAsserted(() -> assertThat(b.serving(Links.ORG, "sales")).containsExactly(link));

    a.withdraw(new LinkId(1), "gone");

    await().untilAsserted(() -> assertThat(b.serving(Links.ORG, "sales")).isEmpty());
  }

  @Test
  void a_new_backend_learns_of_all_links() {
    for (int i = 1; i <= 5_000; i++) {
      a.announce(Links.link(NODE_A, i, new java.util.UUID(1, i), i, "source-" + i % 10));
    }

    GossipedAgentDirectory c = directory(NODE_C, fleet.join(NODE_C));

    await()
        .atMost(Duration.ofSeconds(2))
        .untilAsserted(() -> assertThat(c.attached()).hasSize(5_000));
    assertThat(c.serving(Links.ORG, "source-3")).hasSize(500);
    await().untilAsserted(() -> assertThat(c.fleetSize()).isEqualTo(3));
  }

  @Test
  void a_silent_node_is_forgotten_and_found_again() {
    a.announce(Links.link(NODE_A, 1, "sales"));
    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));

    backplaneA.cut(true);

    await().untilAsserted(() -> assertThat(b.attached()).isEmpty());
    assertThat(b.fleetSize()).isEqualTo(1);
    await().untilAsserted(() -> assertThat(a.check().status()).isEqualTo(Health.Status.DEGRADED));
    assertThat(a.serving(Links.ORG, "sales")).hasSize(1);

    backplaneA.cut(false);

    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));
    await().untilAsserted(() -> assertThat(a.check().status()).isEqualTo(Health.Status.HEALTHY));
  }

  @Test
  void lost_events_are_made_up_for_by_the_next_digest() {
    await().untilAsserted(() -> assertThat(b.fleetSize()).isEqualTo(2));

    backplaneA.loseNext(1);
    a.announce(Links.link(NODE_A, 1, "sales"));

    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));
  }

  @Test
  void a_gap_is_healed_by_asking() {
    a.announce(Links.link(NODE_A, 1, "sales"));
    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));

    backplaneA.loseNext(1);
    a.withdraw(new LinkId(1), "gone");
    backplaneB.gap();

    await().untilAsserted(() -> assertThat(b.attached()).isEmpty());
  }

  @Test
  void another_backplane_refills_the_directory() {
    a.announce(Links.link(NODE_A, 1, "sales"));
    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));
    ScriptedBackplane.Fleet next = new ScriptedBackplane.Fleet();

    a.bindBackplane(next.join(NODE_A));
    a.unbindBackplane(backplaneA);
    b.bindBackplane(next.join(NODE_B));
    b.unbindBackplane(backplaneB);
    a.announce(Links.link(NODE_A, 2, "crm"));

    await().untilAsserted(() -> assertThat(b.attached()).hasSize(2));
    await()
        .during(HEARTBEAT.multipliedBy(5))
        .atMost(Duration.ofSeconds(5))
        .untilAsserted(() -> assertThat(b.attached()).hasSize(2));
  }

  @Test
  void a_node_that_stops_is_forgotten_at_once() {
    a.announce(Links.link(NODE_A, 1, "sales"));
    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));

    a.close();

    await().untilAsserted(() -> assertThat(b.fleetSize()).isEqualTo(1));
    assertThat(b.attached()).isEmpty();
  }

  @Test
  void the_load_of_an_agent_reaches_the_others_without_a_change_being_told() {
    Attachment link = Links.link(NODE_A, 1, "sales");
    a.announce(link);
    await().untilAsserted(() -> assertThat(b.attached()).hasSize(1));
    List<OrgId> changes = new CopyOnWriteArrayList<>();
    b.onChange(changes::add);

    a.announce(Roster.withLoad(link, 9));

    await()
        .untilAsserted(
            () ->
                assertThat(b.serving(Links.ORG, "sales"))
                    .extracting(Attachment::inFlight)
                    .containsExactly(9));
    assertThat(changes).isEmpty();
  }

  @Test
  void a_change_anywhere_is_told_with_its_organisation() {
    List<OrgId> changes = new CopyOnWriteArrayList<>();
    b.onChange(changes::add);

    a.announce(Links.link(NODE_A, 1, "sales"));

    await().untilAsserted(() -> assertThat(changes).containsExactly(Links.ORG));
  }

  @Test
  void a_link_of_another_node_can_not_be_announced_here() {
    assertThatIllegalArgumentException().isThrownBy(() -> a.announce(Links.link(NODE_B, 1)));
  }

  @Test
  void the_heartbeat_has_a_default_and_limits() {
    assertThat(Settings.checked(config(1_000)).heartbeat()).isEqualTo(Duration.ofSeconds(1));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Settings.checked(config(49)))
        .withMessage("io.conexor.agent.registry: heartbeat.interval.ms=49 is outside 50..10000");
    assertThatIllegalArgumentException().isThrownBy(() -> Settings.checked(config(10_001)));
  }

  private GossipedAgentDirectory directory(NodeId node, ScriptedBackplane backplane) {
    GossipedAgentDirectory directory =
        new GossipedAgentDirectory(
            node,
            new Settings(HEARTBEAT),
            System::nanoTime,
            Executors.newSingleThreadScheduledExecutor());
    directory.bindBackplane(backplane);
    directories.add(directory);
    return directory;
  }

  private static GossipedAgentDirectory.Config config(long heartbeat) {
    return new GossipedAgentDirectory.Config() {
      @Override
      public long heartbeat_interval_ms() {
        return heartbeat;
      }

      @Override
      public Class<? extends Annotation> annotationType() {
        return GossipedAgentDirectory.Config.class;
      }
    };
  }
}
