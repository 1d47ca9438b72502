package io.conexor.database;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.database.LocalPostgres;
import io.conexor.api.database.SqlFailedException;
import io.conexor.api.health.Health;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PostgresDatabaseTest {

  private static LocalPostgres postgres;
  private PostgresDatabase database;

  @BeforeAll
  static void startPostgres() {
    postgres = LocalPostgres.start();
    postgres.execute("create table counted (n int unique)");
  }

  @AfterAll
  static void stopPostgres() {
    if (postgres != null) {
      postgres.close();
    }
  }

  @BeforeEach
  void open() {
    postgres.execute("truncate counted");
    database =
        new PostgresDatabase(
            new DatabaseEndpoints() {
              @Override
              public List<Endpoint> endpoints() {
                return List.of(new Endpoint("127.0.0.1", postgres.port()));
              }

              @Override
              public String database() {
                return "conexor";
              }

              @Override
              public String user() {
                return "conexor";
              }

              @Override
              public Secret password() {
                return new Secret("none");
              }
            },
            Settings.of(Map.of("pool.size", "4", "watch.interval.ms", "50")));
  }

  @AfterEach
  void close() {
    database.close();
  }

  @Test
  void a_write_is_committed_and_proves_how_far_it_got() {
    CommitToken first = insert(1);
    CommitToken second = insert(2);

    assertThat(second).isGreaterThan(first);
    assertThat(count()).isEqualTo(2);
    int again = database.read(Consistency.session(second), soon(), PostgresDatabaseTest::countOn);
    assertThat(again).isEqualTo(2);
  }

  @Test
  void a_read_with_the_token_of_a_newer_primary_is_not_answered_by_the_one_known() {
    CommitToken token = insert(1);
    Consistency newer = Consistency.session(new CommitToken(token.timeline() + 1, 0));

    assertThatThrownBy(
            () ->
                database.read(
                    newer, Deadline.in(Duration.ofMillis(300)), PostgresDatabaseTest::countOn))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("database_unavailable"));
  }

  @Test
  void health_tells_how_long_callers_waited_for_connections_and_what_changed_when() {
    insert(1);

    Map<String, String> details = database.check().details();
    String server = "127.0.0.1:" + postgres.port();
    assertThat(details.get(server + " waits for connections"))
        .containsPattern(
            "write [1-9]\\d* borrowed, mean wait [0-9.]+ ms, longest \\d+ ms, 0 given up");
    assertThat(details.get(server + " connections (active/idle/waiting)"))
        .matches("write \\d/\\d/\\d, read \\d/\\d/\\d");
    assertThat(details.get("events, newest first"))
        .containsPattern("T.*Z primary none -> " + server + ", timeline 1 \\(after \\d+ ms\\)");
  }

  @Test
  void gauges_tell_the_role_the_pools_and_the_waits() {
    insert(1);

    String label = "{server=\"127.0.0.1:" + postgres.port() + "\"";
    assertThat(database.gauges())
        .containsEntry("up" + label + "}", 1.0)
        .containsEntry("primary" + label + "}", 1.0)
        .containsEntry("without_primary_seconds", 0.0)
        .containsEntry("borrow_given_up_total" + label + ",pool=\"write\"}", 0.0)
        .containsKey("connections_idle" + label + ",pool=\"read\"}");
    assertThat(database.gauges().get("borrowed_total" + label + ",pool=\"write\"}")).isPositive();
  }

  @Test
  void a_statement_at_fault_is_reported_and_rolled_back_and_leaks_no_connection() {
    insert(7);
    for (int i = 0; i < 10; i++) {
      assertThatThrownBy(() -> insert(7))
          .isInstanceOfSatisfying(
              SqlFailedException.class, e -> assertThat(e.sqlState()).isEqualTo("23505"));
    }
    assertThat(count()).isEqualTo(1);
  }

  /** Else whoever writes would believe that what they write is wrong, and give it up. */
  @Test
  void a_server_without_room_is_away_and_no_statement_is_at_fault() {
    for (String state : List.of("53100", "53200", "58030")) {
      assertThatThrownBy(
              () ->
                  database.write(
                      soon(),
                      connection -> {
                        try (var statement = connection.createStatement()) {
                          return statement.execute(
                              "do $$ begin raise exception using errcode = '"
                                  + state
                                  + "'; end $$");
                        }
                      }))
          .isInstanceOfSatisfying(
              ConexorException.class,
              e -> {
                assertThat(e.blame()).isEqualTo(ConexorException.Blame.DEPENDENCY);
                assertThat(e.applied()).isEqualTo(ConexorException.Applied.NO);
                assertThat(e.retryAfter()).isPresent();
              });
    }
  }

  @Test
  void a_swallowed_failure_is_not_taken_for_a_commit() {
    assertThatThrownBy(
            () ->
                database.write(
                    soon(),
                    connection -> {
                      try (var statement = connection.createStatement()) {
                        statement.execute("select 1/0");
                      } catch (SQLException swallowed) {
                        return 1;
                      }
                      return 0;
                    }))
        .isInstanceOf(SqlFailedException.class);
  }

  /** A pool that keeps it would fail every later write as well. */
  @Test
  void a_connection_that_refused_a_write_is_not_used_again() {
    List<Integer> processes = new ArrayList<>();
    database.write(
        soon(),
        connection -> {
          try (var statement = connection.createStatement();
              var row = statement.executeQuery("select pg_backend_pid()")) {
            row.next();
            processes.add(row.getInt(1));
          }
          try (var statement = connection.createStatement()) {
            if (processes.size() == 1) {
              statement.execute("set transaction read only");
            }
            return statement.executeUpdate("insert into counted values (6)");
          }
        });

    assertThat(processes).hasSize(2).doesNotHaveDuplicates();
    assertThat(count()).isEqualTo(1);
  }

  @Test
  void a_terminated_backend_does_not_fail_the_write() {
    int[] attempts = {0};
    database.write(
        soon(),
        connection -> {
          try (var statement = connection.createStatement()) {
            statement.execute("insert into counted values (5)");
            if (attempts[0]++ == 0) {
              statement.execute("select pg_terminate_backend(pg_backend_pid())");
            }
          }
          return null;
        });

    assertThat(attempts[0]).isEqualTo(2);
    assertThat(count()).isEqualTo(1);
  }

  @Test
  void a_write_waits_for_a_server_that_is_down_and_health_says_so() throws Exception {
    insert(1);
    postgres.pause();
    await()
        .atMost(Duration.ofSeconds(1))
        .until(() -> database.check().status() == Health.Status.DEGRADED);

    assertThatThrownBy(
            () -> database.write(Deadline.in(Duration.ofMillis(300)), connection -> null))
        .isInstanceOfSatisfying(
            ConexorException.class,
            e -> {
              assertThat(e.applied()).isEqualTo(ConexorException.Applied.NO);
              assertThat(e.blame()).isEqualTo(ConexorException.Blame.DEPENDENCY);
            });
    CompletableFuture<CommitToken> waiting = CompletableFuture.supplyAsync(() -> insert(2));
    postgres.resume();
    waiting.get();

    assertThat(count()).isEqualTo(2);
  }

  @Test
  void a_statement_past_the_deadline_is_cancelled() {
    assertThatThrownBy(
            () ->
                database.write(
                    Deadline.in(Duration.ofMillis(300)),
                    connection -> connection.createStatement().execute("select pg_sleep(30)")))
        .isInstanceOf(ConexorException.class)
        .hasMessageContaining("in time");
  }

  @Test
  void the_tenant_is_set_for_one_transaction_only() {
    OrgId org = OrgId.random();
    assertThat(setting(database.forOrganisation(org))).isEqualTo(org.toString());
    assertThat(setting(database.forFleet())).isEqualTo("*");
    assertThat(setting(database)).isEmpty();
  }

  @Test
  void a_read_may_not_write() {
    assertThatThrownBy(
            () ->
                database.read(
                    Consistency.strong(),
                    Deadline.in(Duration.ofMillis(500)),
                    connection ->
                        connection.createStatement().execute("insert into counted values (9)")))
        .isInstanceOf(SqlFailedException.class);
    assertThat(count()).isZero();
  }

  private static String setting(io.conexor.api.database.Database database) {
    return database.read(
        Consistency.strong(),
        soon(),
        connection -> {
          try (ResultSet row =
              connection.createStatement().executeQuery("select current_setting('conexor.org')")) {
            row.next();
            return row.getString(1);
          }
        });
  }

  private CommitToken insert(int n) {
    return database
        .write(
            soon(),
            connection -> {
              try (var statement = connection.createStatement()) {
                return statement.executeUpdate("insert into counted values (" + n + ")");
              }
            })
        .token();
  }

  private int count() {
    return database.read(Consistency.strong(), soon(), PostgresDatabaseTest::countOn);
  }

  private static int countOn(Connection connection) throws SQLException {
    try (ResultSet row =
        connection.createStatement().executeQuery("select count(*) from counted")) {
      row.next();
      return row.getInt(1);
    }
  }

  private static Deadline soon() {
    return Deadline.in(Duration.ofSeconds(10));
  }
}
