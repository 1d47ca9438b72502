package io.conexor.access;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of the components of this bundle, which share one PID. */
@ObjectClassDefinition(name = "Access", description = "Keys, passwords, sessions and signed tokens")
@interface AccessConfig {

  String PID = "io.conexor.access";

  @AttributeDefinition(
      name = "Data folder",
      description = "Where the first-run set-up token is written; the server's data folder")
  String data_dir() default "data";

  @AttributeDefinition(
      name = "Fleet secret",
      description =
          "Signs tokens, the same on every backend, 32 characters or more; empty = made once and"
              + " kept in PostgreSQL",
      type = AttributeType.PASSWORD)
  String fleet_secret() default "";

  @AttributeDefinition(
      name = "Previous fleet secret",
      description =
          "Still accepted while a configured fleet secret is being replaced; empty = none",
      type = AttributeType.PASSWORD)
  String fleet_secret_previous() default "";

  @AttributeDefinition(
      name = "Fleet secret rotation",
      description = "Days after which a secret kept in PostgreSQL is replaced, 0..3650; 0 = never",
      min = "0",
      max = "3650")
  int fleet_secret_rotate_days() default 90;

  @AttributeDefinition(
      name = "Fleet secret overlap",
      description = "Days for which a replaced secret is still accepted, 1..365",
      min = "1",
      max = "365")
  int fleet_secret_overlap_days() default 30;

  @AttributeDefinition(
      name = "Key cache size",
      description = "API keys remembered, 100..10000000",
      min = "100",
      max = "10000000")
  int key_cache_size() default 100_000;

  @AttributeDefinition(
      name = "Key refresh",
      description =
          "Milliseconds after which a remembered key is looked up again in the background,"
              + " 1000..3600000",
      min = "1000",
      max = "3600000")
  long key_cache_refresh_ms() default 60_000;

  @AttributeDefinition(
      name = "Key maximum age",
      description =
          "Milliseconds for which a remembered key is accepted while the database is away,"
              + " 10000..604800000",
      min = "10000",
      max = "604800000")
  long key_cache_max_age_ms() default 86_400_000;

  @AttributeDefinition(
      name = "Unknown key memory",
      description =
          "Milliseconds for which an unknown key is refused without asking the database,"
              + " 100..600000",
      min = "100",
      max = "600000")
  long key_unknown_ms() default 10_000;

  @AttributeDefinition(
      name = "Password hashes at a time",
      description = "Each takes 19 MiB and one core for some 50 ms, 1..64",
      min = "1",
      max = "64")
  int password_concurrency() default 2;

  @AttributeDefinition(
      name = "Password hashes waiting",
      description = "Log-ins beyond these are told to come back, 1..1000",
      min = "1",
      max = "1000")
  int password_queue() default 16;

  @AttributeDefinition(
      name = "Shortest password",
      description = "Characters, 8..128",
      min = "8",
      max = "128")
  int password_length_min() default 12;

  @AttributeDefinition(
      name = "Log-in attempts per account",
      description = "At once, before they are spaced, 1..1000",
      min = "1",
      max = "1000")
  int login_account_burst() default 10;

  @AttributeDefinition(
      name = "Log-in spacing per account",
      description = "Milliseconds between attempts after the burst, 100..3600000",
      min = "100",
      max = "3600000")
  long login_account_interval_ms() default 30_000;

  @AttributeDefinition(
      name = "Log-in attempts per address",
      description = "At once, before they are spaced, 1..10000",
      min = "1",
      max = "10000")
  int login_address_burst() default 30;

  @AttributeDefinition(
      name = "Log-in spacing per address",
      description = "Milliseconds between attempts after the burst, 10..3600000",
      min = "10",
      max = "3600000")
  long login_address_interval_ms() default 2_000;

  @AttributeDefinition(
      name = "Session time to live",
      description = "Milliseconds without use after which a log-in ends, 60000..2592000000",
      min = "60000",
      max = "2592000000")
  long session_ttl_ms() default 28_800_000;

  @AttributeDefinition(
      name = "Threads",
      description = "For the database and the session store, 1..64",
      min = "1",
      max = "64")
  int threads() default 4;

  @AttributeDefinition(
      name = "Waiting work",
      description = "Look-ups waiting for a thread; more are refused, 16..100000",
      min = "16",
      max = "100000")
  int queue() default 512;
}
