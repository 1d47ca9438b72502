package io.conexor.agent.registry;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/** Attachments for tests. */
final class Links {

  static final OrgId ORG = OrgId.of("00000000-0000-0000-0000-0000000000aa");

  private Links() {}

  static Attachment link(NodeId node, long id, String... sources) {
    return link(node, id, UUID.nameUUIDFromBytes(new byte[] {(byte) id}), id, sources);
  }

  static Attachment link(NodeId node, long id, UUID process, long epoch, String... sources) {
    return new Attachment(
        ORG,
        new AgentId(new UUID(0, 7)),
        "berlin-3",
        "0.1.0",
        process,
        node,
        new LinkId(id),
        epoch,
        Instant.ofEpochSecond(1_700_000_000),
        false,
        0,
        List.of(sources).stream().map(Links::source).toList());
  }

  static SourceOffer source(String name) {
    return new SourceOffer(
        name, "postgresql", "15.4", true, 10_000, 1 << 20, 4, SourceOffer.State.UP, "");
  }
}
