package io.conexor.api.access;

import java.util.UUID;

/** Names a person's account. */
public record UserId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static UserId of(String text) {
    return new UserId(UUID.fromString(text));
  }

  public static UserId random() {
    return new UserId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
