package io.conexor.api.catalog;

import io.conexor.api.call.SourceSchema;
import java.util.Map;

/**
 * Everything one organisation owns, as of one version. Immutable and shared: an identity comparison
 * tells whether anything changed, so edges may hang derived data (tool lists, prepared statements)
 * on the instance.
 *
 * @param version grows with every change
 * @param agents by id
 * @param sources by name
 * @param schemas by source name; the last one discovered
 * @param tools by id
 * @param servers by name
 */
public record OrgCatalog(
    Organisation organisation,
    long version,
    Map<AgentId, Agent> agents,
    Map<String, DataSource> sources,
    Map<String, SourceSchema> schemas,
    Map<ToolId, Tool> tools,
    Map<String, McpServer> servers) {

  public OrgCatalog {
    agents = Map.copyOf(agents);
    sources = Map.copyOf(sources);
    schemas = Map.copyOf(schemas);
    tools = Map.copyOf(tools);
    servers = Map.copyOf(servers);
  }
}
