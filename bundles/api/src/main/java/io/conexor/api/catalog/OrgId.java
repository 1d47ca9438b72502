package io.conexor.api.catalog;

import java.util.UUID;

/** Names an organisation: the tenant everything belongs to. */
public record OrgId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static OrgId of(String text) {
    return new OrgId(UUID.fromString(text));
  }

  public static OrgId random() {
    return new OrgId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
