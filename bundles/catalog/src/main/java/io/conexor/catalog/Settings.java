package io.conexor.catalog;

import java.time.Duration;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Checked configuration of the catalog. */
record Settings(
    Duration refresh,
    Duration maxAge,
    Duration unknownMemory,
    Duration changeLimit,
    int maxOrganisations) {

  static final String PID = "io.conexor.catalog";

  @ObjectClassDefinition(
      id = PID,
      name = "Catalog",
      description = "What organisations own, read from memory")
  @interface Config {
    @AttributeDefinition(
        name = "Refresh interval",
        description = "Seconds after which an organisation is read again in the background",
        min = "1",
        max = "3600")
    int refresh_interval_s() default 30;

    @AttributeDefinition(
        name = "Maximum age",
        description =
            "Seconds for which the last known version is served while the database is away",
        min = "1",
        max = "604800")
    int max_age_s() default 86_400;

    @AttributeDefinition(
        name = "Memory of unknown names",
        description = "Milliseconds for which a name that does not exist is not looked up again",
        min = "0",
        max = "60000")
    int unknown_memory_ms() default 2_000;

    @AttributeDefinition(
        name = "Change timeout",
        description =
            "Milliseconds that one change or read may take, waiting for a new primary included",
        min = "100",
        max = "60000")
    int change_timeout_ms() default 5_000;

    @AttributeDefinition(
        name = "Organisations in memory",
        description = "The oldest are forgotten beyond this number",
        min = "1",
        max = "1000000")
    int max_organisations() default 10_000;
  }

  static Settings checked(Config config) {
    return new Settings(
        Duration.ofSeconds(within("refresh.interval.s", config.refresh_interval_s(), 1, 3_600)),
        Duration.ofSeconds(within("max.age.s", config.max_age_s(), 1, 604_800)),
        Duration.ofMillis(within("unknown.memory.ms", config.unknown_memory_ms(), 0, 60_000)),
        Duration.ofMillis(within("change.timeout.ms", config.change_timeout_ms(), 100, 60_000)),
        within("max.organisations", config.max_organisations(), 1, 1_000_000));
  }

  private static int within(String key, int value, int min, int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + ": " + key + " is " + value + "; it must be " + min + ".." + max);
    }
    return value;
  }
}
