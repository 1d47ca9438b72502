package io.conexor.api.audit;

import java.util.UUID;

/** Names an audit record; made where it is written, so that delivering it twice stores it once. */
public record AuditId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static AuditId of(String text) {
    return new AuditId(UUID.fromString(text));
  }

  public static AuditId random() {
    return new AuditId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
