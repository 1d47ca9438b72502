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
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A whole server whose PostgreSQL has no room left for the audit trail and for agents: a file
 * system of its own, small and full.
 */
@ExtendWith(LogsOfFailures.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class DatabaseFullIT {

  private static final Logger log = LoggerFactory.getLogger(DatabaseFullIT.class);
  private static final int PER_SECOND = 200;

  private StreamingLab lab;
  private LocalPostgres goods;
  private Path disk;
  private Backend backend;
  private AgentProcess agent;
  private Tenant tenant;

  @BeforeAll
  void startAll() {
    Assumptions.assumeTrue(Account.isRoot(), "only root can mount a small disk");
    lab = StreamingLab.start(0);
    goods = LocalPostgres.start();
    disk = Account.folder("conexor-small-");
    Account.run(
        Map.of(), List.of("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk.toString()));
    Account.own(disk);
    backend = Backend.on(LocalPostgres.at(lab.server(0).port())).start();
    tenant = backend.setUp("acme");
    agent =
        AgentProcess.of(backend.url(), tenant.agent("berlin", "goods"))
            .source("goods", goods)
            .start();
    backend.awaitSources(tenant, "goods");
    ask("create tablespace small location '" + disk + "'");
    ask("alter table audit_records set tablespace small");
    ask("alter table agents set tablespace small");
  }

  @AfterAll
  void stopAll() throws Exception {
    for (AutoCloseable each : Arrays.<AutoCloseable>asList(agent, backend, goods, lab)) {
      if (each != null) {
        each.close();
      }
    }
    if (disk != null) {
      Account.run(Map.of(), List.of("umount", "-l", disk.toString()));
      Account.delete(disk);
    }
  }

  @Test
  void queries_go_on_and_every_record_arrives_once_when_there_is_room_again() throws IOException {
    List<Tenant> callers = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      callers.add(tenant.withOwnKey());
    }
    try (QueryLoad load = new QueryLoad("dbfull", backend.url(), callers, "goods")) {
      load.start(PER_SECOND);
      await().atMost(Duration.ofSeconds(20)).until(() -> load.answered().size() > PER_SECOND / 2);
      Path filler = disk.resolve("filler");
      fill(filler);
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> tenant.health().contains("No space left on device"));
      List<Integer> changes = new ArrayList<>();
      // the rest of its last page still has room for some
      await()
          .atMost(Duration.ofSeconds(60))
          .until(
              () -> {
                HttpResponse<String> change = change();
                changes.add(change.statusCode());
                return change.statusCode() == 503
                    && change.headers().firstValue("Retry-After").isPresent();
              });
      park(3_000);
      Files.delete(filler);
      await().atMost(Duration.ofSeconds(20)).until(() -> change().statusCode() == 201);
      park(1_000);
      load.stop();

      log.info(
          "PostgreSQL's disk full: {} queries, {} failed, longest {} ms; {} changes until one was"
              + " refused",
          load.asked(),
          load.failures().size(),
          load.longestMillis(),
          changes.size());
      assertThat(changes).containsOnly(201, 503);
      assertThat(load.failures()).isEmpty();
      String all = Integer.toString(load.answered().size());
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> records("count(distinct request_id)", all));
      assertThat(records("count(*)", all)).as("each once").isTrue();
      assertThat(backend.output()).doesNotContain("can't be stored");
    }
  }

  private boolean records(String what, String expected) {
    return ask("select " + what + " from audit_records where request_id like 'dbfull-%'")
        .equals(expected);
  }

  private String ask(String sql) {
    try (Connection connection = lab.server(0).connect("conexor", "postgres");
        Statement statement = connection.createStatement()) {
      if (!statement.execute(sql)) {
        return "";
      }
      try (ResultSet row = statement.getResultSet()) {
        row.next();
        return row.getString(1);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(sql + ": " + e.getMessage(), e);
    }
  }

  private HttpResponse<String> change() {
    return tenant.call(
        "POST", "/agents", Map.of("name", "a" + System.nanoTime(), "allowedSources", List.of()));
  }

  private static void fill(Path filler) {
    byte[] block = new byte[4 << 10];
    try (var out = Files.newOutputStream(filler)) {
      while (true) {
        out.write(block);
      }
    } catch (IOException full) {
      log.info("the disk of PostgreSQL is full: {}", full.getMessage());
    }
  }

  private static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
