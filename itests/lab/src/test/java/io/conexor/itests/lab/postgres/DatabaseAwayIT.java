package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.database.LocalPostgres;
import io.conexor.itests.lab.AgentProcess;
import io.conexor.itests.lab.Backend;
import io.conexor.itests.lab.LogsOfFailures;
import io.conexor.itests.lab.QueryLoad;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A whole server whose PostgreSQL, primary and replica, is gone: what it knows it goes on with. The
 * agent serves another database. {@code -Dconexor.full=true}: gone for a minute.
 */
@ExtendWith(LogsOfFailures.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DatabaseAwayIT {

  private static final Logger log = LoggerFactory.getLogger(DatabaseAwayIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");
  private static final int CALLERS = 4;
  private static final int PER_SECOND = 200;
  private static final long AWAY_MILLIS = FULL ? 60_000 : 8_000;

  private StreamingLab lab;
  private LocalPostgres goods;
  private Path disk;
  private Backend backend;
  private AgentProcess agent;
  private List<Tenant> tenants;

  @BeforeAll
  void startAll() throws Exception {
    lab = StreamingLab.start(1);
    goods = LocalPostgres.start();
    disk = Files.createTempDirectory("conexor-spool-");
    if (Account.isRoot()) {
      Account.run(
          Map.of(), List.of("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk.toString()));
    }
    backend =
        Backend.on(LocalPostgres.at(lab.server(0).port()))
            .set(
                "database.endpoints.servers",
                lab.server(0).endpoint() + "," + lab.server(1).endpoint())
            .set("audit.spool.dir", disk.resolve("audit").toString())
            .start();
    Tenant tenant = backend.setUp("acme");
    tenants = new ArrayList<>();
    for (int i = 0; i < CALLERS; i++) {
      tenants.add(tenant.withOwnKey());
    }
    agent =
        AgentProcess.of(backend.url(), tenant.agent("berlin", "goods"))
            .source("goods", goods)
            .start();
    backend.awaitSources(tenant, "goods");
  }

  @AfterAll
  void stopAll() throws Exception {
    for (AutoCloseable each : Arrays.<AutoCloseable>asList(agent, backend, goods, lab)) {
      if (each != null) {
        each.close();
      }
    }
    if (disk != null) {
      if (Account.isRoot()) {
        Account.run(Map.of(), List.of("umount", "-l", disk.toString()));
      }
      Account.delete(disk);
    }
  }

  @Test
  @Order(1)
  void queries_go_on_changes_are_told_to_come_back_and_every_record_arrives_once_in_order() {
    QueryLoad load = load("killed");
    lab.servers().forEach(PgServer::kill);
    long away = System.nanoTime();
    park(AWAY_MILLIS / 2);
    expectThatChangesAreToldToComeBack();
    assertThat(backend.get("/health").statusCode()).isEqualTo(200);
    assertThat(health()).contains("no PostgreSQL primary").contains("DEGRADED");
    park(AWAY_MILLIS - (System.nanoTime() - away) / 1_000_000);
    lab.servers().forEach(PgServer::start);
    park(1_000);
    load.stop();

    expectNoFailure("PostgreSQL killed for " + AWAY_MILLIS + " ms", load);
    expectEachOnceInOrder(load);
    awaitChangesWork();
  }

  @Test
  @Order(2)
  void servers_that_hang_instead_of_refusing_stall_no_query() {
    QueryLoad load = load("frozen");
    lab.servers().forEach(PgServer::freeze);
    park(AWAY_MILLIS / 2);
    expectThatChangesAreToldToComeBack();
    lab.servers().forEach(PgServer::thaw);
    park(1_000);
    load.stop();

    expectNoFailure("PostgreSQL frozen for " + AWAY_MILLIS / 2 + " ms", load);
    expectEachOnceInOrder(load);
    awaitChangesWork();
  }

  @Test
  @Order(3)
  void a_full_disk_is_refused_with_and_reported_and_heals_by_itself() throws IOException {
    Assumptions.assumeTrue(Account.isRoot(), "only root can mount a small disk");
    QueryLoad load = load("full");
    lab.servers().forEach(PgServer::kill);
    park(500);
    Path filler = disk.resolve("filler");
    fill(filler);
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> health().contains("the disk of the audit spool fails"));
    assertThat(health()).contains("UNHEALTHY");
    HttpResponse<String> refused = query();
    assertThat(refused.statusCode()).as(refused.body()).isEqualTo(503);
    assertThat(refused.headers().firstValue("Retry-After")).isPresent();

    Files.delete(filler);
    await().atMost(Duration.ofSeconds(20)).until(() -> query().statusCode() == 200);
    int served = load.answered().size();
    await().atMost(Duration.ofSeconds(10)).until(() -> load.answered().size() > served + 50);
    load.stop();
    lab.servers().forEach(PgServer::start);

    log.info("disk full: {} answered, {} refused", load.answered().size(), load.failures().size());
    assertThat(load.failures()).allMatch(failure -> failure.contains(": 503 "));
    expectEachOnceInOrder(load);
    awaitChangesWork();
  }

  @Test
  @Order(4)
  void records_survive_a_killed_backend_and_a_torn_last_one() throws IOException {
    QueryLoad load = load("torn");
    lab.servers().forEach(PgServer::kill);
    park(1_500);
    long killed = System.nanoTime();
    backend.kill();
    load.stop();
    tear();
    lab.servers().forEach(PgServer::start);
    backend.start();

    // what was in memory only: some milliseconds of it, see failure-semantics.md
    long onDisk = killed - TimeUnit.MILLISECONDS.toNanos(FULL ? 100 : 250);
    Map<String, Long> expected = new HashMap<>(load.answered());
    expected.values().removeIf(answered -> answered - onDisk > 0);
    assertThat(expected).hasSizeGreaterThan(100);
    Map<String, Integer> stored = awaitStored("torn", expected.keySet());
    log.info("killed with a torn record: {} expected, {} there", expected.size(), stored.size());
    assertThat(stored.keySet()).containsAll(expected.keySet());
    assertThat(stored.values()).allMatch(times -> times == 1);
    assertThat(backend.output()).contains("bytes that are no whole record");
  }

  /** Half a record at the end of the newest file, as a kill in the middle of a write leaves it. */
  private void tear() throws IOException {
    try (var files = Files.list(disk.resolve("audit"))) {
      Path last =
          files
              .filter(file -> file.toString().endsWith(".spool"))
              .sorted()
              .reduce((a, b) -> b)
              .orElseThrow();
      Files.write(last, Arrays.copyOf(Files.readAllBytes(last), 100), StandardOpenOption.APPEND);
    }
  }

  private static void fill(Path filler) {
    byte[] block = new byte[64 << 10];
    try (var out = Files.newOutputStream(filler)) {
      while (true) {
        out.write(block);
      }
    } catch (IOException full) {
      log.info("the disk is full: {}", full.getMessage());
    }
  }

  private QueryLoad load(String name) {
    QueryLoad load = new QueryLoad(name, backend.url(), tenants, "goods").start(PER_SECOND);
    await().atMost(Duration.ofSeconds(20)).until(() -> load.answered().size() > PER_SECOND / 2);
    return load;
  }

  private HttpResponse<String> query() {
    return tenants.get(0).call("POST", "/query", Map.of("source", "goods", "sql", "SELECT 1"));
  }

  private String health() {
    return tenants.get(0).health();
  }

  private void expectThatChangesAreToldToComeBack() {
    HttpResponse<String> refused = change();
    assertThat(refused.statusCode()).as(refused.body()).isEqualTo(503);
    assertThat(refused.headers().firstValue("Retry-After")).isPresent();
  }

  private HttpResponse<String> change() {
    return tenants
        .get(0)
        .call(
            "POST",
            "/agents",
            Map.of("name", "a" + System.nanoTime(), "allowedSources", List.of()));
  }

  private void awaitChangesWork() {
    await().atMost(Duration.ofSeconds(20)).until(() -> change().statusCode() == 201);
  }

  private static void expectNoFailure(String what, QueryLoad load) {
    log.info(
        "{}: {} queries, {} failed, longest {} ms",
        what,
        load.asked(),
        load.failures().size(),
        load.longestMillis());
    assertThat(load.failures()).isEmpty();
    assertThat(load.answered()).hasSize(load.asked());
  }

  private void expectEachOnceInOrder(QueryLoad load) {
    String name = load.answered().keySet().iterator().next().split("-", 2)[0];
    Map<String, Integer> stored = awaitStored(name, load.answered().keySet());
    assertThat(stored.keySet()).containsAll(load.answered().keySet());
    assertThat(stored.values()).allMatch(times -> times == 1);
    assertThat(outOfOrder(name)).as("records of a caller that are not in its order").isZero();
  }

  /** How often each request's record is there, when all these are or after a while. */
  private Map<String, Integer> awaitStored(String name, Iterable<String> ids) {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (true) {
      Map<String, Integer> stored = new HashMap<>();
      ask(
          "select request_id, count(*) from audit_records where request_id like '"
              + name
              + "-%' group by 1",
          row -> stored.put(row.getString(1), row.getInt(2)));
      boolean all = true;
      for (String id : ids) {
        all = all && stored.containsKey(id);
      }
      if (all || System.nanoTime() - giveUp > 0) {
        return stored;
      }
      park(100);
    }
  }

  /**
   * Records that were stored by a later transaction than one that their caller asked for later.
   * Where rows lie in the table does not tell: free space of older pages is used again.
   */
  private int outOfOrder(String name) {
    Map<String, TreeMap<Integer, Long>> stored = new HashMap<>();
    ask(
        "select request_id, xmin::text::bigint from audit_records where request_id like '"
            + name
            + "-%'",
        row -> {
          String[] id = row.getString(1).split("-");
          stored
              .computeIfAbsent(id[1], caller -> new TreeMap<>())
              .put(Integer.parseInt(id[2]), row.getLong(2));
        });
    int count = 0;
    for (TreeMap<Integer, Long> caller : stored.values()) {
      long latest = 0;
      for (long transaction : caller.values()) {
        count += transaction < latest ? 1 : 0;
        latest = Math.max(latest, transaction);
      }
    }
    return count;
  }

  private interface Row {
    void take(ResultSet row) throws SQLException;
  }

  private void ask(String sql, Row each) {
    try (Connection connection = lab.server(0).connect("conexor", "postgres");
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      while (rows.next()) {
        each.take(rows);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
