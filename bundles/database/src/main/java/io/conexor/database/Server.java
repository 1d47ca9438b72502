package io.conexor.database;

import io.conexor.api.database.DatabaseEndpoints;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One server: a lane of connections for writes and one for reads, and the thread that watches it
 * over a connection of its own.
 */
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

  /** See {@link View#life}. */
  static final String LIFE = "(extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint";

  /**
   * So many times longer a server may be silent when the others are, or there are none: then this
   * host is short of breath rather than all of them dead, and aborting what is under way would make
   * it worse.
   */
  private static final int PATIENCE = 5;

  /**
   * While there is no primary, a watch that met a replica dials anew that often: an address may by
   * now lead to the primary, and an open connection would never tell.
   */
  private static final long REDIAL_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  private final DatabaseEndpoints.Endpoint endpoint;
  private final Settings settings;
  private final Events events;
  private final Lane writes;
  private final Lane reads;
  private final Dialer quickDialer;
  private final Dialer patientDialer;
  private final Predicate<Server> othersAnswer;
  private final Consumer<Server> onLook;
  private final Semaphore poke = new Semaphore(0);
  private final Thread watcher;
  private volatile boolean closed;
  private volatile View view = View.down("not looked at yet"); // written by the watcher

  /** It has not answered the last look, or somebody had trouble. Written by the watcher. */
  private volatile boolean suspect;

  /** There is no primary: the promotion must not wait for the next look. By the router. */
  volatile boolean hurry = true;

  /** Written under the router's lock. */
  volatile boolean inRotation = true;

  volatile long lagNanos;
  volatile long lagBytes;

  private @Nullable Connection watch; // of the watcher
  private int watchPid; // of the watcher: the process that answers its connection
  private long watchSince; // of the watcher: when it dialled
  private long roleSince = System.nanoTime(); // of the watcher

  /** Seen once, true for ever: one connection was answered by several processes. */
  private volatile boolean behindPooler; // written by the watcher

  Server(
      DatabaseEndpoints where,
      DatabaseEndpoints.Endpoint endpoint,
      Settings settings,
      Events events,
      Consumer<Server> onLook,
      Predicate<Server> othersAnswer) {
    this.endpoint = endpoint;
    this.settings = settings;
    this.events = events;
    this.onLook = onLook;
    this.othersAnswer = othersAnswer;
    this.quickDialer =
        new Dialer(where, endpoint, settings, Dialer.Purpose.WATCH, settings.watchTimeout());
    this.patientDialer =
        new Dialer(
            where,
            endpoint,
            settings,
            Dialer.Purpose.WATCH,
            settings.watchTimeout().multipliedBy(PATIENCE));
    this.writes =
        new Lane(
            "conexor-write-" + endpoint,
            new Dialer(where, endpoint, settings, Dialer.Purpose.WRITE, settings.connectTimeout()),
            settings.poolSize());
    this.reads =
        new Lane(
            "conexor-read-" + endpoint,
            new Dialer(where, endpoint, settings, Dialer.Purpose.READ, settings.connectTimeout()),
            settings.poolSize());
    watcher = new Thread(this::watch, "conexor-database-watch-" + endpoint);
    watcher.setDaemon(true);
  }

  void start() {
    watcher.start();
  }

  View view() {
    return view;
  }

  /** A pooler is between that hands out server connections by transaction, and nobody said so. */
  boolean isBehindUnknownPooler() {
    return behindPooler;
  }

  boolean isSuspect() {
    return suspect;
  }

  DatabaseEndpoints.Endpoint endpoint() {
    return endpoint;
  }

  Lane writes() {
    return writes;
  }

  Lane reads() {
    return reads;
  }

  int atWork() {
    return writes.atWork() + reads.atWork();
  }

  Connection borrow(Lane lane, boolean movable) throws SQLException {
    Connection connection = lane.borrow(movable);
    boolean isDown = view.role() == View.Role.DOWN;
    if (isDown || (movable && suspect)) {
      // INVARIANT: counted as at work before the look, so either this or abort sees the other
      lane.giveBack(connection, isDown);
      throw new SQLException(endpoint + " went down", "08006");
    }
    return connection;
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
        boolean isUrgent = hurry || view.role() == View.Role.DOWN;
        if (poke.tryAcquire(isUrgent ? Math.min(25, pause) : pause, TimeUnit.MILLISECONDS)) {
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
      next = ask(settings.suspectAfter(), quickDialer);
    } catch (SQLException first) {
      dropWatch();
      // one failure may be the connection's; two in a row are the server's. Reads that another
      // server can do do not wait to find out
      suspect = true;
      reads.abort(true);
      onLook.accept(this);
      try {
        boolean quick = othersAnswer.test(this);
        next =
            quick
                ? ask(settings.watchTimeout(), quickDialer)
                : ask(settings.watchTimeout().multipliedBy(PATIENCE), patientDialer);
      } catch (SQLException second) {
        dropWatch();
        next = View.down(reason(second));
      }
    }
    View before = view;
    view = next;
    suspect = next.role() == View.Role.DOWN;
    if (before.role() != next.role()) {
      log.info(
          "PostgreSQL {} {} -> {}{}",
          endpoint,
          before.role(),
          next.role(),
          next.role() == View.Role.DOWN ? ": " + next.why() : ", timeline " + next.timeline());
      long now = System.nanoTime();
      events.add(
          endpoint + " " + before.role() + " -> " + next.role() + ", timeline " + next.timeline(),
          next.why(),
          now - roleSince);
      roleSince = now;
      if (before.role() == View.Role.REPLICA && next.role() == View.Role.PRIMARY) {
        // promoted: what reads there reads on
        reads.evict();
        writes.evict();
      } else if (before.role() != View.Role.DOWN) {
        takeOut();
      }
    }
    onLook.accept(this);
  }

  /** With the cause that the driver hides behind "the connection attempt failed". */
  private static String reason(Throwable failure) {
    Throwable deepest = failure;
    while (deepest.getCause() != null) {
      deepest = deepest.getCause();
    }
    return deepest == failure
        ? String.valueOf(failure.getMessage())
        : failure.getMessage() + " (" + deepest.getMessage() + ")";
  }

  /** Aborts what is under way and evicts the rest. */
  void takeOut() {
    writes.evict();
    reads.evict();
    writes.abort(false);
    reads.abort(false);
  }

  private View ask(Duration limit, Dialer dialer) throws SQLException {
    long start = System.nanoTime();
    if (hurry && view.role() == View.Role.REPLICA && start - watchSince > REDIAL_NANOS) {
      dropWatch();
    }
    Connection connection = watch;
    if (connection == null) {
      connection = dialer.getConnection();
      watch = connection;
      watchSince = start;
    }
    connection.setNetworkTimeout(Runnable::run, (int) limit.toMillis());
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "select pg_is_in_recovery(), "
                    + TIMELINE
                    + ", coalesce("
                    + LSN
                    + ", 0), "
                    + LIFE
                    + ", pg_backend_pid(), current_setting('default_transaction_read_only')")) {
      row.next();
      int pid = row.getInt(5);
      if (pid != watchPid && watchPid != 0 && !settings.transactionPooling() && !behindPooler) {
        behindPooler = true;
        log.warn(
            "{} is a pooler in transaction mode, where prepared statements get mixed up: set"
                + " database.pooler=transaction",
            endpoint);
      }
      watchPid = pid;
      boolean isReadOnly = !row.getBoolean(1) && "on".equals(row.getString(6));
      return new View(
          row.getBoolean(1) ? View.Role.REPLICA : View.Role.PRIMARY,
          row.getInt(2),
          row.getLong(3),
          row.getLong(4),
          start,
          System.nanoTime() - start,
          isReadOnly ? "default_transaction_read_only is on" : "");
    }
  }

  private void dropWatch() {
    Connection connection = watch;
    watch = null;
    watchPid = 0;
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
    writes.close();
    reads.close();
  }

  @Override
  public String toString() {
    return endpoint.toString();
  }
}
