package io.conexor.api.health;

import java.util.Map;
import org.osgi.annotation.versioning.ConsumerType;

/** Checks one thing. Registered as a service by the bundle it is about. */
@ConsumerType
public interface HealthCheck {

  /** Unique and stable: {@code database}, {@code backplane}, {@code agents}, ... */
  String name();

  /** Answers at once from what is known; must not block, dial or throw. */
  Health check();

  /**
   * Numbers for graphs, now: by name, in base units, with labels where there are several, as in
   * {@code lag_seconds{server="db2:5432"}}. Must not block, dial or throw.
   */
  default Map<String, Double> gauges() {
    return Map.of();
  }
}
