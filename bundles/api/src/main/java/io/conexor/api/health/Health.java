package io.conexor.api.health;

import java.util.Map;

/**
 * How something is doing.
 *
 * @param reason one sentence a person can act on; empty when healthy
 * @param details facts by name, for authenticated callers; no secrets
 */
public record Health(Status status, String reason, Map<String, String> details) {

  public Health {
    details = Map.copyOf(details);
  }

  /** In order of severity. */
  public enum Status {
    HEALTHY,
    /**
     * Works, with something missing that someone should look at. The load balancer keeps sending.
     */
    DEGRADED,
    /** Does not do its work. The load balancer goes elsewhere. */
    UNHEALTHY
  }

  public static Health healthy(Map<String, String> details) {
    return new Health(Status.HEALTHY, "", details);
  }

  public static Health degraded(String reason, Map<String, String> details) {
    return new Health(Status.DEGRADED, reason, details);
  }

  public static Health unhealthy(String reason, Map<String, String> details) {
    return new Health(Status.UNHEALTHY, reason, details);
  }
}
