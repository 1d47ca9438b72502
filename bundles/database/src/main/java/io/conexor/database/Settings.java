package io.conexor.database;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The configuration of the router, checked. */
record Settings(
    int poolSize,
    Duration watchInterval,
    Duration suspectAfter,
    Duration watchTimeout,
    Duration connectTimeout,
    Duration replicaWait,
    Duration maxLag,
    Duration sourceMaxLag,
    Duration sourceWait,
    boolean transactionPooling) {

  @ObjectClassDefinition(name = "Database", description = "Access to the product's PostgreSQL")
  @interface Config {
    @AttributeDefinition(
        name = "Pool size",
        description = "Connections per server for writes, and as many for reads, 1..500",
        min = "1",
        max = "500")
    int pool_size() default 10;

    @AttributeDefinition(
        name = "Watch interval",
        description = "Milliseconds between two looks at each server, 20..10000",
        min = "20",
        max = "10000")
    long watch_interval_ms() default 100;

    @AttributeDefinition(
        name = "Suspect after",
        description =
            "Milliseconds without an answer to the watch after which reads go to another server,"
                + " 20..10000",
        min = "20",
        max = "10000")
    long suspect_after_ms() default 150;

    @AttributeDefinition(
        name = "Watch timeout",
        description =
            "Milliseconds a suspected server has to answer before it counts as down, 50..10000",
        min = "50",
        max = "10000")
    long watch_timeout_ms() default 400;

    @AttributeDefinition(
        name = "Connect timeout",
        description = "Milliseconds to open a connection, 250..30000",
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
        name = "Most lag",
        description =
            "Milliseconds a replica may be behind before it gets no more reads; it comes back below"
                + " half of it; 0 = any, 0..3600000",
        min = "0",
        max = "3600000")
    long lag_max_ms() default 10_000;

    @AttributeDefinition(
        name = "Lag of the data source",
        description =
            "Milliseconds that what a read-only connection of the DataSource service sees may be"
                + " old, 0..3600000",
        min = "0",
        max = "3600000")
    long datasource_max_lag_ms() default 1_000;

    @AttributeDefinition(
        name = "Wait of the data source",
        description =
            "Milliseconds a connection of the DataSource service waits for a server, 100..60000",
        min = "100",
        max = "60000")
    long datasource_wait_ms() default 5_000;

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
        Duration.ofMillis(within("suspect.after.ms", config.suspect_after_ms(), 20, 10_000)),
        Duration.ofMillis(within("watch.timeout.ms", config.watch_timeout_ms(), 50, 10_000)),
        Duration.ofMillis(within("connect.timeout.ms", config.connect_timeout_ms(), 250, 30_000)),
        Duration.ofMillis(within("replica.wait.ms", config.replica_wait_ms(), 0, 5_000)),
        Duration.ofMillis(within("lag.max.ms", config.lag_max_ms(), 0, 3_600_000)),
        Duration.ofMillis(
            within("datasource.max.lag.ms", config.datasource_max_lag_ms(), 0, 3_600_000)),
        Duration.ofMillis(within("datasource.wait.ms", config.datasource_wait_ms(), 100, 60_000)),
        config.pooler().equals("transaction"));
  }

  /** From texts by key, e.g. {@code pool.size}; what is left out has its default. */
  static Settings of(Map<String, String> texts) {
    Map<String, Method> methods =
        Arrays.stream(Config.class.getDeclaredMethods())
            .collect(Collectors.toMap(m -> m.getName().replace('_', '.'), m -> m));
    Map<String, Object> values = new HashMap<>();
    methods.forEach((key, method) -> values.put(method.getName(), method.getDefaultValue()));
    texts.forEach(
        (key, text) -> {
          Method method = methods.get(key);
          if (method == null) {
            throw new IllegalArgumentException(
                PostgresDatabase.PID + ": there is no key '" + key + "'");
          }
          Class<?> type = method.getReturnType();
          try {
            values.put(
                method.getName(),
                type == int.class
                    ? Integer.valueOf(text)
                    : type == long.class ? Long.valueOf(text) : text);
          } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                PostgresDatabase.PID + ": " + key + "=" + text + " is not a number", e);
          }
        });
    return checked(
        (Config)
            Proxy.newProxyInstance(
                Config.class.getClassLoader(),
                new Class<?>[] {Config.class},
                (proxy, method, arguments) -> values.get(method.getName())));
  }

  private static long within(String key, long value, long least, long most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          PostgresDatabase.PID + ": " + key + "=" + value + " must be " + least + ".." + most);
    }
    return value;
  }
}
