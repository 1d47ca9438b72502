package io.conexor.database;

import io.conexor.api.database.DatabaseEndpoints;
import java.io.PrintWriter;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.logging.Logger;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.ds.PGSimpleDataSource;

/** Opens connections to one server, with limits in milliseconds, and notes whom it met. */
final class Dialer implements DataSource {

  enum Purpose {
    WATCH,
    WRITE,
    READ
  }

  /**
   * What is true of a connection for as long as it lives, and what its last borrower left behind.
   * Only the borrower touches the fields.
   */
  static final class Facts {
    /** Of the server; see {@link View#life}. 0 behind a pooler, where nothing is known. */
    final long life;

    final int timeline;
    final boolean wasStandby;
    @Nullable String scope;
    long statementLimitMillis;

    Facts(long life, int timeline, boolean wasStandby) {
      this.life = life;
      this.timeline = timeline;
      this.wasStandby = wasStandby;
    }
  }

  private static final Facts NOTHING_KNOWN = new Facts(0, 0, false);

  private final DatabaseEndpoints.Endpoint endpoint;
  private final Settings settings;
  private final Purpose purpose;
  private final PGSimpleDataSource source;
  private final Map<Connection, Facts> facts = Collections.synchronizedMap(new WeakHashMap<>());

  Dialer(
      DatabaseEndpoints where,
      DatabaseEndpoints.Endpoint endpoint,
      Settings settings,
      Purpose purpose,
      Duration limit) {
    this.endpoint = endpoint;
    this.settings = settings;
    this.purpose = purpose;
    this.source = new PGSimpleDataSource();
    long millis = limit.toMillis();
    // pgjdbc leaves a thread behind when a login takes too long; the other limits end it
    long seconds = (millis + 1_999) / 1000;
    source.setURL(
        String.format(
            Locale.ROOT,
            "jdbc:postgresql://%s/%s?loginTimeout=%.3f&connectTimeout=%d&socketTimeout=%d"
                + "&tcpKeepAlive=true&ApplicationName=conexor-%s",
            endpoint,
            URLEncoder.encode(where.database(), StandardCharsets.UTF_8),
            millis / 1000.0,
            seconds,
            seconds,
            purpose.name().toLowerCase(Locale.ROOT)));
    source.setUser(where.user());
    source.setPassword(where.password().reveal());
    if (settings.transactionPooling()) {
      // the pooler gives each transaction another server connection: nothing may be prepared there
      source.setPrepareThreshold(0);
    } else if (purpose == Purpose.READ) {
      source.setOptions(
          "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read");
    }
  }

  /** Of a connection of this dialer, also if a pool has wrapped it. */
  Facts facts(Connection connection) throws SQLException {
    Facts found = facts.get(connection.unwrap(Connection.class));
    return found == null ? NOTHING_KNOWN : found;
  }

  @Override
  public Connection getConnection() throws SQLException {
    Connection connection = source.getConnection();
    if (purpose == Purpose.WATCH || settings.transactionPooling()) {
      return connection;
    }
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "select " + Server.LIFE + ", pg_is_in_recovery(), " + Server.TIMELINE)) {
      row.next();
      Facts met = new Facts(row.getLong(1), row.getInt(3), row.getBoolean(2));
      facts.put(connection, met);
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
    connection.setNetworkTimeout(Runnable::run, 0);
    return connection;
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
    return (int) (settings.connectTimeout().toMillis() + 999) / 1000;
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

  @Override
  public String toString() {
    return purpose + " " + endpoint;
  }
}
