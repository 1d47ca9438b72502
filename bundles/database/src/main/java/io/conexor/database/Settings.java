package io.conexor.database;

import java.time.Duration;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The configuration of the router, checked. */
record Settings(
    int poolSize,
    Duration watchInterval,
    Duration watchTimeout,
    Duration connectTimeout,
    Duration replicaWait,
    boolean transactionPooling) {

  @ObjectClassDefinition(name = "Database", description = "Access to the product's PostgreSQL")
  @interface Config {
    @AttributeDefinition(
        name = "Pool size",
        description = "Connections per server, 1..500",
        min = "1",
        max = "500")
    int pool_size() default 10;

    @AttributeDefinition(
        name = "Watch interval",
        description = "Milliseconds between two looks at each server, 20..10000",
        min = "20",
        max = "10000")
    long watch_interval_ms() default 200;

    @AttributeDefinition(
        name = "Watch timeout",
        description = "Milliseconds a server has to answer the watch, 50..10000",
        min = "50",
        max = "10000")
    long watch_timeout_ms() default 400;

    @AttributeDefinition(
        name = "Connect timeout",
        description = "Milliseconds to get a connection, 250..30000",
        min = "250",
        max = "30000")
    long connect_timeout_ms() default 1_000;

    @AttributeDefinition(
        name = "Replica wait",
        description =
            "Milliseconds a read waits for a replica to catch up before it goes to the primary,"
                + " 0..5000",
        min = "0",
        max = "5000")
    long replica_wait_ms() default 20;

    @AttributeDefinition(
        name = "Pooler",
        description = "none, or transaction when PgBouncer in transaction mode is in between")
    String pooler() default "none";
  }

  static Settings checked(Config config) {
    if (!config.pooler().equals("none") && !config.pooler().equals("transaction")) {
      throw new IllegalArgumentException(
          PostgresDatabase.PID + ": pooler=" + config.pooler() + " must be none or transaction");
    }
    return new Settings(
        (int) within("pool.size", config.pool_size(), 1, 500),
        Duration.ofMillis(within("watch.interval.ms", config.watch_interval_ms(), 20, 10_000)),
        Duration.ofMillis(within("watch.timeout.ms", config.watch_timeout_ms(), 50, 10_000)),
        Duration.ofMillis(within("connect.timeout.ms", config.connect_timeout_ms(), 250, 30_000)),
        Duration.ofMillis(within("replica.wait.ms", config.replica_wait_ms(), 0, 5_000)),
        config.pooler().equals("transaction"));
  }

  private static long within(String key, long value, long least, long most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          PostgresDatabase.PID + ": " + key + "=" + value + " must be " + least + ".." + most);
    }
    return value;
  }
}
