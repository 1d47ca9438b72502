package io.conexor.audit;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Page;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import io.conexor.api.health.Health;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpooledAuditTrailTest {

  private static LocalPostgres server;
  private static DirectDatabase database;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    server = LocalPostgres.start().migrate();
    database = new DirectDatabase(server);
  }

  @AfterAll
  static void stop() {
    database.close();
    server.close();
  }

  @BeforeEach
  void empty() {
    server.execute("set conexor.org = '*'; delete from audit_records");
  }

  private static long stored() {
    return query("select count(*) from audit_records");
  }

  private static long query(String sql) {
    try (var connection = server.connect();
        var statement = connection.createStatement()) {
      statement.execute("set conexor.org = '*'");
      var row = statement.executeQuery(sql);
      row.next();
      return row.getLong(1);
    } catch (java.sql.SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  private static AuditTrail.Query all(int limit, Optional<String> cursor) {
    return new AuditTrail.Query(
        Fixture.ORG,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        limit,
        cursor);
  }

  @Test
  void records_reach_the_database_and_are_found_newest_first_page_by_page() throws IOException {
    SpooledAuditTrail trail = new SpooledAuditTrail(database, Fixture.settings(folder));
    for (int i = 0; i < 250; i++) {
      trail.record(Fixture.record(i));
    }
    await().atMost(Duration.ofSeconds(10)).until(() -> stored() == 250);

    List<Long> found = new ArrayList<>();
    Optional<String> cursor = Optional.empty();
    do {
      Page<AuditRecord> page = trail.search(all(100, cursor));
      page.items().stream().map(AuditRecord::rowCount).forEach(found::add);
      cursor = page.next();
    } while (cursor.isPresent());

    assertThat(found).hasSize(250).startsWith(249L).endsWith(0L);
    assertThat(trail.search(all(1, Optional.empty())).items().get(0).requestId())
        .isEqualTo("request-249");
    assertThat(
            trail
                .search(
                    new AuditTrail.Query(
                        OrgId.random(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        10,
                        Optional.empty()))
                .items())
        .as("another organisation sees nothing")
        .isEmpty();
    assertThatThrownBy(() -> trail.search(all(10, Optional.of("garbage"))))
        .isInstanceOf(ConexorException.class);
    trail.close();
  }

  @Test
  void filters_narrow_a_search() throws IOException {
    SpooledAuditTrail trail = new SpooledAuditTrail(database, Fixture.settings(folder));
    for (int i = 0; i < 20; i++) {
      trail.record(Fixture.record(i));
    }
    await().atMost(Duration.ofSeconds(10)).until(() -> stored() == 20);
    Instant first = Fixture.record(0).at();

    Page<AuditRecord> some =
        trail.search(
            new AuditTrail.Query(
                Fixture.ORG,
                Optional.of("query.execute"),
                Optional.of("key:5f0c8a9e"),
                Optional.of("sales"),
                Optional.of(AuditRecord.Outcome.OK),
                Optional.of(first.plusMillis(5)),
                Optional.of(first.plusMillis(9)),
                100,
                Optional.empty()));

    assertThat(some.items()).extracting(AuditRecord::rowCount).containsExactly(8L, 7L, 6L, 5L);
    trail.close();
  }

  @Test
  void while_the_database_is_away_records_wait_and_then_arrive_in_order_and_once()
      throws IOException {
    try (LocalPostgres mortal = LocalPostgres.start().migrate();
        DirectDatabase own = new DirectDatabase(mortal)) {
      SpooledAuditTrail trail = new SpooledAuditTrail(own, Fixture.settings(folder));
      trail.record(Fixture.record(0));
      await().atMost(Duration.ofSeconds(10)).until(() -> fact(trail, "delivered") == 1);
      mortal.pause();
      for (int i = 1; i < 5_000; i++) {
        trail.record(Fixture.record(i));
      }
      await().atMost(Duration.ofSeconds(10)).until(() -> trail.spooled() == 5_000);
      await()
          .atMost(Duration.ofSeconds(10))
          .until(() -> trail.check().status() == Health.Status.DEGRADED);
      assertThat(trail.accepting()).isTrue();
      assertThat(trail.check().reason()).contains("wait on disk");

      mortal.resume();

      await().atMost(Duration.ofSeconds(20)).until(() -> fact(trail, "delivered") == 5_000);
      assertThat(trail.check().status()).isEqualTo(Health.Status.HEALTHY);
      try (var connection = mortal.connect();
          var statement = connection.createStatement()) {
        statement.execute("set conexor.org = '*'");
        var row =
            statement.executeQuery(
                "select count(*), count(distinct row_count), bool_and(ordered) from (select"
                    + " row_count, received_at >= lag(received_at, 1, received_at) over (order by"
                    + " row_count) as ordered from audit_records) r");
        row.next();
        assertThat(row.getLong(1)).isEqualTo(5_000);
        assertThat(row.getLong(2)).isEqualTo(5_000);
        assertThat(row.getBoolean(3)).as("delivered in the order of recording").isTrue();
      } catch (java.sql.SQLException e) {
        throw new IllegalStateException(e);
      }
      trail.close();
    }
  }

  private static long fact(SpooledAuditTrail trail, String name) {
    return Long.parseLong(trail.check().details().getOrDefault(name, "-1"));
  }

  /** Ends with the database and another process; each kill comes at a different moment. */
  @Test
  void a_killed_process_loses_nothing_it_had_spooled_and_nothing_arrives_twice() throws Exception {
    long spooled = 0;
    for (int run = 0; run < 5; run++) {
      spooled = Math.max(spooled, killedWriter(folder, run));
    }

    SpooledAuditTrail heir = new SpooledAuditTrail(database, Fixture.settings(folder));
    long least = spooled;
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> fact(heir, "pendingBytes") == 0 && stored() >= least);
    assertThat(query("select count(distinct row_count) from audit_records"))
        .as("no record twice")
        .isEqualTo(stored());
    assertThat(
            query(
                "select count(*) from (select row_count / 10000000 as run, max(row_count) -"
                    + " min(row_count) + 1 - count(*) as missing from audit_records group by 1) r"
                    + " where missing <> 0"))
        .as("no record of any run is missing between its first and its last")
        .isZero();
    for (int run = 0; run < 5; run++) {
      assertThat(
              query(
                  "select coalesce(max(row_count) - min(row_count) + 1, 0) from audit_records"
                      + " where row_count / 10000000 = "
                      + run))
          .as("what run %s said it had spooled", run)
          .isGreaterThanOrEqualTo(said[run]);
    }
    heir.close();
  }

  private final long[] said = new long[5];

  private long killedWriter(Path spoolFolder, int run) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                Scribe.class.getName(),
                spoolFolder.toString(),
                Integer.toString(server.port()),
                Integer.toString(run))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (BufferedReader lines = process.inputReader()) {
      String line;
      while ((line = lines.readLine()) != null) {
        said[run] = Long.parseLong(line);
        if (said[run] > 2_000L * (run + 1)) {
          process.toHandle().destroyForcibly(); // SIGKILL; leaves the pipe open
        }
      }
    }
    assertThat(process.waitFor(10, SECONDS)).isTrue();
    assertThat(said[run]).isPositive();
    return said[run];
  }

  /** The process that gets killed: records numbers and says how many are on disk. */
  static final class Scribe {
    public static void main(String[] arguments) throws Exception {
      Class.forName("org.postgresql.Driver");
      LocalPostgres server = LocalPostgres.at(Integer.parseInt(arguments[1]));
      SpooledAuditTrail trail =
          new SpooledAuditTrail(
              new DirectDatabase(server), Fixture.settings(Path.of(arguments[0])));
      long base = Long.parseLong(arguments[2]) * 10_000_000L;
      for (long i = 0; i < 5_000_000; i++) {
        while (!trail.accepting()) {
          Thread.onSpinWait();
        }
        trail.record(Fixture.record(base + i));
        if (i % 200 == 0) {
          System.out.println(trail.spooled());
          System.out.flush();
        }
      }
    }
  }

  @Test
  void a_full_disk_refuses_new_work_loses_nothing_and_heals() throws Exception {
    assumeThat(System.getProperty("user.name")).isEqualTo("root");
    Path disk = Files.createDirectory(folder.resolve("disk"));
    assumeThat(run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk.toString()))
        .as("a tiny file system can be mounted")
        .isZero();
    try (LocalPostgres mortal = LocalPostgres.start().migrate();
        DirectDatabase own = new DirectDatabase(mortal)) {
      mortal.pause();
      SpooledAuditTrail trail = new SpooledAuditTrail(own, Fixture.settings(disk));
      int recorded = 0;
      while (trail.accepting() && recorded < 100_000) {
        trail.record(Fixture.record(recorded++));
        if (recorded % 100 == 0) {
          java.util.concurrent.locks.LockSupport.parkNanos(3_000_000);
        }
      }
      int total = recorded;
      assertThat(trail.accepting()).isFalse();
      assertThat(trail.check().status()).isEqualTo(Health.Status.UNHEALTHY);
      assertThat(trail.check().reason()).contains("disk of the audit spool fails");

      mortal.resume();

      await().atMost(Duration.ofSeconds(30)).until(() -> fact(trail, "delivered") == total);
      assertThat(trail.accepting()).isTrue();
      assertThat(fact(trail, "lost")).isZero();
      trail.close();
    } finally {
      run("umount", disk.toString());
    }
  }

  @Test
  void a_full_spool_refuses_new_work_until_the_database_takes_it() throws Exception {
    try (LocalPostgres mortal = LocalPostgres.start().migrate();
        DirectDatabase own = new DirectDatabase(mortal)) {
      mortal.pause();
      Settings settings =
          new Settings(folder, 1 << 20, 64 << 10, Duration.ofMillis(100), 65_536, 500);
      SpooledAuditTrail trail = new SpooledAuditTrail(own, settings);
      int recorded = 0;
      while (trail.accepting() && recorded < 1_000_000) {
        trail.record(Fixture.record(recorded++));
        if (recorded % 100 == 0) {
          java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
        }
      }
      int total = recorded;
      assertThat(trail.check().reason()).contains("spool is full");
      assertThat(fact(trail, "pendingBytes")).isLessThan(3 << 20);

      mortal.resume();

      await().atMost(Duration.ofSeconds(30)).until(() -> fact(trail, "delivered") == total);
      await().atMost(Duration.ofSeconds(5)).until(trail::accepting);
      trail.close();
    }
  }

  private static int run(String... command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    assertThat(process.waitFor(10, SECONDS)).isTrue();
    return process.exitValue();
  }

  @Test
  void recording_is_cheap() throws IOException {
    Settings settings =
        new Settings(folder, 1L << 30, 8 << 20, Duration.ofSeconds(1), 1_000_000, 1_000);
    SpooledAuditTrail trail = new SpooledAuditTrail(database, settings);
    AuditRecord record = Fixture.record(1);
    long best = Long.MAX_VALUE;
    for (int round = 0; round < 20; round++) {
      long start = System.nanoTime();
      for (int i = 0; i < 10_000; i++) {
        trail.record(record);
      }
      best = Math.min(best, (System.nanoTime() - start) / 10_000);
      await().atMost(Duration.ofSeconds(10)).until(() -> fact(trail, "queued") == 0);
    }
    System.out.println("record() takes " + best + " ns");

    assertThat(best).isLessThan(5_000);
    assertThat(fact(trail, "lost")).isZero();
    trail.close();
  }
}
