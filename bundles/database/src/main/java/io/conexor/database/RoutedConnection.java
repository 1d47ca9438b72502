package io.conexor.database;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLClientInfoException;
import java.sql.SQLException;
import java.sql.SQLNonTransientConnectionException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.util.Map;
import java.util.Properties;
import org.jspecify.annotations.Nullable;

/**
 * A JDBC connection that finds its server with its first statement: the primary, or, read-only, a
 * replica fresh enough. It stays with that server until it is closed or {@code setReadOnly} is
 * called outside a transaction; statements made before are closed then.
 *
 * <p>The token of the newest write is the client info {@value #TOKEN}: {@code getClientInfo} after
 * a write proves it, {@code setClientInfo} on any connection of any backend asks for servers that
 * have it. A connection always sees its own writes. As any JDBC connection, for one thread at a
 * time.
 */
final class RoutedConnection implements InvocationHandler {

  static final String TOKEN = "conexor.token";

  private static final Object[] NONE = {};

  /** Makes a pooled connection ready; see {@link PostgresDatabase#isFit}. */
  interface Fitting {
    boolean isFit(
        Connection connection,
        Lane lane,
        String scope,
        Deadline deadline,
        long statementLimitMillis,
        Router.Choice choice)
        throws SQLException;
  }

  private final Router router;
  private final Settings settings;
  private final Fitting fitting;
  private boolean readOnly;
  private boolean autoCommit = true;
  private @Nullable Integer isolation;
  private boolean closed;
  private boolean inTransaction;
  private boolean broken;
  private boolean wrote; // since the token was taken
  private int timeline; // of the primary it writes to
  private CommitToken token = CommitToken.NONE;
  private @Nullable Server server;
  private @Nullable Lane lane;
  private @Nullable Connection connection;

  RoutedConnection(Router router, Settings settings, Fitting fitting) {
    this.router = router;
    this.settings = settings;
    this.fitting = fitting;
  }

