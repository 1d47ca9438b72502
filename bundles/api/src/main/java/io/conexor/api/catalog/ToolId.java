package io.conexor.api.catalog;

import java.util.UUID;

/** Names a hand-written tool. */
public record ToolId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static ToolId of(String text) {
    return new ToolId(UUID.fromString(text));
  }

  public static ToolId random() {
    return new ToolId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
