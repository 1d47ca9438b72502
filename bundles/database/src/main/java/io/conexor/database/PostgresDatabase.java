package io.conexor.database;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.database.SqlFailedException;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Routes work to the server that may do it, and sees it through a failover. */
@Component(
    service = {Database.class, HealthCheck.class, PostgresDatabase.class},
    configurationPid = PostgresDatabase.PID)
@Designate(ocd = Settings.Config.class)
public final class PostgresDatabase implements Database, HealthCheck, AutoCloseable {

  static final String PID = "io.conexor.database";

  private static final Logger log = LoggerFactory.getLogger(PostgresDatabase.class);

  private final Settings settings;
  private final Router router;

  @Activate
  public PostgresDatabase(
      @Reference(name = "endpoints") DatabaseEndpoints endpoints, Settings.Config config) {
    this(endpoints, Settings.checked(config));
  }

  PostgresDatabase(DatabaseEndpoints endpoints, Settings settings) {
    this.settings = settings;
    this.router = new Router(endpoints, settings);
  }

  /**
   * For a program without OSGi.
   *
   * @param settings by key, as in the bundle's README; the rest has its default
   */
  public static PostgresDatabase open(DatabaseEndpoints endpoints, Map<String, String> settings) {
    return new PostgresDatabase(endpoints, Settings.of(settings));
  }

  @Deactivate
  @Override
  public void close() {
    router.close();
  }

  /** The same servers for code that knows JDBC only. */
  public DataSource dataSource() {
    return new RoutingSource(this);
  }

  Router router() {
    return router;
  }

  Settings settings() {
    return settings;
  }

  @Override
  public Database forOrganisation(OrgId org) {
    return new Scoped(org.toString());
  }

  @Override
  public Database forFleet() {
    return new Scoped("*");
  }

  @Override
  public <T> Written<T> write(Deadline deadline, SqlWork<T> work) {
    return write("", deadline, work);
  }

  @Override
  public <T> T read(Consistency consistency, Deadline deadline, SqlWork<T> work) {
    return read("", consistency, deadline, work);
  }

  @Override
  public <T> T following(Optional<CommitToken> known, Supplier<T> work) {
    return Following.run(known, work);
  }

  @Override
  public Optional<CommitToken> position() {
    return Following.position();
  }

  /** The database with the rows of somebody. */
  private final class Scoped implements Database {
    private final String scope;

    Scoped(String scope) {
      this.scope = scope;
    }

    @Override
    public <T> Written<T> write(Deadline deadline, SqlWork<T> work) {
      return PostgresDatabase.this.write(scope, deadline, work);
    }

    @Override
    public <T> T read(Consistency consistency, Deadline deadline, SqlWork<T> work) {
      return PostgresDatabase.this.read(scope, consistency, deadline, work);
    }

    @Override
    public <T> T following(Optional<CommitToken> known, Supplier<T> work) {
      return PostgresDatabase.this.following(known, work);
    }

    @Override
    public Optional<CommitToken> position() {
      return PostgresDatabase.this.position();
    }

    @Override
    public Database forOrganisation(OrgId org) {
      return PostgresDatabase.this.forOrganisation(org);
    }

    @Override
    public Database forFleet() {
      return PostgresDatabase.this.forFleet();
    }
  }

  @Override
  public String name() {
    return "database";
  }

  @Override
  public Health check() {
    return router.health();
  }

  @Override
  public Map<String, Double> gauges() {
    return router.gauges();
  }

