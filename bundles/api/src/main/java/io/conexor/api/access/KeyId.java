package io.conexor.api.access;

import java.util.UUID;

/** Names an API key; not secret. */
public record KeyId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static KeyId of(String text) {
    return new KeyId(UUID.fromString(text));
  }

  public static KeyId random() {
    return new KeyId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
