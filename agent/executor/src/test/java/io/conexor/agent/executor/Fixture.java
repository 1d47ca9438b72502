package io.conexor.agent.executor;

import java.lang.annotation.Annotation;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;

/** A running executor with its sources, fed by {@link ScriptedLinks}. */
final class Fixture implements AutoCloseable {
  final ScriptedLinks links = new ScriptedLinks();
  final Executor executor;
  private final Map<String, Source> sources = new HashMap<>();

  /** Drivers of the test's class path. */
  static final Drivers DRIVERS =
      url -> {
        for (Driver driver : ServiceLoader.load(Driver.class)) {
          try {
            if (driver.acceptsURL(url)) {
              return Optional.of(driver);
            }
          } catch (SQLException e) {
            throw new AssertionError(e);
          }
        }
        return Optional.empty();
      };

  Fixture() {
    this(Keeper.Limits.DEFAULT);
  }

  Fixture(Keeper.Limits limits) {
    executor = new Executor(links, limits);
  }

  Source source(String name, Map<String, Object> config) {
    Source source =
        new Source(SourceSettings.checked(SourceConfig.PID + "~" + name, config(config)), DRIVERS);
    sources.put(name, source);
    executor.addSource(source);
    return source;
  }

  @Override
  public void close() {
    sources.values().forEach(executor::removeSource);
    executor.deactivate();
    sources.values().forEach(Source::deactivate);
  }

  /** The defaults of the annotation, with these keys changed. */
  static SourceConfig config(Map<String, Object> keys) {
    return (SourceConfig)
        java.lang.reflect.Proxy.newProxyInstance(
            SourceConfig.class.getClassLoader(),
            new Class<?>[] {SourceConfig.class},
            (proxy, method, args) -> {
              if (method.getDeclaringClass() == Annotation.class) {
                return SourceConfig.class;
              }
              String key = method.getName().replace('_', '.');
              Object value = keys.getOrDefault(key, method.getDefaultValue());
              if (value instanceof Integer number && method.getReturnType() == long.class) {
                return number.longValue();
              }
              return value;
            });
  }

  static final List<String> TABLES =
      List.of(
          "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(40), email VARCHAR(80),"
              + " created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL)",
          "CREATE INDEX users_name ON users (name)",
          "CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER, amount DECIMAL(12, 2),"
              + " status VARCHAR(20), update_date TIMESTAMP NULL, is_deleted INTEGER, grant_count INTEGER,"
              + " call_id INTEGER, FOREIGN KEY (user_id) REFERENCES users (id))",
          "CREATE VIEW user_orders AS SELECT u.name, o.amount FROM users u JOIN orders o ON o.user_id = u.id",
          "INSERT INTO users (id, name, email, created_at) VALUES (1, 'ann', 'ann@example.org', '2020-01-02 03:04:05')",
          "INSERT INTO users (id, name, email) VALUES (2, 'bob', 'bob@example.org')",
          "INSERT INTO users (id, name, email) VALUES (3, 'cid', NULL)",
          "INSERT INTO orders (id, user_id, amount, status) VALUES (1, 1, 12.50, 'new')",
          "INSERT INTO orders (id, user_id, amount, status) VALUES (2, 1, 120.00, 'done')",
          "INSERT INTO orders (id, user_id, amount, status) VALUES (3, 2, 7.25, 'new')");

  static void run(Connection connection, List<String> statements) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }
}
