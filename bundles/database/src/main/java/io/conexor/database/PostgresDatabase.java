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
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
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
    service = {Database.class, HealthCheck.class},
    configurationPid = PostgresDatabase.PID)
@Designate(ocd = Settings.Config.class)
public final class PostgresDatabase implements Database, HealthCheck {

  static final String PID = "io.conexor.database";

  private static final Logger log = LoggerFactory.getLogger(PostgresDatabase.class);

  /** Looks at the primary that are remembered, to tell how old what a replica has is. */
  private static final int HISTORY = 3_000;

  private final Settings settings;
  private final List<Server> servers;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private int newestTimeline; // guarded by lock
  private int present = -1; // index of the primary; guarded by lock

  /** Where the primary was when; guarded by lock. */
  private final Deque<long[]> history = new ArrayDeque<>();

  @Activate
  public PostgresDatabase(
      @Reference(name = "endpoints") DatabaseEndpoints endpoints, Settings.Config config) {
    this(endpoints, Settings.checked(config));
  }

  PostgresDatabase(DatabaseEndpoints endpoints, Settings settings) {
    this.settings = settings;
    this.servers =
        endpoints.endpoints().stream()
            .map(endpoint -> new Server(endpoints, endpoint, settings, this::looked))
            .toList();
    // INVARIANT: watches begin when the list is complete
    servers.forEach(Server::start);
  }

  @Deactivate
  void close() {
    servers.forEach(Server::close);
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
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
    Map<String, String> facts = new HashMap<>();
    StringBuilder down = new StringBuilder();
    for (Server server : servers) {
      View view = server.view();
      facts.put(server.toString(), view.role() + ", timeline " + view.timeline());
      if (view.role() == View.Role.DOWN) {
        down.append(down.isEmpty() ? "" : "; ").append(server).append(": ").append(view.why());
      }
    }
    lock.lock();
    try {
      if (present < 0) {
        // the backend still serves from its caches: the load balancer must not take it out
        return Health.degraded("no PostgreSQL primary: changes get 503. " + down, facts);
      }
    } finally {
      lock.unlock();
    }
    return down.isEmpty()
        ? Health.healthy(facts)
        : Health.degraded("PostgreSQL servers are down: " + down, facts);
  }

