package io.conexor.api.catalog;

import java.time.Instant;
import java.util.List;

/**
 * A hand-written, parameterised statement offered as a tool.
 *
 * @param name unique in the organisation: 1 to 64 characters of {@code [a-zA-Z0-9_-]}
 * @param sql with {@code :name} parameters, which are bound, never spliced
 */
public record Tool(
    ToolId id,
    OrgId org,
    String name,
    String description,
    String source,
    String sql,
    List<ToolParameter> parameters,
    Instant createdAt) {

  public Tool {
    parameters = List.copyOf(parameters);
  }
}
