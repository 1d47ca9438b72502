package io.conexor.access;

import io.conexor.api.Secret;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The configuration, checked.
 *
 * @param fleetSecrets configured ones, the signing one first; empty = kept in PostgreSQL
 * @param fleetSecretRotation zero = never
 */
record Settings(
    Path dataFolder,
    List<Secret> fleetSecrets,
    Duration fleetSecretRotation,
    Duration fleetSecretOverlap,
    int keyCacheSize,
    Duration keyRefresh,
    Duration keyMaxAge,
    Duration keyUnknown,
    int passwordConcurrency,
    int passwordQueue,
    int passwordLengthMin,
    int accountBurst,
    Duration accountInterval,
    int addressBurst,
    Duration addressInterval,
    Duration sessionTimeToLive,
    int threads,
    int queue) {

  static final int SECRET_LENGTH_MIN = 32;

  static Settings checked(AccessConfig config) {
    return new Settings(
        Path.of(config.data_dir()),
        secrets(config),
        Duration.ofDays(
            in("fleet.secret.rotate.days", config.fleet_secret_rotate_days(), 0, 3_650)),
        Duration.ofDays(
            in("fleet.secret.overlap.days", config.fleet_secret_overlap_days(), 1, 365)),
        (int) in("key.cache.size", config.key_cache_size(), 100, 10_000_000),
        millis("key.cache.refresh.ms", config.key_cache_refresh_ms(), 1_000, 3_600_000),
        millis("key.cache.max.age.ms", config.key_cache_max_age_ms(), 10_000, 604_800_000),
        millis("key.unknown.ms", config.key_unknown_ms(), 100, 600_000),
        (int) in("password.concurrency", config.password_concurrency(), 1, 64),
        (int) in("password.queue", config.password_queue(), 1, 1_000),
        (int) in("password.length.min", config.password_length_min(), 8, 128),
        (int) in("login.account.burst", config.login_account_burst(), 1, 1_000),
        millis("login.account.interval.ms", config.login_account_interval_ms(), 100, 3_600_000),
        (int) in("login.address.burst", config.login_address_burst(), 1, 10_000),
        millis("login.address.interval.ms", config.login_address_interval_ms(), 10, 3_600_000),
        millis("session.ttl.ms", config.session_ttl_ms(), 60_000, 2_592_000_000L),
        (int) in("threads", config.threads(), 1, 64),
        (int) in("queue", config.queue(), 16, 100_000));
  }

  private static List<Secret> secrets(AccessConfig config) {
    List<Secret> secrets = new ArrayList<>();
    if (!config.fleet_secret().isEmpty()) {
      secrets.add(longEnough("fleet.secret", config.fleet_secret()));
    }
    if (!config.fleet_secret_previous().isEmpty()) {
      if (secrets.isEmpty()) {
        throw new IllegalArgumentException(
            AccessConfig.PID + ": fleet.secret.previous is set but fleet.secret is not");
      }
      secrets.add(longEnough("fleet.secret.previous", config.fleet_secret_previous()));
    }
    return List.copyOf(secrets);
  }

  private static Secret longEnough(String key, String value) {
    if (value.length() < SECRET_LENGTH_MIN) {
      throw new IllegalArgumentException(
          AccessConfig.PID
              + ": "
              + key
              + " has "
              + value.length()
              + " characters, at least "
              + SECRET_LENGTH_MIN
              + " are needed");
    }
    return new Secret(value);
  }

  private static Duration millis(String key, long value, long min, long max) {
    return Duration.ofMillis(in(key, value, min, max));
  }

  private static long in(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          AccessConfig.PID + ": " + key + " is " + value + ", not within " + min + ".." + max);
    }
    return value;
  }
}
