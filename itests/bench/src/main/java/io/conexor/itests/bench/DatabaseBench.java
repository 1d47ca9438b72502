package io.conexor.itests.bench;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.conexor.api.Deadline;
import io.conexor.api.database.Consistency;
import io.conexor.database.PostgresDatabase;
import io.conexor.itests.lab.postgres.PgServer;
import io.conexor.itests.lab.postgres.StreamingLab;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;

/** The router beside a bare HikariCP on the same servers: per statement, and after a failover. */
public final class DatabaseBench {

  private static final int OPERATIONS = Integer.getInteger("bench.operations", 20_000);
  private static final int FAILOVERS = Integer.getInteger("bench.failovers", 3);
  private static final int BLOCK = 200;

  /** After a promotion; who has not written by then has not found the new primary. */
  private static final int PATIENCE_SECONDS = 10;

  private DatabaseBench() {}

  private interface Operation {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    BenchReport report = new BenchReport("database");
    try (StreamingLab lab = StreamingLab.start(1)) {
      statements(lab, report);
    }
    for (int i = 0; i < FAILOVERS; i++) {
      try (StreamingLab lab = StreamingLab.start(1)) {
        failover(lab, report);
      }
    }
    report.write();
    System.exit(0);
  }

  private static void statements(StreamingLab lab, BenchReport report) throws Exception {
    try (HikariDataSource primary = bare(url(lab.server(0)));
        HikariDataSource replica = bare(url(lab.server(1)));
        PostgresDatabase database = PostgresDatabase.open(lab.endpoints(), Map.of())) {
      DataSource routed = database.dataSource();
      write(database, "create table if not exists bench (n int)");
      Map<String, Operation> reads = new LinkedHashMap<>();
      reads.put("bare HikariCP", () -> autoCommitRead(replica, false));
      reads.put("router, DataSource", () -> autoCommitRead(routed, true));
      measure("database.select, own transaction", reads, report);
      Map<String, Operation> transactions = new LinkedHashMap<>();
      transactions.put("bare HikariCP", () -> transaction(replica, "select 1"));
      transactions.put("router, Database.read", () -> read(database));
      measure("database.select, begin and commit", transactions, report);
      Map<String, Operation> writes = new LinkedHashMap<>();
      writes.put("bare HikariCP", () -> transaction(primary, "insert into bench values (1)"));
      writes.put("router, Database.write", () -> write(database, "insert into bench values (1)"));
      measure("database.insert", writes, report);
    }
  }

  /** In turns, so that what else the machine does hits all alike. */
  private static void measure(String name, Map<String, Operation> operations, BenchReport report)
      throws Exception {
    for (Operation operation : operations.values()) {
      for (int i = 0; i < 2_000; i++) {
        operation.run();
      }
    }
    List<String> subjects = List.copyOf(operations.keySet());
    List<BenchReport.Sample> samples =
        subjects.stream().map(each -> new BenchReport.Sample(OPERATIONS)).toList();
    for (int done = 0; done < OPERATIONS; done += BLOCK) {
      int subject = 0;
      for (Operation operation : operations.values()) {
        BenchReport.Sample sample = samples.get(subject++);
        for (int i = 0; i < BLOCK; i++) {
          long start = System.nanoTime();
          operation.run();
          sample.add(System.nanoTime() - start);
        }
      }
    }
    for (int i = 0; i < subjects.size(); i++) {
      report.row(name, subjects.get(i), 1, samples.get(i));
    }
  }

  private static void autoCommitRead(DataSource source, boolean readOnly) throws SQLException {
    try (Connection connection = source.getConnection()) {
      if (readOnly) {
        connection.setReadOnly(true);
      }
      select(connection, "select 1");
    }
  }

  private static void transaction(DataSource source, String sql) throws SQLException {
    try (Connection connection = source.getConnection()) {
      connection.setAutoCommit(false);
      select(connection, sql);
      connection.commit();
    }
  }

