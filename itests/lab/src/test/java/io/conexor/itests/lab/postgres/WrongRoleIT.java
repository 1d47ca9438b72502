package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.health.Health;
import io.conexor.database.PostgresDatabase;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Connections that look fine and lead to a server that takes no writes, as others have met them:
 * pools that keep them for days, services that say they are healthy, addresses that alternate.
 */
class WrongRoleIT {

  private static final boolean FULL = Boolean.getBoolean("conexor.full");

  /** Beside other tests on two cores anything may take seconds. */
  private static final Duration SOON = FULL ? Duration.ofSeconds(1) : Duration.ofSeconds(5);

  private static StreamingLab lab;
  private PgServer primary;
  private PgServer standby;
  private Switchboard address;

  @BeforeAll
  static void startLab() {
    lab = StreamingLab.start(1);
  }

  @AfterAll
  static void stopLab() {
    if (lab != null) {
      lab.close();
    }
  }

  @BeforeEach
  void findPrimary() throws Exception {
    boolean isFirst = lab.server(0).says("f", "select pg_is_in_recovery()");
    primary = lab.server(isFirst ? 0 : 1);
    standby = lab.server(isFirst ? 1 : 0);
    lab.heal(primary);
    address = new Switchboard(primary);
  }

  @AfterEach
  void closeAddress() {
    address.close();
  }

  private PostgresDatabase open() {
    return PostgresDatabase.open(
        StreamingLab.endpoints(List.of(address.endpoint())), Map.of("pool.size", "4"));
  }

  private static void awaitHealthy(PostgresDatabase database) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> database.check().status() == Health.Status.HEALTHY);
  }

  /** Some operators' addresses alternate between both servers for seconds after a promotion. */
  @Test
  void an_address_that_alternates_between_primary_and_standby_fails_no_write() throws Exception {
    try (PostgresDatabase database = open();
        Traffic traffic = new Traffic(List.of(database))) {
      awaitHealthy(database);
      address.connectTo(primary, standby);
      // every connection of the pools is made anew, in turns to both
      primary.execute(
          "select pg_terminate_backend(pid) from pg_stat_activity"
              + " where application_name in ('conexor-write', 'conexor-read')");
      traffic.writers(4, Duration.ofMillis(2)).readersOfTheirWrites(2, Duration.ofMillis(2));
      park(FULL ? 5_000 : 1_500);
      Traffic.Outcome outcome = traffic.finish();

      assertThat(outcome.acknowledged()).isGreaterThan(50);
      assertThat(outcome.refused()).as(outcome.toString()).isZero();
      assertThat(outcome.lost() + outcome.twice() + outcome.staleReads()).isZero();
      assertThat(outcome.failedReads()).as(outcome.toString()).isZero();
      assertThat(standby.ask("select count(*) from pg_stat_activity where" + IDLE_WRITER))
          .as("connections for writes kept to the standby")
          .isEqualTo("0");
    }
  }

  private static final String IDLE_WRITER =
      " application_name = 'conexor-write' and state = 'idle'"
          + " and state_change < now() - interval '1 second'";

  /** A watch that met the standby would be told "standby" for ever by its open connection. */
  @Test
  void an_address_that_led_to_a_standby_is_dialled_anew_while_there_is_no_primary()
      throws Exception {
    address.connectTo(standby);
    try (PostgresDatabase database = open()) {
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> database.check().reason().contains("no PostgreSQL primary"));
      park(300);
      address.connectTo(primary);

      await()
          .atMost(Duration.ofSeconds(FULL ? 2 : 10))
          .until(() -> database.check().status() == Health.Status.HEALTHY);
    }
  }

  /** A server may be alive, no standby, and yet take no writes. */
  @Test
  void health_says_within_a_second_that_the_primary_takes_no_writes() {
    try (PostgresDatabase database = open()) {
      awaitHealthy(database);
      primary.execute("alter system set default_transaction_read_only = on");
      primary.execute("select pg_reload_conf()");
      try {
        await()
            .atMost(SOON)
            .until(() -> database.check().reason().contains("takes no writes: default"));
        assertThat(database.check().status()).isEqualTo(Health.Status.DEGRADED);
      } finally {
        primary.execute("alter system reset default_transaction_read_only");
        primary.execute("select pg_reload_conf()");
      }
      awaitHealthy(database);
    }
  }

  @Test
  void health_says_within_a_second_that_writes_go_nowhere() {
    try (PostgresDatabase database = open()) {
      awaitHealthy(database);
      primary.freeze();
      try {
        await().atMost(SOON).until(() -> database.check().status() == Health.Status.DEGRADED);
      } finally {
        primary.thaw();
      }
      awaitHealthy(database);
    }
  }

  /** And says what, when, why and how long. */
  @Test
  void after_a_switchover_no_pool_holds_a_connection_of_the_wrong_role() throws Exception {
    try (PostgresDatabase database = PostgresDatabase.open(lab.endpoints(), Map.of());
        Traffic traffic = new Traffic(List.of(database))) {
      awaitHealthy(database);
      traffic
          .writers(4, Duration.ofMillis(2))
          .readers(4, Duration.ofSeconds(1), Duration.ofMillis(2));
      park(500);
      primary.stop();
      long promoted = standby.promote();
      primary.rewindAndFollow(standby);
      awaitHealthy(database);
      int before = traffic.acknowledged();
      await().atMost(Duration.ofSeconds(10)).until(() -> traffic.acknowledged() > before + 100);

      assertThat(traffic.firstWriteAfter(promoted)).isBetween(0L, SOON.toMillis());
      String writers = "select count(*) from pg_stat_activity where application_name = 'conexor-";
      assertThat(primary.ask(writers + "write'")).isEqualTo("0");
      assertThat(standby.ask(writers + "write'")).isNotEqualTo("0");
      Traffic.Outcome outcome = traffic.finish();
      assertThat(outcome.refused() + outcome.failedReads()).as(outcome.toString()).isZero();
      assertThat(outcome.errors()).isEmpty();
      String events = database.check().details().get("events, newest first");
      assertThat(events)
          .contains("primary none -> " + standby.endpoint())
          .contains("primary " + primary.endpoint() + " -> none")
          .contains(" ms)");
    }
  }

  private static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