  private <T> Written<T> write(String scope, Deadline deadline, SqlWork<T> work) {
    SQLException trouble = null;
    while (true) {
      Server server = router.awaitPrimary(deadline, trouble);
      if (deadline.passed()) {
        throw late("PostgreSQL did not take the write in time", trouble, server.writes());
      }
      Connection connection;
      try {
        connection = server.borrow(server.writes(), false);
      } catch (SQLException e) {
        trouble = e;
        server.poke();
        router.pause(deadline, 25);
        continue;
      }
      boolean broken = true;
      boolean keep = false;
      Settlement.Begun begun;
      T value;
      try {
        Dialer.Facts facts = server.writes().facts(connection);
        refuseStale(facts.wasStandby, facts.life == 0 ? Integer.MAX_VALUE : facts.timeline);
        begun = begin(connection, scope, deadline);
        refuseStale(false, begun.timeline());
        value = work.run(connection);
        refuseStale(false, begun.timeline());
        keep = true;
      } catch (SQLException e) {
        trouble = e;
        if (isTransient(e)) {
          if (isServers(e)) {
            server.poke();
            router.pause(deadline, 5);
          } else {
            broken = !rolledBack(connection);
          }
          if (deadline.passed()) {
            throw Router.away("PostgreSQL did not take the write in time", e);
          }
          continue;
        }
        broken = !rolledBack(connection);
        if ("57014".equals(e.getSQLState())) {
          throw Router.away("PostgreSQL did not take the write in time", e);
        }
        throw failed(e);
      } catch (RuntimeException e) {
        broken = !rolledBack(connection);
        throw e;
      } finally {
        if (!keep) {
          server.writes().giveBack(connection, broken);
        }
      }
      CommitToken token;
      broken = true;
      try {
        token = commit(connection, begun);
        broken = false;
        if (router.isStale(begun.timeline())) {
          // a stale primary said yes: what counts is what the new one knows of it
          broken = true;
          token =
              settle(begun, deadline, new SQLException("committed on a stale primary", "08007"));
        }
      } catch (SQLException e) {
        trouble = e;
        if (!isServers(e)) {
          broken = !rolledBack(connection);
          if (isTransient(e) && !deadline.passed()) {
            continue;
          }
          throw failed(e);
        }
        server.poke();
        token = settle(begun, deadline, e);
      } finally {
        server.writes().giveBack(connection, broken);
      }
      if (token != null) {
        Following.wrote(token);
        return new Written<>(value, token);
      }
    }
  }

  private void refuseStale(boolean wasStandby, int timeline) throws SQLException {
    if (wasStandby || router.isStale(timeline)) {
      throw new SQLException("the connection is not to the primary any more", "25006");
    }
  }

  private ConexorException late(String why, @Nullable SQLException trouble, Lane lane) {
    if (trouble instanceof SQLTransientConnectionException
        && lane.atWork() >= settings.poolSize()) {
      return new ConexorException(
          Blame.CAPACITY,
          Applied.NO,
          "database_busy",
          "all " + settings.poolSize() + " connections to PostgreSQL are in use; try again later",
          trouble,
          Duration.ofSeconds(1));
    }
    return Router.away(why, trouble);
  }

