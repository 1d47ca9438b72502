package io.conexor.redis.client;

import java.util.Map;

/**
 * One server as its {@code INFO} described it, or the fact that it did not answer.
 *
 * @param info empty when the server did not answer
 */
record NodeFacts(String address, boolean listedAsPrimary, Map<String, String> info) {

  boolean reachable() {
    return !info.isEmpty();
  }

  boolean isPrimary() {
    return reachable() ? "master".equals(text("role")) : listedAsPrimary;
  }

  String text(String key) {
    return info.getOrDefault(key, "");
  }

  long number(String key) {
    String value = text(key);
    int dot = value.indexOf('.');
    try {
      return value.isEmpty() ? 0 : Long.parseLong(dot < 0 ? value : value.substring(0, dot));
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
