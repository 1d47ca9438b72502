package io.conexor.api.agent;

import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/**
 * One link, as the whole fleet knows it.
 *
 * @param process the run of the agent process; a newer process of the same agent on the same host
 *     is another one
 * @param epoch grows with every link an agent process opens anywhere; a higher one fences a lower
 *     one to the same node
 * @param isClosing the agent drains: nothing new may be sent
 * @param inFlight calls running at the agent, from its last heartbeat
 */
public record Attachment(
    OrgId org,
    AgentId agent,
    String agentName,
    String agentVersion,
    UUID process,
    NodeId node,
    LinkId link,
    long epoch,
    Instant since,
    boolean isClosing,
    int inFlight,
    List<SourceOffer> sources) {

  public Attachment {
    sources = List.copyOf(sources);
  }
}
