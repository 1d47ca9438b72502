package io.conexor.session.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * One session as Redis answers it: {@code [remaining ms, field, value, ...]}, or its plain hash,
 * which says itself until when it lives.
 */
final class Fields {

  private final long now = Instant.now().toEpochMilli();
  private long timeToLive;
  private long created;
  private long expires;
  private String subject = "";
  private final Map<String, String> attributes = new HashMap<>();

  Fields(List<?> answer, int from) {
    for (int i = from + 1; i + 1 < answer.size(); i += 2) {
      take(text(answer.get(i)), text(answer.get(i + 1)));
    }
    String remaining = text(answer.get(from));
    if (!remaining.isEmpty()) {
      expires = now + Long.parseLong(remaining);
    }
  }

  /** From the plain hash; Redis decides when it is gone. */
  Fields(Map<?, ?> hash) {
    hash.forEach((field, value) -> take((String) field, (String) value));
  }

  private void take(String field, String value) {
    switch (field) {
      case "s" -> subject = value;
      case "c" -> created = Long.parseLong(value);
      case "t" -> timeToLive = Long.parseLong(value);
      case "x" -> expires = Long.parseLong(value);
      default -> attributes.put(field.substring(2), value);
    }
  }

  String subject() {
    return subject;
  }

  /** Whether a tenth of the time has passed since it was renewed. */
  boolean isDueForRenewal() {
    return timeToLive - (expires - now) > timeToLive / 10;
  }

  Session session(SessionId id) {
    return new Session(
        id, subject, Instant.ofEpochMilli(created), Instant.ofEpochMilli(expires), attributes);
  }

  static String text(Object value) {
    return value instanceof byte[] raw ? new String(raw, UTF_8) : String.valueOf(value);
  }
}
