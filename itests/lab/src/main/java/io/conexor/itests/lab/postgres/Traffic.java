package io.conexor.itests.lab.postgres;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Writers and readers at full speed. Each write adds one row to {@code ledger}, which has no unique
 * key: what was applied twice is there twice.
 */
public final class Traffic implements AutoCloseable {

  /** Beside other tests a failover takes longer. */
  private static final Duration PATIENCE =
      Duration.ofSeconds(Boolean.getBoolean("conexor.full") ? 10 : 30);

  /** What was seen, and what is in the table. */
  public record Outcome(
      int acknowledged,
      int refused,
      int unknown,
      int lost,
      int twice,
      int refusedButThere,
      int reads,
      int failedReads,
      int staleReads,
      long longestReadMillis,
      long readGapMillis,
      long writeGapMillis,
      Map<String, Integer> errors) {

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "writes: %d acknowledged, %d refused, %d unknown, %d lost, %d twice, %d refused but there,"
              + " longest gap %d ms; reads: %d, %d failed, %d stale, longest %d ms, longest gap %d ms%s",
          acknowledged,
          refused,
          unknown,
          lost,
          twice,
          refusedButThere,
          writeGapMillis,
          reads,
          failedReads,
          staleReads,
          longestReadMillis,
          readGapMillis,
          errors.isEmpty() ? "" : "; " + errors);
    }
  }

  private final List<Database> backends;
  private final List<Thread> threads = new ArrayList<>();
  private final Set<Long> acknowledged = ConcurrentHashMap.newKeySet();
  private final Set<Long> refused = ConcurrentHashMap.newKeySet();
  private final Set<Long> unknown = ConcurrentHashMap.newKeySet();
  private final Map<String, Integer> errors = new ConcurrentHashMap<>();
  private final AtomicLong ids = new AtomicLong();
  private final AtomicInteger reads = new AtomicInteger();
  private final AtomicInteger failedReads = new AtomicInteger();
  private final AtomicInteger staleReads = new AtomicInteger();
  private final AtomicLong longestRead = new AtomicLong();
  private final Successes readSuccesses = new Successes();
  private final Successes writeSuccesses = new Successes();
  private volatile boolean stop;

  /** When somebody succeeded. */
  private static final class Successes {
    private long[] times = new long[1 << 12];
    private int count;
    private long longestGap;

    synchronized void add() {
      long now = System.nanoTime();
      if (count > 0) {
        longestGap = Math.max(longestGap, now - times[count - 1]);
      }
      if (count == times.length) {
        times = Arrays.copyOf(times, count * 2);
      }
      times[count++] = now;
    }

    synchronized long longestGapMillis() {
      return longestGap / 1_000_000;
    }

    synchronized long firstAfter(long nanoTime) {
      for (int i = 0; i < count; i++) {
        if (times[i] - nanoTime >= 0) {
          return times[i] - nanoTime;
        }
      }
      return -1;
    }
  }

  public Traffic(List<? extends Database> backends) {
    this.backends = List.copyOf(backends);
    backends
        .get(0)
        .write(
            Deadline.in(PATIENCE),
            connection -> {
              try (var statement = connection.createStatement()) {
                statement.execute("create table if not exists ledger (id bigint not null)");
                statement.execute("create index if not exists ledger_id on ledger (id)");
                return statement.execute("truncate ledger");
              }
            });
  }

  /** One row, on one of the backends. */
  public CommitToken write(int backend, long id) {
    return backends
        .get(backend)
        .write(
            Deadline.in(PATIENCE),
            connection -> {
              try (PreparedStatement insert =
                  connection.prepareStatement("insert into ledger values (?)")) {
                insert.setLong(1, id);
                return insert.executeUpdate();
              }
            })
        .token();
  }

  /** How often a row is there. */
  public int count(int backend, Consistency consistency, long id) {
    return backends
        .get(backend)
        .read(
            consistency,
            Deadline.in(PATIENCE),
            connection -> {
              try (PreparedStatement select =
                  connection.prepareStatement("select count(*) from ledger where id = ?")) {
                select.setLong(1, id);
                try (ResultSet row = select.executeQuery()) {
                  row.next();
                  return row.getInt(1);
                }
              }
            });
  }

  /** Threads that write as fast as they are answered, or with a pause. */
  public Traffic writers(int count, Duration pause) {
    for (int i = 0; i < count; i++) {
      int backend = i % backends.size();
      start(
          "writer-" + i,
          () -> {
            long id = ids.incrementAndGet();
            try {
              write(backend, id);
              acknowledged.add(id);
              writeSuccesses.add();
            } catch (ConexorException e) {
              (e.applied() == Applied.UNKNOWN ? unknown : refused).add(id);
              errors.merge(why(e), 1, Integer::sum);
            }
            LockSupport.parkNanos(pause.toNanos());
          });
    }
    return this;
  }

  /** Threads that read something, however fresh. */
  public Traffic readers(int count, Duration maxLag, Duration pause) {
    for (int i = 0; i < count; i++) {
      int backend = i % backends.size();
      start(
          "reader-" + i,
          () -> {
            long began = System.nanoTime();
            read(began, () -> count(backend, Consistency.eventual(maxLag), ids.get()));
            LockSupport.parkNanos(pause.toNanos());
          });
    }
    return this;
  }

  /** Clients that write on one backend and read what they wrote on the next. */
  public Traffic readersOfTheirWrites(int count, Duration pause) {
    for (int i = 0; i < count; i++) {
      int backend = i % backends.size();
      int next = (i + 1) % backends.size();
      CommitToken[] token = {CommitToken.NONE};
      start(
          "client-" + i,
          () -> {
            long id = ids.incrementAndGet();
            try {
              token[0] = token[0].orLater(write(backend, id));
              acknowledged.add(id);
            } catch (ConexorException e) {
              (e.applied() == Applied.UNKNOWN ? unknown : refused).add(id);
              errors.merge(why(e), 1, Integer::sum);
              return;
            }
            for (int again = 0; again < 10 && !stop; again++) {
              read(
                  System.nanoTime(),
                  () -> {
                    if (count(next, Consistency.session(token[0]), id) != 1) {
                      staleReads.incrementAndGet();
                    }
                  });
            }
            LockSupport.parkNanos(pause.toNanos());
          });
    }
    return this;
  }

  private void read(long began, Runnable how) {
    try {
      how.run();
      reads.incrementAndGet();
      longestRead.accumulateAndGet(System.nanoTime() - began, Math::max);
      readSuccesses.add();
    } catch (ConexorException e) {
      failedReads.incrementAndGet();
      errors.merge("read: " + why(e), 1, Integer::sum);
    }
  }

  /** With what was behind it, and how PostgreSQL calls that. */
  private static String why(ConexorException failure) {
    return failure.getCause() instanceof SQLException cause
        ? failure.getMessage() + " (" + cause.getSQLState() + " " + cause.getMessage() + ")"
        : String.valueOf(failure.getMessage());
  }

  private void start(String name, Runnable turn) {
    Thread thread =
        new Thread(
            () -> {
              while (!stop) {
                turn.run();
              }
            },
            name);
    threads.add(thread);
    thread.start();
  }

  public int reads() {
    return reads.get();
  }

  public int acknowledged() {
    return acknowledged.size();
  }

  /** Milliseconds from then to the next write that was acknowledged; -1 = none yet. */
  public long firstWriteAfter(long nanoTime) {
    long nanos = writeSuccesses.firstAfter(nanoTime);
    return nanos < 0 ? -1 : nanos / 1_000_000;
  }

  /** The longest time so far in which nobody's read succeeded. */
  public long readGapMillis() {
    return readSuccesses.longestGapMillis();
  }

  /** Ends it and compares with what the primary has. */
  public Outcome finish() throws InterruptedException {
    stop = true;
    for (Thread thread : threads) {
      thread.join(PATIENCE.toMillis() + 5_000);
    }
    threads.clear();
    Map<Long, Integer> there = new HashMap<>();
    backends
        .get(0)
        .read(
            Consistency.strong(),
            Deadline.in(Duration.ofSeconds(30)),
            connection -> {
              there.clear();
              try (var statement = connection.createStatement();
                  ResultSet row =
                      statement.executeQuery("select id, count(*) from ledger group by id")) {
                while (row.next()) {
                  there.put(row.getLong(1), row.getInt(2));
                }
              }
              return there.size();
            });
    return new Outcome(
        acknowledged.size(),
        refused.size(),
        unknown.size(),
        (int) acknowledged.stream().filter(id -> !there.containsKey(id)).count(),
        (int) there.values().stream().filter(count -> count > 1).count(),
        (int) refused.stream().filter(there::containsKey).count(),
        reads.get(),
        failedReads.get(),
        staleReads.get(),
        longestRead.get() / 1_000_000,
        readSuccesses.longestGapMillis(),
        writeSuccesses.longestGapMillis(),
        Map.copyOf(errors));
  }

  @Override
  public void close() {
    stop = true;
  }
}
