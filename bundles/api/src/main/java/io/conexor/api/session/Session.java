package io.conexor.api.session;

import java.time.Instant;
import java.util.Map;

/**
 * One login as it was when it was read.
 *
 * @param subject whose login it is: the user id as text
 * @param attributes at most 64 names of at most 64 characters; values bounded by the store (default
 *     16 KiB in all)
 */
public record Session(
    SessionId id,
    String subject,
    Instant createdAt,
    Instant expiresAt,
    Map<String, String> attributes) {

  public Session {
    attributes = Map.copyOf(attributes);
  }
}