  private static void select(Connection connection, String sql) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      if (statement.execute()) {
        try (ResultSet row = statement.getResultSet()) {
          row.next();
        }
      }
    }
  }

  private static void read(PostgresDatabase database) {
    database.read(
        Consistency.eventual(Duration.ofSeconds(1)),
        Deadline.in(Duration.ofSeconds(5)),
        connection -> {
          select(connection, "select 1");
          return true;
        });
  }

  private static void write(PostgresDatabase database, String sql) {
    database.write(
        Deadline.in(Duration.ofSeconds(10)),
        connection -> {
          select(connection, sql);
          return true;
        });
  }

  /** Milliseconds from the promotion to the first write that came through. */
  private static void failover(StreamingLab lab, BenchReport report) throws Exception {
    String hosts = "jdbc:postgresql://" + lab.server(0).endpoint() + "," + lab.server(1).endpoint();
    try (HikariDataSource multi =
            bare(
                hosts
                    + "/conexor?user=conexor&targetServerType=primary&hostRecheckSeconds=1"
                    + "&connectTimeout=1&socketTimeout=5");
        HikariDataSource aws =
            bare(
                hosts.replace("jdbc:", "jdbc:aws-wrapper:")
                    + "/conexor?user=conexor&wrapperPlugins=initialConnection,failover2,efm2"
                    + "&wrapperDialect=pg"
                    + "&failureDetectionTime=500&failureDetectionInterval=200"
                    + "&failureDetectionCount=2&failoverTimeoutMs=20000"
                    + "&connectTimeout=1&socketTimeout=5");
        PostgresDatabase database = PostgresDatabase.open(lab.endpoints(), Map.of())) {
      write(database, "create table if not exists bench (n int)");
      AtomicBoolean stop = new AtomicBoolean();
      AtomicLong promoted = new AtomicLong();
      AtomicLong firstMulti = new AtomicLong();
      AtomicLong firstAws = new AtomicLong();
      AtomicLong firstRouted = new AtomicLong();
      List<Thread> writers =
          List.of(
              writer(
                  stop,
                  () -> transaction(multi, "insert into bench values (2)"),
                  promoted,
                  firstMulti),
              writer(
                  stop, () -> transaction(aws, "insert into bench values (4)"), promoted, firstAws),
              writer(
                  stop,
                  () -> write(database, "insert into bench values (3)"),
                  promoted,
                  firstRouted));
      park(1_000);
      lab.server(0).kill();
      park(300);
      promoted.set(lab.server(1).promote());
      long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
      while ((firstMulti.get() == 0 || firstAws.get() == 0 || firstRouted.get() == 0)
          && System.nanoTime() - giveUp < 0) {
        park(10);
      }
      stop.set(true);
      for (Thread writer : writers) {
        writer.join();
      }
      for (var each :
          Map.of(
                  "pgjdbc multi-host and HikariCP",
                  firstMulti,
                  "AWS JDBC wrapper and HikariCP",
                  firstAws,
                  "router",
                  firstRouted)
              .entrySet()) {
        double gap =
            each.getValue().get() == 0
                ? PATIENCE_SECONDS * 1e3
                : (each.getValue().get() - promoted.get()) / 1e6;
        System.out.println(
            report.add("database.first write after promotion", each.getKey(), 1, 0, gap, gap, 0));
      }
    }
  }

  private static Thread writer(
      AtomicBoolean stop, Operation operation, AtomicLong promoted, AtomicLong first) {
    Thread thread =
        new Thread(
            () -> {
              while (!stop.get()) {
                try {
                  operation.run();
                  if (promoted.get() != 0) {
                    first.compareAndSet(0, System.nanoTime());
                  }
                  park(2);
                } catch (Exception e) {
                  // what an application does: again, soon
                  park(5);
                }
              }
            });
    thread.start();
    return thread;
  }

  private static HikariDataSource bare(String url) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.setMaximumPoolSize(10);
    config.setMinimumIdle(0);
    config.setInitializationFailTimeout(-1);
    config.setConnectionTimeout(1_000);
    config.setValidationTimeout(250);
    return new HikariDataSource(config);
  }

  private static String url(PgServer server) {
    return "jdbc:postgresql://" + server.endpoint() + "/conexor?user=conexor";
  }

  private static void park(long millis) {
    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
  }
}