  private void looked() {
    lock.lock();
    try {
      List<View> views = servers.stream().map(Server::view).toList();
      for (View view : views) {
        if (view.role() == View.Role.PRIMARY && view.timeline() > newestTimeline) {
          newestTimeline = view.timeline();
          history.clear();
        }
      }
      int before = present;
      present = View.primary(views, newestTimeline, before);
      for (int i = 0; i < views.size(); i++) {
        if (i != present
            && views.get(i).role() == View.Role.PRIMARY
            && views.get(i).timeline() < newestTimeline) {
          servers.get(i).takeOut();
        }
      }
      if (present >= 0) {
        history.addLast(new long[] {System.nanoTime(), views.get(present).lsn()});
        if (history.size() > HISTORY) {
          history.removeFirst();
        }
      }
      if (present != before) {
        log.info("PostgreSQL primary: {}", present < 0 ? "none" : servers.get(present).toString());
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private @Nullable Server primaryNow() {
    lock.lock();
    try {
      return present < 0 ? null : servers.get(present);
    } finally {
      lock.unlock();
    }
  }

  private Server awaitPrimary(Deadline deadline, @Nullable Throwable lastTrouble) {
    lock.lock();
    try {
      while (present < 0) {
        long left = deadline.remainingNanos();
        if (left == 0) {
          throw away("there is no PostgreSQL primary", lastTrouble);
        }
        changed.awaitNanos(left);
      }
      return servers.get(present);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw away("interrupted while waiting for a PostgreSQL primary", e);
    } finally {
      lock.unlock();
    }
  }

  /** Waits for news from the watches, a moment at most. */
  // every caller is a loop that looks again; waking early costs one more look
  @SuppressWarnings("WaitNotInLoop")
  private void pause(Deadline deadline) {
    lock.lock();
    try {
      changed.awaitNanos(Math.min(deadline.remainingNanos(), TimeUnit.MILLISECONDS.toNanos(25)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw away("interrupted while waiting for PostgreSQL", e);
    } finally {
      lock.unlock();
    }
  }

  private static ConexorException away(String why, @Nullable Throwable cause) {
    return new ConexorException(
        Blame.DEPENDENCY,
        Applied.NO,
        "database_unavailable",
        why + "; nothing was changed, try again",
        cause,
        Duration.ofSeconds(1));
  }

  private <T> Written<T> write(String scope, Deadline deadline, SqlWork<T> work) {
    SQLException trouble = null;
    while (true) {
      Server server = awaitPrimary(deadline, trouble);
      if (deadline.passed()) {
        throw away("PostgreSQL did not take the write in time", trouble);
      }
      Connection connection;
      try {
        connection = server.borrow();
      } catch (SQLException e) {
        trouble = e;
        server.poke();
        pause(deadline);
        continue;
      }
      boolean broken = true;
      boolean keep = false;
      Settlement.Begun begun;
      T value;
      try {
        begun = begin(connection, scope, deadline);
        value = work.run(connection);
        keep = true;
      } catch (SQLException e) {
        trouble = e;
        if (isTransient(e)) {
          if (isServers(e)) {
            server.poke();
          } else {
            broken = !rolledBack(connection);
          }
          if (deadline.passed()) {
            throw away("PostgreSQL did not take the write in time", e);
          }
          continue;
        }
        broken = !rolledBack(connection);
        if ("57014".equals(e.getSQLState())) {
          throw away("PostgreSQL did not take the write in time", e);
        }
        throw new SqlFailedException(e);
      } catch (RuntimeException e) {
        broken = !rolledBack(connection);
        throw e;
      } finally {
        if (!keep) {
          server.giveBack(connection, broken);
        }
      }
      CommitToken token;
      broken = true;
      try {
        token = commit(connection, begun);
        broken = false;
      } catch (SQLException e) {
        trouble = e;
        if (!isServers(e)) {
          broken = !rolledBack(connection);
          if (isTransient(e) && !deadline.passed()) {
            continue;
          }
          throw new SqlFailedException(e);
        }
        server.poke();
        token = settle(begun, deadline, e);
      } finally {
        server.giveBack(connection, broken);
      }
      if (token != null) {
        return new Written<>(value, token);
      }
    }
  }

  /** One round trip: the tenant, the time limit, the role, and what settling would need. */
  private static Settlement.Begun begin(Connection connection, String scope, Deadline deadline)
      throws SQLException {
    long left = Math.max(1, deadline.remaining().toMillis());
    connection.setNetworkTimeout(Runnable::run, (int) Math.min(Integer.MAX_VALUE, left + 200));
    if (connection.isReadOnly()) {
      connection.setReadOnly(false);
    }
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
    }
  }

  /** Commits and learns the position, in one round trip. */
  private static CommitToken commit(Connection connection, Settlement.Begun begun)
      throws SQLException {
    try (Statement statement = connection.createStatement()) {
      boolean rows =
          statement.execute(
              "commit; select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,"
                  + " pg_xact_status('"
                  + begun.xid()
                  + "'::xid8)");
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
      Server server = primaryNow();
      if (server != null) {
        Connection connection = null;
        boolean broken = true;
        try {
          connection = server.borrow();
          connection.setNetworkTimeout(
              Runnable::run, (int) Math.max(50, deadline.remaining().toMillis()));
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
            Settlement settlement = Settlement.of(begun, row.getString(1), timeline, ended);
            log.info("a commit without an answer was settled: {}", settlement);
            broken = false;
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
            server.giveBack(connection, broken);
          }
        }
      }
      pause(deadline);
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
    boolean replicaBehind = false;
    while (true) {
      if (deadline.passed()) {
        throw away("PostgreSQL did not answer in time", trouble);
      }
      Server server = replicaBehind ? null : replica(consistency);
      CommitToken needed =
          server != null && consistency instanceof Consistency.Session session
              ? session.token()
              : CommitToken.NONE;
      boolean onReplica = server != null;
      if (server == null) {
        server = awaitPrimary(deadline, trouble);
      }
      Connection connection = null;
      boolean broken = true;
      boolean begun = false;
      try {
        connection = server.borrow();
        if (!beginRead(connection, scope, deadline, onReplica, needed)) {
          broken = !rolledBack(connection);
          replicaBehind = true;
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
          pause(deadline);
          continue;
        }
        broken = connection == null || !rolledBack(connection);
        if (isTransient(e) && !wrote) {
          continue;
        }
        if ("57014".equals(e.getSQLState())) {
          throw away("PostgreSQL did not answer in time", e);
        }
        throw new SqlFailedException(e);
      } catch (RuntimeException e) {
        broken = connection == null || !rolledBack(connection);
        throw e;
      } finally {
        if (connection != null) {
          server.giveBack(connection, broken);
        }
      }
    }
  }

  /** False when the server is not, or no longer, fresh enough or in the role it was chosen for. */
  private boolean beginRead(
      Connection connection, String scope, Deadline deadline, boolean onReplica, CommitToken needed)
      throws SQLException {
    long left = Math.max(1, deadline.remaining().toMillis());
    connection.setNetworkTimeout(Runnable::run, (int) Math.min(Integer.MAX_VALUE, left + 200));
    if (!connection.isReadOnly()) {
      connection.setReadOnly(true);
    }
    long giveUp = System.nanoTime() + settings.replicaWait().toNanos();
    while (true) {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select set_config('conexor.org', ?, true), set_config('statement_timeout', ?, true),"
                  + " pg_is_in_recovery(), coalesce("
                  + Server.LSN
                  + ", 0)")) {
        statement.setString(1, scope);
        statement.setString(2, Long.toString(left));
        try (ResultSet row = statement.executeQuery()) {
          row.next();
          boolean isReplica = row.getBoolean(3);
          if (!onReplica) {
            if (isReplica) {
              throw new SQLException("the primary was demoted", "25006");
            }
            return true;
          }
          if (!isReplica || Long.compareUnsigned(row.getLong(4), needed.lsn()) >= 0) {
            return true;
          }
        }
      }
      // INVARIANT: no statement of the work has run, so a new snapshot costs nothing
      connection.rollback();
      if (System.nanoTime() - giveUp > 0) {
        return false;
      }
      pause(Deadline.in(Duration.ofMillis(5)));
    }
  }

  /** A replica good enough, the least busy and nearest; null = the primary has to do it. */
  private @Nullable Server replica(Consistency consistency) {
    if (consistency instanceof Consistency.Strong) {
      return null;
    }
    lock.lock();
    try {
      Server best = null;
      double bestCost = Double.MAX_VALUE;
      for (Server server : servers) {
        View view = server.view();
        if (view.role() != View.Role.REPLICA) {
          continue;
        }
        boolean fresh =
            consistency instanceof Consistency.Session session
                ? view.timeline() >= session.token().timeline()
                : consistency instanceof Consistency.Eventual eventual
                    && lagNanos(view.lsn()) <= eventual.maxLag().toNanos();
        double cost = (1.0 + server.inUse()) * view.latencyNanos();
        if (fresh && cost < bestCost) {
          best = server;
          bestCost = cost;
        }
      }
      return best;
    } finally {
      lock.unlock();
    }
  }

  /** Since when the replica has not seen what the primary had; on this machine's clock alone. */
  private long lagNanos(long lsn) {
    long now = System.nanoTime();
    for (var it = history.descendingIterator(); it.hasNext(); ) {
      long[] then = it.next();
      if (Long.compareUnsigned(then[1], lsn) <= 0) {
        return now - then[0];
      }
    }
    return Long.MAX_VALUE;
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
