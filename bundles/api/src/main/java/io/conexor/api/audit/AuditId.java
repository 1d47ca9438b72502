package io.conexor.api.audit;

import java.time.Instant;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** Names an audit record; made where it is written, so that delivering it twice stores it once. */
public record AuditId(UUID value) {

  /**
   * @throws IllegalArgumentException when the text is not a UUID
   */
  public static AuditId of(String text) {
    return new AuditId(UUID.fromString(text));
  }

  /**
   * A new one, of UUID version 7: its time comes first, so that a table with an index on it grows
   * at one end. It tells records apart and is no secret, hence the plain generator.
   */
  public static AuditId random() {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    long high = (Instant.now().toEpochMilli() << 16) | 0x7000 | random.nextInt(1 << 12);
    long low = (random.nextLong() & (Long.MAX_VALUE >>> 1)) | Long.MIN_VALUE;
    return new AuditId(new UUID(high, low));
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