  @Override
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments)
      throws Throwable {
    return run(proxy, method, arguments == null ? NONE : arguments);
  }

  private @Nullable Object run(Object proxy, Method method, Object[] arguments) throws Throwable {
    String name = method.getName();
    switch (name) {
      case "hashCode" -> {
        return System.identityHashCode(proxy);
      }
      case "equals" -> {
        return proxy == arguments[0];
      }
      case "toString" -> {
        return "connection to " + (server == null ? "no server yet" : server);
      }
      case "isClosed" -> {
        return closed;
      }
      case "close" -> {
        close();
        return null;
      }
      case "abort" -> {
        abort();
        return null;
      }
      case "isValid" -> {
        return !closed && (connection == null || connection.isValid((Integer) arguments[0]));
      }
      case "isWrapperFor" -> {
        return ((Class<?>) arguments[0]).isInstance(proxy)
            || (connection != null && connection.isWrapperFor((Class<?>) arguments[0]));
      }
      default -> {}
    }
    if (closed) {
      throw new SQLNonTransientConnectionException("the connection is closed", "08003");
    }
    switch (name) {
      case "isReadOnly" -> {
        return readOnly;
      }
      case "setReadOnly" -> {
        setReadOnly((Boolean) arguments[0]);
        return null;
      }
      case "getAutoCommit" -> {
        return autoCommit;
      }
      case "setAutoCommit" -> {
        setAutoCommit((Boolean) arguments[0]);
        return null;
      }
      case "setTransactionIsolation" -> {
        isolation = (Integer) arguments[0];
        if (connection != null) {
          connection.setTransactionIsolation(isolation);
        }
        return null;
      }
      case "getClientInfo" -> {
        return clientInfo(arguments);
      }
      case "setClientInfo" -> {
        setClientInfo(arguments);
        return null;
      }
      case "commit", "rollback" -> {
        end(method, arguments);
        return null;
      }
      case "unwrap" -> {
        if (((Class<?>) arguments[0]).isInstance(proxy)) {
          return proxy;
        }
      }
      default -> {}
    }
    Connection target = bound();
    if (!autoCommit) {
      inTransaction = true;
    }
    if (!readOnly) {
      wrote = true;
    }
    return call(target, method, arguments);
  }

  private @Nullable Object call(Connection target, Method method, Object[] arguments)
      throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      if (cause instanceof SQLException failure && PostgresDatabase.isServers(failure)) {
        trouble();
      }
      throw cause;
    }
  }

  private @Nullable Object clientInfo(Object[] arguments) throws SQLException {
    if (arguments.length > 0) {
      return TOKEN.equals(arguments[0]) ? text(token()) : null;
    }
    Properties all = new Properties();
    all.setProperty(TOKEN, text(token()));
    return all;
  }

  private void setClientInfo(Object[] arguments) throws SQLException {
    if (arguments.length == 2) {
      take(String.valueOf(arguments[0]), String.valueOf(arguments[1]));
      return;
    }
    Properties all = (Properties) arguments[0];
    for (String key : all.stringPropertyNames()) {
      take(key, all.getProperty(key));
    }
  }

  private void trouble() {
    broken = true;
    if (server != null) {
      server.poke();
    }
  }

  private void end(Method method, Object[] arguments) throws Throwable {
    Connection target = connection;
    if (target == null) {
      return;
    }
    boolean whole = arguments.length == 0;
    boolean commits = method.getName().equals("commit");
    if (broken || target.isClosed()) {
      trouble();
      release();
      if (commits) {
        throw new SQLTransientConnectionException(
            "the connection broke before the commit; nothing was committed", "40001");
      }
      return;
    }
    if (commits && !readOnly && router.isStale(timeline)) {
      trouble();
      throw new SQLTransientConnectionException(
          "there is a newer primary; nothing was committed", "40001");
    }
    try {
      call(target, method, arguments);
    } catch (SQLException e) {
      if (commits && PostgresDatabase.isServers(e)) {
        throw new SQLException(
            "PostgreSQL did not answer the commit: " + e.getMessage(), "08007", e);
      }
      throw e;
    }
    if (whole) {
      inTransaction = false;
    }
  }

  private void setReadOnly(boolean next) throws SQLException {
    if (next == readOnly) {
      return;
    }
    if (inTransaction) {
      throw new SQLException("setReadOnly in the middle of a transaction", "25001");
    }
    token();
    release();
    readOnly = next;
  }

  private void setAutoCommit(boolean next) throws SQLException {
    if (next == autoCommit) {
      return;
    }
    autoCommit = next;
    inTransaction = false;
    if (connection != null) {
      connection.setAutoCommit(next);
    }
  }

  /** Of what this connection wrote or was told of; asks the server after a write. */
  private CommitToken token() throws SQLException {
    Connection primary = connection;
    if (wrote && primary != null && !inTransaction && !broken) {
      boolean own = primary.getAutoCommit();
      primary.setAutoCommit(true);
      try (Statement statement = primary.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint, "
                      + Server.TIMELINE)) {
        row.next();
        token = token.orLater(new CommitToken(row.getInt(2), row.getLong(1)));
        wrote = false;
      } finally {
        primary.setAutoCommit(own);
      }
    }
    return token;
  }

  private static String text(CommitToken token) {
    return token.timeline() + "/" + Long.toUnsignedString(token.lsn(), 16);
  }

  private void take(String key, String value) throws SQLException {
    if (!TOKEN.equals(key)) {
      throw new SQLClientInfoException("there is no client info '" + key + "'", Map.of());
    }
    try {
      int slash = value.indexOf('/');
      CommitToken other =
          new CommitToken(
              Integer.parseInt(value.substring(0, slash)),
              Long.parseUnsignedLong(value.substring(slash + 1), 16));
      if (other.compareTo(token) > 0) {
        token = other;
        if (readOnly && !inTransaction) {
          release();
        }
      }
    } catch (NumberFormatException | StringIndexOutOfBoundsException e) {
      throw new SQLClientInfoException("not a token: '" + value + "'", Map.of(), e);
    }
  }

  private Connection bound() throws SQLException {
    Connection bound = connection;
    if (bound != null && !inTransaction && isUnfit(bound)) {
      release();
      bound = null;
    }
    if (bound != null) {
      return bound;
    }
    try {
      bound = readOnly ? toRead() : toWrite();
      bound.setAutoCommit(autoCommit);
      if (isolation != null) {
        bound.setTransactionIsolation(isolation);
      }
      connection = bound;
      return bound;
    } catch (ConexorException e) {
      throw new SQLTransientConnectionException(e.getMessage(), "08001", e);
    }
  }

  /** Between two transactions it leaves a server that is not what it was taken for. */
  private boolean isUnfit(Connection bound) throws SQLException {
    Server at = server;
    if (broken || at == null || bound.isClosed()) {
      return true;
    }
    return readOnly
        ? at.view().role() == View.Role.REPLICA && !at.inRotation
        : at != router.primaryNow() || router.isStale(timeline);
  }

  private Connection toRead() throws SQLException {
    Deadline deadline = Deadline.in(settings.sourceWait());
    // behind a pooler each statement may meet another replica
    Consistency wanted =
        settings.transactionPooling() && !token.equals(CommitToken.NONE)
            ? Consistency.strong()
            : Consistency.eventual(settings.sourceMaxLag());
    SQLException trouble = null;
    long without = 0;
    while (!deadline.passed()) {
      // both, if there is a token: as fresh as the token and not older than the limit
      Router.Choice choice = router.choose(wanted, without);
      if (choice != null && choice.isReplica() && !token.equals(CommitToken.NONE)) {
        choice = choice.atLeast(token);
      }
      if (choice == null || (!choice.isReplica() && choice.timeline() < token.timeline())) {
        router.pause(deadline, without == 0 ? 25 : 5);
        without = 0;
        continue;
      }
      Lane from = choice.server().reads();
      Connection candidate = null;
      boolean keep = false;
      boolean bad = true;
      try {
        // the caller could not know why its statement was aborted, so it is not
        candidate = choice.server().borrow(from, false);
        if (fitting.isFit(candidate, from, "", deadline, 0, choice)) {
          candidate.setNetworkTimeout(Runnable::run, 0);
          keep = true;
          server = choice.server();
          lane = from;
          return candidate;
        }
        bad = false;
        without |= router.bit(choice.server());
      } catch (SQLException e) {
        trouble = e;
        if (!PostgresDatabase.isServers(e)) {
          throw e;
        }
        choice.server().poke();
        without |= router.bit(choice.server());
      } finally {
        if (candidate != null && !keep) {
          from.giveBack(candidate, bad);
        }
      }
    }
    throw Router.away("no PostgreSQL server can answer", trouble);
  }

  private Connection toWrite() throws SQLException {
    Deadline deadline = Deadline.in(settings.sourceWait());
    SQLException trouble = null;
    while (true) {
      Server primary = router.awaitPrimary(deadline, trouble);
      if (deadline.passed()) {
        throw Router.away("PostgreSQL gave no connection in time", trouble);
      }
      Connection candidate = null;
      try {
        candidate = primary.borrow(primary.writes(), false);
        Dialer.Facts facts = primary.writes().facts(candidate);
        if (facts.life == 0 || !(facts.wasStandby || router.isStale(facts.timeline))) {
          timeline = facts.life == 0 ? Integer.MAX_VALUE : facts.timeline;
          server = primary;
          lane = primary.writes();
          return candidate;
        }
        trouble = new SQLException("the connection is not to the primary any more", "25006");
      } catch (SQLException e) {
        trouble = e;
      }
      if (candidate != null) {
        primary.writes().giveBack(candidate, true);
      }
      primary.poke();
      router.pause(deadline, 5);
    }
  }

  private void abort() {
    closed = true;
    broken = true;
    release();
  }

  private void close() throws SQLException {
    if (closed) {
      return;
    }
    closed = true;
    if (connection != null && inTransaction && !broken) {
      try {
        connection.rollback();
      } catch (SQLException e) {
        broken = true;
      }
    }
    release();
  }

  private void release() {
    Connection bound = connection;
    Lane from = lane;
    connection = null;
    server = null;
    lane = null;
    if (bound != null && from != null) {
      from.giveBack(bound, broken);
    }
    broken = false;
    inTransaction = false;
  }
}
