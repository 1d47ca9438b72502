package io.conexor.api.health;

import org.osgi.annotation.versioning.ConsumerType;

/** Checks one thing. Registered as a service by the bundle it is about. */
@ConsumerType
public interface HealthCheck {

  /** Unique and stable: {@code database}, {@code backplane}, {@code agents}, ... */
  String name();

  /** Answers at once from what is known; must not block, dial or throw. */
  Health check();
}
