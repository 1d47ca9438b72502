package io.conexor.api.catalog;

import java.util.UUID;

/** Names an agent as the catalog knows it; the same over restarts of its process. */
public record AgentId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static AgentId of(String text) {
    return new AgentId(UUID.fromString(text));
  }

  public static AgentId random() {
    return new AgentId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
