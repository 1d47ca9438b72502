package io.conexor.database;

import java.io.PrintWriter;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.logging.Logger;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/**
 * The product's PostgreSQL for code that knows JDBC only: the primary, or after {@code
 * setReadOnly(true)} a replica that is fresh enough. See {@link RoutedConnection}.
 */
@Component(service = DataSource.class, property = "conexor.source=database")
public final class RoutingSource implements DataSource {

  private final PostgresDatabase database;

  @Activate
  public RoutingSource(@Reference(name = "database") PostgresDatabase database) {
    this.database = database;
  }

  @Override
  public Connection getConnection() {
    return (Connection)
        Proxy.newProxyInstance(
            RoutingSource.class.getClassLoader(),
            new Class<?>[] {Connection.class},
            new RoutedConnection(database.router(), database.settings(), database::isFit));
  }

  @Override
  public Connection getConnection(String user, String password) throws SQLException {
    throw new SQLFeatureNotSupportedException("the user is configured");
  }

  @Override
  public @Nullable PrintWriter getLogWriter() {
    return null;
  }

  @Override
  public void setLogWriter(@Nullable PrintWriter out) {}

  @Override
  public void setLoginTimeout(int seconds) {
    // configured, in milliseconds
  }

  @Override
  public int getLoginTimeout() {
    return (int) (database.settings().sourceWait().toMillis() + 999) / 1000;
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw new SQLFeatureNotSupportedException();
  }

  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    throw new SQLException("not a wrapper");
  }

  @Override
  public boolean isWrapperFor(Class<?> type) {
    return false;
  }
}
