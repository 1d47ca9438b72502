package io.conexor.session.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.session.SessionId;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;

/**
 * Names of keys. A session id starts with three characters that follow from its subject; they are
 * the hash tag of its key and of the subject's index (docs/adr/0017).
 */
record Keys(String prefix) {

  private static final int TAG = 3;

  static String tag(SessionId id) {
    return id.value().substring(0, TAG);
  }

  static String tag(String subject) {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(subject.getBytes(UTF_8));
      return Base64.getUrlEncoder().encodeToString(hash).substring(0, TAG);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JVM has SHA-256", e);
    }
  }

  String session(SessionId id) {
    return sessionPrefix(tag(id)) + id.value();
  }

  String sessionPrefix(String tag) {
    return prefix + "{" + tag + "}:session:";
  }

  String index(String tag, String subject) {
    return indexPrefix(tag) + subject;
  }

  String indexPrefix(String tag) {
    return prefix + "{" + tag + "}:sessions:";
  }

  /** Where a session lies on its way to another installation. */
  String moving(SessionId id) {
    return prefix + "{" + tag(id) + "}:moving:" + id.value();
  }

  /** Says for a while that a session has ended, so that a late mover does not bring it back. */
  String ended(SessionId id) {
    return prefix + "{" + tag(id) + "}:ended:" + id.value();
  }

  /** What all sessions are called, and all that are on their way, for {@code SCAN}. */
  String sessionPattern() {
    return prefix + "{???}:session:*";
  }

  String movingPattern() {
    return prefix + "{???}:moving:*";
  }
}
