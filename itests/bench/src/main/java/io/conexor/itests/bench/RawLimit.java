package io.conexor.itests.bench;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;

/** The same statement through JDBC alone: a connection and a thread for each caller. */
final class RawLimit implements AutoCloseable {

  private final AccountsDatabase postgres;
  private final List<Connection> connections = new ArrayList<>();

  RawLimit(AccountsDatabase postgres) {
    this.postgres = postgres;
  }

  HttpLoad.Result run(int concurrency, double seconds) throws Exception {
    while (connections.size() < concurrency) {
      connections.add(
          DriverManager.getConnection(
              postgres.url() + "?prepareThreshold=1",
              AccountsDatabase.READER,
              postgres.password()));
    }
    ExecutorService threads = Executors.newFixedThreadPool(concurrency);
    try {
      List<Callable<long[]>> callers = new ArrayList<>();
      long start = System.nanoTime();
      long end = start + (long) (seconds * 1e9);
      for (Connection connection : connections.subList(0, concurrency)) {
        callers.add(() -> call(connection, end));
      }
      List<long[]> all = new ArrayList<>();
      for (Future<long[]> each : threads.invokeAll(callers)) {
        all.add(each.get());
      }
      double took = (System.nanoTime() - start) / 1e9;
      long[] nanos = all.stream().flatMapToLong(Arrays::stream).toArray();
      return HttpLoad.Result.of(nanos, nanos.length, 0, took);
    } finally {
      threads.shutdown();
    }
  }

  private static long[] call(Connection connection, long end) throws SQLException {
    long[] nanos = new long[1 << 16];
    int count = 0;
    String sql = "SELECT id, balance FROM accounts WHERE id = ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      while (System.nanoTime() - end < 0) {
        int id = 1 + ThreadLocalRandom.current().nextInt(AccountsDatabase.ROWS);
        long since = System.nanoTime();
        statement.setInt(1, id);
        try (ResultSet rows = statement.executeQuery()) {
          if (!rows.next() || rows.getInt(2) != AccountsDatabase.balance(id)) {
            throw new SQLException("wrong row for id " + id);
          }
        }
        if (count == nanos.length) {
          nanos = Arrays.copyOf(nanos, count * 2);
        }
        nanos[count++] = System.nanoTime() - since;
      }
    }
    return Arrays.copyOf(nanos, count);
  }

  @Override
  public void close() throws SQLException {
    for (Connection connection : connections) {
      connection.close();
    }
  }
}
