package io.conexor.api.catalog;

import java.util.UUID;

/** Names an MCP server: a chosen set of sources and tools under one URL. */
public record McpServerId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static McpServerId of(String text) {
    return new McpServerId(UUID.fromString(text));
  }

  public static McpServerId random() {
    return new McpServerId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
