package io.conexor.agent.executor;

import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.util.Properties;
import java.util.logging.Logger;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * Connections of one source, prepared so that they only read. No DriverManager, no context class
 * loader.
 */
final class DriverDataSource implements DataSource {
  private static final org.slf4j.Logger log = LoggerFactory.getLogger(DriverDataSource.class);

  private final SourceSettings settings;
  private final Drivers drivers;
  private final Engine engine;

  /**
   * The driver once found; writer and reader are any thread. A newer bundle is found after a
   * restart.
   */
  private volatile @Nullable Driver driver;

  DriverDataSource(SourceSettings settings, Drivers drivers, Engine engine) {
    this.settings = settings;
    this.drivers = drivers;
    this.engine = engine;
  }

  @Override
  public Connection getConnection() throws SQLException {
    Driver found = driver;
    if (found == null) {
      found =
          drivers
              .of(settings.url())
              .orElseThrow(
                  () ->
                      new SQLException(
                          "no JDBC driver for "
                              + settings.dialect().title()
                              + " is installed; install its feature",
                          "08001"));
      driver = found;
    }
    Properties properties = engine.properties(settings);
    if (!settings.user().isEmpty()) {
      properties.setProperty("user", settings.user());
    }
    if (!settings.password().reveal().isEmpty()) {
      properties.setProperty("password", settings.password().reveal());
    }
    Connection connection = found.connect(settings.url(), properties);
    if (connection == null) {
      throw new SQLException("the JDBC driver does not know this form of URL", "08001");
    }
    try (Statement statement = connection.createStatement()) {
      for (String sql : engine.afterConnect(settings)) {
        statement.execute(sql);
      }
      for (String sql : engine.afterConnectIfPossible()) {
        wish(statement, sql);
      }
    } catch (SQLException | RuntimeException e) {
      connection.close();
      throw e;
    }
    return connection;
  }

  private static void wish(Statement statement, String sql) {
    try {
      statement.execute(sql);
    } catch (SQLException e) {
      log.debug("{} is not known here: {}", sql, e.getMessage());
    }
  }

  @Override
  public Connection getConnection(String username, String password) throws SQLException {
    throw new SQLFeatureNotSupportedException("the user is configured");
  }

  @Override
  public PrintWriter getLogWriter() throws SQLException {
    throw new SQLFeatureNotSupportedException();
  }

  @Override
  public void setLogWriter(PrintWriter out) {
    // drivers log where they are configured to
  }

  @Override
  public void setLoginTimeout(int seconds) {
    // a property of the driver, see Engine
  }

  /** The pool waits so long at its end for a connection that is being opened. */
  @Override
  public int getLoginTimeout() {
    return (int) Math.max(1, settings.connectTimeout().toSeconds());
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw new SQLFeatureNotSupportedException();
  }

  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    if (type.isInstance(this)) {
      return type.cast(this);
    }
    throw new SQLException("not a wrapper of " + type.getName());
  }

  @Override
  public boolean isWrapperFor(Class<?> type) {
    return type.isInstance(this);
  }
}
