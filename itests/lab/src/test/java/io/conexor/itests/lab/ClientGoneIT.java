package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalMariaDb;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A client that goes away behind the balancer takes its statement with it, wherever its agent is
 * linked.
 */
@ExtendWith(LogsOfFailures.class)
class ClientGoneIT {

  private static final Logger log = LoggerFactory.getLogger(ClientGoneIT.class);
  private static final Duration LIMIT = Duration.ofMillis(500);

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  /** Counts the statements of one kind that run in a database. */
  private interface Running {
    int count() throws SQLException;
  }

  @Test
  void its_statement_is_gone_from_postgresql_within_half_a_second() throws Exception {
    String sql = "select count(*) from fact a, fact b, fact c, fact d where a.id > 0";
    try (Connection connection = fleet.database().connect();
        Statement statement = connection.createStatement()) {
      Running running =
          () ->
              count(
                  statement,
                  "select count(*) from pg_stat_activity where state = 'active'"
                      + " and pid <> pg_backend_pid() and query like '%fact a, fact b%'");
      // To each backend; and with an agent that is linked to one of them only.
      for (int i = 0; i < 3; i++) {
        assertThat(goneAfter(FactLoad.NEAR, sql, running)).isLessThan(LIMIT);
        assertThat(goneAfter(FactLoad.FAR, sql, running)).isLessThan(LIMIT);
      }
    }
  }

  @Test
  void its_statement_is_gone_from_mariadb_within_half_a_second() throws Exception {
    Tenant tenant = fleet.tenant();
    try (LocalMariaDb database = LocalMariaDb.start();
        Connection connection = database.connect("");
        Statement statement = connection.createStatement()) {
      statement.execute("create database shop");
      Tenant.Agent key = tenant.agent("hamburg");
      try (AgentProcess agent =
          AgentProcess.of(tenant.url(), key)
              .features("agent", "jdbc-mariadb")
              .source("orders", database.url("shop"), "root")
              .jvm(AgentFleet.JVM)
              .start()) {
        for (Backend backend : fleet.backends()) {
          backend.awaitSources(tenant, "orders");
        }
        Running running =
            () ->
                count(
                    statement,
                    "select count(*) from information_schema.processlist"
                        + " where info like 'select count(*) from seq_1_to_%'");
        for (int i = 0; i < 3; i++) {
          assertThat(
                  goneAfter(
                      "orders",
                      "select count(*) from seq_1_to_100000 a, seq_1_to_100000 b",
                      running))
              .isLessThan(LIMIT);
        }
        assertThat(agent.isAlive()).isTrue();
      }
    }
  }

  private static int count(Statement statement, String sql) throws SQLException {
    try (ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      return rows.getInt(1);
    }
  }

  /** Asks, closes the connection while the statement runs, and looks how long it stays. */
  private static Duration goneAfter(String source, String sql, Running running)
      throws IOException, SQLException {
    URI uri = URI.create(fleet.tenant().url());
    byte[] body = Tenant.json(Map.of("source", source, "sql", sql)).getBytes(UTF_8);
    String head =
        "POST /api/v1/query HTTP/1.1\r\nHost: lab\r\nX-API-Key: "
            + fleet.tenant().token()
            + "\r\nContent-Type: application/json\r\nContent-Length: "
            + body.length
            + "\r\n\r\n";
    long closed;
    try (Socket client = new Socket(InetAddress.getLoopbackAddress(), uri.getPort())) {
      OutputStream out = client.getOutputStream();
      out.write(head.getBytes(UTF_8));
      out.write(body);
      awaitCount(running, 1);
      closed = System.nanoTime();
    }
    awaitCount(running, 0);
    Duration took = Duration.ofNanos(System.nanoTime() - closed);
    log.info("{}: statement gone {} ms after its client", source, took.toMillis());
    return took;
  }

  private static void awaitCount(Running running, int expected) throws SQLException {
    long end = System.nanoTime() + 15_000_000_000L;
    List<Integer> seen = new ArrayList<>();
    while (System.nanoTime() - end < 0) {
      int now = running.count();
      if (now == expected) {
        return;
      }
      seen.add(now);
      AgentFleet.pass(Duration.ofMillis(5));
    }
    throw new AssertionError(
        "never " + expected + " statements, but " + seen.stream().distinct().toList());
  }
}
