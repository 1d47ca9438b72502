package io.conexor.agent.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class LinkIndexTest {

  private static final NodeId SELF = new NodeId("self");
  private static final NodeId OTHER = new NodeId("a-other");

  private final LinkIndex index = new LinkIndex(SELF);

  @Test
  void links_of_this_backend_come_first() {
    Attachment remote = Links.link(OTHER, 1, "sales");
    Attachment local = Links.link(SELF, 2, "sales");

    index.put(remote);
    index.put(local);

    assertThat(index.serving(Links.ORG, "sales")).containsExactly(local, remote);
  }

  @Test
  void a_source_is_served_within_its_organisation_only() {
    index.put(Links.link(SELF, 1, "sales"));

    assertThat(index.serving(OrgId.random(), "sales")).isEmpty();
    assertThat(index.attached(OrgId.random())).isEmpty();
    assertThat(index.attached(Links.ORG)).hasSize(1);
  }

  @Test
  void a_link_that_no_longer_offers_a_source_is_not_listed_for_it() {
    index.put(Links.link(SELF, 1, "sales", "crm"));

    index.put(Links.link(SELF, 1, "crm"));

    assertThat(index.serving(Links.ORG, "sales")).isEmpty();
    assertThat(index.serving(Links.ORG, "crm")).hasSize(1);
    assertThat(index.sources()).isEqualTo(1);
  }

  @Test
  void a_list_once_handed_out_does_not_change() {
    index.put(Links.link(SELF, 1, "sales"));
    List<Attachment> before = index.serving(Links.ORG, "sales");

    index.put(Links.link(SELF, 2, "sales"));

    assertThat(before).hasSize(1);
  }

  @Test
  void a_higher_epoch_fences_a_lower_one_of_the_same_process_to_the_same_node() {
    UUID process = UUID.randomUUID();
    index.put(Links.link(SELF, 1, process, 10, "sales"));

    assertThat(index.put(Links.link(SELF, 2, process, 11, "sales"))).isTrue();
    assertThat(index.put(Links.link(SELF, 1, process, 10, "sales"))).isFalse();

    assertThat(index.serving(Links.ORG, "sales"))
        .extracting(Attachment::link)
        .containsExactly(new LinkId(2));
  }

  @Test
  void links_of_one_process_to_two_nodes_stand_side_by_side() {
    UUID process = UUID.randomUUID();
    index.put(Links.link(SELF, 1, process, 10, "sales"));
    index.put(Links.link(OTHER, 2, process, 11, "sales"));

    assertThat(index.serving(Links.ORG, "sales")).hasSize(2);
  }

  @Test
  void removing_a_link_empties_its_sources() {
    index.put(Links.link(SELF, 1, "sales", "crm"));

    assertThat(index.remove(SELF, new LinkId(1))).isPresent();

    assertThat(index.remove(SELF, new LinkId(1))).isEmpty();
    assertThat(index.sources()).isZero();
    assertThat(index.size()).isZero();
  }
}
