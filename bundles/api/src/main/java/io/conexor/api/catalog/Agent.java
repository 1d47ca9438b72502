package io.conexor.api.catalog;

import java.time.Instant;
import java.util.Set;

/**
 * An agent's durable identity. Whether it is attached is known to the directory, not here.
 *
 * @param name unique in the organisation
 * @param allowedSources the sources it may serve; empty = any of the organisation
 */
public record Agent(
    AgentId id, OrgId org, String name, Set<String> allowedSources, Instant createdAt) {

  public Agent {
    allowedSources = Set.copyOf(allowedSources);
  }
}
