package io.conexor.api.catalog;

import java.time.Instant;
import java.util.List;
import java.util.Set;

/**
 * A chosen set of sources and tools under one URL, {@code /mcp/{org}/{name}}.
 *
 * @param name unique in the organisation: 1 to 63 characters of {@code [a-z0-9-]}
 * @param sources names of the sources whose built-in and generated tools it offers
 * @param generatedTools whether tools generated from the schema are offered
 * @param freeQuery whether the {@code query} tool, taking any allowed SELECT, is offered
 * @param tools hand-written tools it offers
 */
public record McpServer(
    McpServerId id,
    OrgId org,
    String name,
    String description,
    boolean enabled,
    List<String> sources,
    boolean generatedTools,
    boolean freeQuery,
    Set<ToolId> tools,
    Instant createdAt) {

  public McpServer {
    sources = List.copyOf(sources);
    tools = Set.copyOf(tools);
  }
}