  /** One round trip: the tenant, the time limit, the role, and what settling would need. */
  private static Settlement.Begun begin(Connection connection, String scope, Deadline deadline)
      throws SQLException {
    long left = limitSocket(connection, deadline);
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select set_config('conexor.org', ?, true), set_config('statement_timeout', ?, true),"
                + " pg_wal_lsn_diff(pg_logical_emit_message(true, 'conexor', ''), '0/0')::bigint,"
                + " pg_current_xact_id()::text, "
                + Server.TIMELINE
                + ", pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint")) {
      statement.setString(1, scope);
      statement.setString(2, Long.toString(left));
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        long recovery = row.getLong(6);
        Long ended = row.wasNull() ? null : Long.valueOf(recovery);
        return new Settlement.Begun(row.getString(4), row.getInt(5), row.getLong(3), ended);
      }
    } catch (SQLException e) {
      // What a standby says to whoever wants a transaction id: an internal error, without a state
      // of its own. A pooler may lead to one after its primary went.
      if ("XX000".equals(e.getSQLState())) {
        throw new SQLException("the connection is to a standby", "25006", e);
      }
      throw e;
    }
  }

  private static long limitSocket(Connection connection, Deadline deadline) throws SQLException {
    long left = Math.max(1, deadline.remaining().toMillis());
    connection.setNetworkTimeout(Runnable::run, (int) Math.min(Integer.MAX_VALUE, left + 200));
    return left;
  }

  /** Commits and learns the position, in one round trip. */
  private static CommitToken commit(Connection connection, Settlement.Begun begun)
      throws SQLException {
    // Always the same text, so that the server has to parse it only once. Nothing but the socket
    // limits a commit: a cancel request would end the wait for the synchronous standby, and
    // PostgreSQL would report a commit that only the primary has.
    try (PreparedStatement statement =
        connection.prepareStatement(
            "commit; select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,"
                + " pg_xact_status(?::text::xid8)")) {
      statement.setString(1, begun.xid());
      boolean rows = statement.execute();
      while (!rows) {
        if (statement.getUpdateCount() < 0) {
          throw new SQLException("the commit was not answered", "08006");
        }
        rows = statement.getMoreResults();
      }
      try (ResultSet row = statement.getResultSet()) {
        row.next();
        if (!"committed".equals(row.getString(2))) {
          // the work swallowed an error, which PostgreSQL turns into a silent rollback
          throw new SQLException("the transaction had failed and was rolled back", "25P02");
        }
        return new CommitToken(begun.timeline(), row.getLong(1));
      }
    }
  }

  /** What became of a commit without an answer: its token, or null when it did not happen. */
  private @Nullable CommitToken settle(
      Settlement.Begun begun, Deadline deadline, SQLException cause) {
    while (!deadline.passed()) {
      Server server = router.primaryNow();
      if (server != null) {
        Connection connection = null;
        boolean broken = true;
        try {
          connection = server.borrow(server.writes(), false);
          limitSocket(connection, deadline);
          try (Statement statement = connection.createStatement();
              ResultSet row =
                  statement.executeQuery(
                      "select case when '"
                          + begun.xid()
                          + "'::xid8 >= pg_snapshot_xmax(pg_current_snapshot())"
                          + " then 'future' else pg_xact_status('"
                          + begun.xid()
                          + "'::xid8) end, "
                          + Server.TIMELINE
                          + ", pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint,"
                          + " pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint")) {
            row.next();
            long recovery = row.getLong(3);
            Long ended = row.wasNull() ? null : Long.valueOf(recovery);
            int timeline = row.getInt(2);
            broken = router.isStale(timeline);
            Settlement settlement =
                broken
                    ? Settlement.UNDECIDED
                    : Settlement.of(begun, row.getString(1), timeline, ended);
            log.info("a commit without an answer was settled: {}", settlement);
            if (settlement == Settlement.COMMITTED) {
              return new CommitToken(timeline, row.getLong(4));
            }
            if (settlement == Settlement.NOT_COMMITTED) {
              return null;
            }
            if (settlement == Settlement.UNKNOWN) {
              break;
            }
          }
        } catch (SQLException e) {
          cause.addSuppressed(e);
          server.poke();
        } finally {
          if (connection != null) {
            broken = broken || !rolledBack(connection);
            server.writes().giveBack(connection, broken);
          }
        }
      }
      router.pause(deadline, 25);
    }
    throw new ConexorException(
        Blame.DEPENDENCY,
        Applied.UNKNOWN,
        "database_outcome_unknown",
        "PostgreSQL did not answer a commit and its outcome could not be learned",
        cause);
  }

  private <T> T read(String scope, Consistency consistency, Deadline deadline, SqlWork<T> work) {
    SQLException trouble = null;
    long without = 0;
    while (true) {
      Router.Choice choice = router.choose(consistency, without);
      if (deadline.passed()) {
        throw choice == null
            ? Router.away("no PostgreSQL server can answer", trouble)
            : late("PostgreSQL did not answer in time", trouble, choice.server().reads());
      }
      if (choice == null) {
        // those that were tried in vain may be better now
        router.pause(deadline, without == 0 ? 25 : 5);
        without = 0;
        continue;
      }
      Server server = choice.server();
      Lane lane = server.reads();
      Connection connection = null;
      boolean broken = true;
      boolean begun = false;
      try {
        connection = server.borrow(lane, choice.isMovable());
        // at most twice what is left, so that the same limit fits many
        long limit = Long.highestOneBit(Math.max(1, deadline.remaining().toMillis())) * 2;
        if (!isFit(connection, lane, scope, deadline, limit, choice)) {
          broken = !rolledBack(connection);
          without |= router.bit(server);
          continue;
        }
        begun = true;
        T value = work.run(connection);
        connection.commit();
        broken = false;
        return value;
      } catch (SQLException e) {
        trouble = e;
        boolean wrote = begun && "25006".equals(e.getSQLState());
        if (!wrote && (connection == null || isServers(e))) {
          server.poke();
          without |= router.bit(server);
          continue;
        }
        broken = connection == null || !rolledBack(connection);
        if (isTransient(e) && !wrote) {
          // on a replica: replay was in the way
          without |= choice.isReplica() ? router.bit(server) : 0;
          continue;
        }
        if ("57014".equals(e.getSQLState())) {
          throw Router.away("PostgreSQL did not answer in time", e);
        }
        throw failed(e);
      } catch (RuntimeException e) {
        broken = connection == null || !rolledBack(connection);
        throw e;
      } finally {
        if (connection != null) {
          lane.giveBack(connection, broken);
        }
      }
    }
  }

  /**
   * Makes a connection ready for a read, without asking the server anything in the usual case: that
   * it is a primary's or how far a replica is follows from what is known of the connection and the
   * last look; the tenant and the time limit are often those of the last borrower.
   *
   * @param limit milliseconds a statement may take; 0 = any
   * @return false when the server is not fresh enough
   * @throws SQLException 25006 when it has not got the role it was chosen for
   */
  boolean isFit(
      Connection connection,
      Lane lane,
      String scope,
      Deadline deadline,
      long limit,
      Router.Choice choice)
      throws SQLException {
    long left = limitSocket(connection, deadline);
    if (settings.transactionPooling()) {
      return isFitBehindPooler(connection, scope, left, choice);
    }
    Dialer.Facts facts = lane.facts(connection);
    if (!choice.isReplica()) {
      refuseStale(facts.wasStandby || facts.timeline < choice.timeline(), facts.timeline);
    }
    boolean isProven = !choice.isReplica() || choice.isProven(facts.life);
    if (isProven && scope.equals(facts.scope) && limit == facts.statementLimitMillis) {
      return true;
    }
    connection.setAutoCommit(true);
    facts.scope = null;
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select set_config('conexor.org', ?, false),"
                + " set_config('statement_timeout', ?, false)")) {
      statement.setString(1, scope);
      statement.setString(2, Long.toString(limit));
      statement.executeQuery().close();
    }
    facts.scope = scope;
    facts.statementLimitMillis = limit;
    boolean isFresh = isProven || catchesUp(connection, choice);
    connection.setAutoCommit(false);
    return isFresh;
  }

  private boolean catchesUp(Connection connection, Router.Choice choice) throws SQLException {
    long giveUp = System.nanoTime() + settings.replicaWait().toNanos();
    while (true) {
      try (Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "select " + Server.TIMELINE + ", coalesce(" + Server.LSN + ", 0)")) {
        row.next();
        if (row.getInt(1) >= choice.timeline()
            && Long.compareUnsigned(row.getLong(2), choice.needed()) >= 0) {
          return true;
        }
      }
      if (System.nanoTime() - giveUp > 0) {
        return false;
      }
      router.pause(Deadline.in(Duration.ofMillis(2)), 2);
    }
  }

  /**
   * Each transaction may be on another server, so all is asked and set in the message that begins
   * it: a pooler gives a server away only after a message that ends outside a transaction.
   *
   * <p>How far a replica is is asked before the transaction begins: a position that is read inside
   * it may be newer than its snapshot, which then lacks what the position promises.
   */
  private boolean isFitBehindPooler(
      Connection connection, String scope, long left, Router.Choice choice) throws SQLException {
    connection.setReadOnly(true);
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select pg_is_in_recovery(), "
                + Server.TIMELINE
                + ", coalesce("
                + Server.LSN
                + ", 0); commit; begin isolation level repeatable read read only;"
                + " select set_config('conexor.org', ?, true),"
                + " set_config('statement_timeout', ?, true)")) {
      statement.setString(1, scope);
      statement.setString(2, Long.toString(left));
      boolean isFit;
      if (!statement.execute()) {
        throw new SQLException("the check of the server was not answered", "08006");
      }
      try (ResultSet row = statement.getResultSet()) {
        row.next();
        int timeline = row.getInt(2);
        if (!choice.isReplica()) {
          refuseStale(row.getBoolean(1) || timeline < choice.timeline(), timeline);
        }
        isFit =
            !choice.isReplica()
                || (timeline >= choice.timeline()
                    && Long.compareUnsigned(row.getLong(3), choice.needed()) >= 0);
      }
      while (statement.getMoreResults() || statement.getUpdateCount() >= 0) {}
      return isFit;
    }
  }

  /** A server without room, or whose disk fails, is away: no statement is at fault. */
  private static ConexorException failed(SQLException e) {
    String state = e.getSQLState() == null ? "" : e.getSQLState();
    return state.startsWith("53") || state.startsWith("58")
        ? Router.away("PostgreSQL can not do its work: " + e.getMessage(), e)
        : new SqlFailedException(e);
  }

  private static boolean rolledBack(Connection connection) {
    try {
      connection.rollback();
      return true;
    } catch (SQLException e) {
      return false;
    }
  }

  /** The server's or the way's fault: it may work elsewhere, or later. */
  static boolean isServers(SQLException e) {
    String state = e.getSQLState() == null ? "08000" : e.getSQLState();
    return state.startsWith("08")
        || state.startsWith("57P")
        || state.equals("25006")
        || state.equals("53300")
        || state.equals("55000");
  }

  /** Nothing was committed and another attempt may succeed. */
  static boolean isTransient(SQLException e) {
    return isServers(e) || "40001".equals(e.getSQLState()) || "40P01".equals(e.getSQLState());
  }
}
