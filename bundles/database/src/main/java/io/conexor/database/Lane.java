package io.conexor.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The pooled connections to one server for one purpose, and which of them are at work. */
final class Lane implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Lane.class);

  private final Dialer dialer;
  private final HikariDataSource pool;

  /** At work; true = could be done by another server as well. */
  private final Map<Connection, Boolean> atWork = new ConcurrentHashMap<>();

  // counted by borrowers, read by health
  private final LongAdder borrowed = new LongAdder();
  private final LongAdder waitedNanos = new LongAdder();
  private final LongAdder givenUp = new LongAdder();
  private final AtomicLong longestNanos = new AtomicLong();

  Lane(String name, Dialer dialer, int size) {
    this.dialer = dialer;
    HikariConfig config = new HikariConfig();
    config.setPoolName(name);
    config.setDataSource(dialer);
    config.setAutoCommit(false);
    config.setMaximumPoolSize(size);
    config.setMinimumIdle(0);
    config.setInitializationFailTimeout(-1);
    // who waits here for a server that has just died does not see that another took over; callers
    // come back until their deadline, so this is the shortest time that the pool allows
    config.setConnectionTimeout(250);
    config.setValidationTimeout(250);
    this.pool = new HikariDataSource(config);
  }

  Connection borrow(boolean movable) throws SQLException {
    long start = System.nanoTime();
    Connection connection;
    try {
      connection = pool.getConnection();
    } catch (SQLException e) {
      givenUp.increment();
      throw e;
    }
    long waited = System.nanoTime() - start;
    borrowed.increment();
    waitedNanos.add(waited);
    if (waited > longestNanos.get()) {
      longestNanos.accumulateAndGet(waited, Math::max);
    }
    atWork.put(connection, movable);
    return connection;
  }

  Dialer.Facts facts(Connection connection) throws SQLException {
    return dialer.facts(connection);
  }

  void giveBack(Connection connection, boolean broken) {
    atWork.remove(connection);
    if (broken) {
      pool.evictConnection(connection);
    }
    try {
      connection.close();
    } catch (SQLException | RuntimeException e) {
      // HikariCP 7.1 throws a NullPointerException for one that another thread has aborted
      log.debug("closing {} failed", connection, e);
    }
  }

  int atWork() {
    return atWork.size();
  }

  /** How long callers waited for a connection, since the start. */
  String waits() {
    long count = borrowed.sum();
    return String.format(
        Locale.ROOT,
        "%d borrowed, mean wait %.3f ms, longest %d ms, %d given up",
        count,
        count == 0 ? 0.0 : waitedNanos.sum() / 1e6 / count,
        longestNanos.get() / 1_000_000,
        givenUp.sum());
  }

  /** The same and how many there are, for graphs. */
  void gauges(String labels, Map<String, Double> into) {
    HikariPoolMXBean bean = pool.getHikariPoolMXBean();
    if (bean != null) {
      into.put("connections_active{" + labels + "}", (double) bean.getActiveConnections());
      into.put("connections_idle{" + labels + "}", (double) bean.getIdleConnections());
      into.put("connections_waiting{" + labels + "}", (double) bean.getThreadsAwaitingConnection());
    }
    into.put("borrowed_total{" + labels + "}", (double) borrowed.sum());
    into.put("borrow_wait_seconds_total{" + labels + "}", waitedNanos.sum() / 1e9);
    into.put("borrow_wait_longest_seconds{" + labels + "}", longestNanos.get() / 1e9);
    into.put("borrow_given_up_total{" + labels + "}", (double) givenUp.sum());
  }

  /** Connections at work, idle, and threads waiting for one. */
  String gauges() {
    HikariPoolMXBean bean = pool.getHikariPoolMXBean();
    return bean == null
        ? "0/0/0"
        : bean.getActiveConnections()
            + "/"
            + bean.getIdleConnections()
            + "/"
            + bean.getThreadsAwaitingConnection();
  }

  /** Nothing idle is used again; what is at work goes on and is closed afterwards. */
  void evict() {
    HikariPoolMXBean bean = pool.getHikariPoolMXBean();
    if (bean != null) {
      bean.softEvictConnections();
    }
  }

  /** Ends what is at work, at once: the sockets are closed. */
  void abort(boolean movableOnly) {
    atWork.forEach(
        (connection, movable) -> {
          if (movable || !movableOnly) {
            try {
              connection.abort(Runnable::run);
            } catch (SQLException | RuntimeException e) {
              log.debug("aborting {} failed", connection, e);
            }
          }
        });
  }

  @Override
  public void close() {
    evict();
    abort(false);
    pool.close();
  }
}
