package io.conexor.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.conexor.api.database.DatabaseEndpoints;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One server: its pool, and the thread that watches it over a connection of its own. */
final class Server implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Server.class);

  /** The timeline of a primary; of a replica the newest it is known to follow. */
  static final String TIMELINE =
      "case when pg_is_in_recovery() then greatest((select timeline_id from pg_control_checkpoint()),"
          + " (select min_recovery_end_timeline from pg_control_recovery()),"
          + " (select coalesce(max(received_tli), 0) from pg_stat_wal_receiver))"
          + " else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end";

  static final String LSN =
      "pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
          + " else pg_current_wal_lsn() end, '0/0')::bigint";

  private final DatabaseEndpoints.Endpoint endpoint;
  private final Settings settings;
  private final HikariDataSource pool;
  private final PGSimpleDataSource watchSource;
  private final Runnable onChange;
  private final Set<Connection> inUse = ConcurrentHashMap.newKeySet();
  private final Semaphore poke = new Semaphore(0);
  private final Thread watcher;
  private volatile boolean closed;
  private volatile View view = View.down("not looked at yet"); // written by the watcher
  private @Nullable Connection watch; // of the watcher

  Server(
      DatabaseEndpoints where,
      DatabaseEndpoints.Endpoint endpoint,
      Settings settings,
      Runnable onChange) {
    this.endpoint = endpoint;
    this.settings = settings;
    this.onChange = onChange;
    this.watchSource = source(where, endpoint, settings);
    HikariConfig config = new HikariConfig();
    config.setPoolName("conexor-database-" + endpoint);
    config.setDataSource(source(where, endpoint, settings));
    config.setAutoCommit(false);
    config.setMaximumPoolSize(settings.poolSize());
    config.setMinimumIdle(0);
    config.setInitializationFailTimeout(-1);
    config.setConnectionTimeout(settings.connectTimeout().toMillis());
    config.setValidationTimeout(250);
    this.pool = new HikariDataSource(config);
    watcher = new Thread(this::watch, "conexor-database-watch-" + endpoint);
    watcher.setDaemon(true);
  }

  void start() {
    watcher.start();
  }

  private static PGSimpleDataSource source(
      DatabaseEndpoints where, DatabaseEndpoints.Endpoint endpoint, Settings settings) {
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setServerNames(new String[] {endpoint.host()});
    source.setPortNumbers(new int[] {endpoint.port()});
    source.setDatabaseName(where.database());
    source.setUser(where.user());
    source.setPassword(where.password().reveal());
    int seconds = (int) Math.max(1, settings.connectTimeout().toSeconds());
    source.setConnectTimeout(seconds);
    source.setLoginTimeout(seconds);
    source.setTcpKeepAlive(true);
    source.setApplicationName("conexor");
    if (settings.transactionPooling()) {
      // the pooler gives each transaction another server connection: nothing may be prepared there
      source.setPrepareThreshold(0);
    }
    return source;
  }

  View view() {
    return view;
  }

  int inUse() {
    return inUse.size();
  }

  Connection borrow() throws SQLException {
    Connection connection = pool.getConnection();
    inUse.add(connection);
    if (view.role() == View.Role.DOWN) {
      // INVARIANT: added before the look, so either this or takeOut sees the other
      giveBack(connection, true);
      throw new SQLException(endpoint + " went down", "08006");
    }
    return connection;
  }

  void giveBack(Connection connection, boolean broken) {
    inUse.remove(connection);
    if (broken) {
      pool.evictConnection(connection);
    }
    try {
      connection.close();
    } catch (SQLException e) {
      log.debug("closing a connection to {} failed", endpoint, e);
    }
  }

  /** Look now: somebody had trouble. */
  void poke() {
    poke.release();
  }

  private void watch() {
    while (!closed) {
      try {
        look();
      } catch (Throwable e) {
        // INVARIANT: this thread ends with the component only
        log.error("watching {} failed; going on", endpoint, e);
      }
      try {
        long pause = settings.watchInterval().toMillis();
        if (poke.tryAcquire(
            view.role() == View.Role.DOWN ? Math.min(50, pause) : pause, TimeUnit.MILLISECONDS)) {
          poke.drainPermits();
        }
      } catch (InterruptedException e) {
        log.debug("watch of {} woken", endpoint, e);
      }
    }
    dropWatch();
  }

  private void look() {
    View next;
    try {
      next = ask();
    } catch (SQLException first) {
      dropWatch();
      try {
        // one failure may be the connection's; two in a row are the server's
        next = ask();
      } catch (SQLException second) {
        dropWatch();
        next = View.down(String.valueOf(second.getMessage()));
      }
    }
    View before = view;
    view = next;
    if (before.role() != next.role()) {
      log.info(
          "PostgreSQL {} {} -> {}{}",
          endpoint,
          before.role(),
          next.role(),
          next.role() == View.Role.DOWN ? ": " + next.why() : ", timeline " + next.timeline());
    }
    if (before.role() != View.Role.DOWN && before.role() != next.role()) {
      takeOut();
    }
    onChange.run();
  }

  /** Aborts what is under way and evicts the rest. */
  void takeOut() {
    pool.getHikariPoolMXBean().softEvictConnections();
    for (Connection connection : inUse) {
      try {
        connection.abort(Runnable::run);
      } catch (SQLException | RuntimeException e) {
        log.debug("aborting a connection to {} failed", endpoint, e);
      }
    }
  }

  private View ask() throws SQLException {
    long start = System.nanoTime();
    Connection connection = watch;
    if (connection == null) {
      connection = watchSource.getConnection();
      connection.setNetworkTimeout(Runnable::run, (int) settings.watchTimeout().toMillis());
      watch = connection;
    }
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "select pg_is_in_recovery(), " + TIMELINE + ", coalesce(" + LSN + ", 0)")) {
      row.next();
      return new View(
          row.getBoolean(1) ? View.Role.REPLICA : View.Role.PRIMARY,
          row.getInt(2),
          row.getLong(3),
          System.nanoTime() - start,
          "");
    }
  }

  private void dropWatch() {
    Connection connection = watch;
    watch = null;
    if (connection != null) {
      try {
        connection.abort(Runnable::run);
      } catch (SQLException e) {
        log.debug("closing the watch of {} failed", endpoint, e);
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    poke.release();
    takeOut();
    pool.close();
  }

  @Override
  public String toString() {
    return endpoint.toString();
  }
}
