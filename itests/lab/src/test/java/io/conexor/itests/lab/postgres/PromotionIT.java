package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Deadline;
import io.conexor.api.database.Consistency;
import io.conexor.api.health.Health;
import io.conexor.database.PostgresDatabase;
import java.sql.ResultSet;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A replica is promoted by hand, under writers and readers at full speed. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PromotionIT {

  private static final Logger log = LoggerFactory.getLogger(PromotionIT.class);

  private static final boolean FULL = Boolean.getBoolean("conexor.full");

  /** Full: three times each, and writers at full speed; else they leave room for other work. */
  private static final int TIMES = FULL ? 3 : 1;

  private static final Duration PAUSE = Duration.ofMillis(FULL ? 0 : 2);
  private static final long WRITES_AFTER_MILLIS = FULL ? 1_000 : 5_000;

  private StreamingLab lab;
  private PgServer primary;
  private PgServer standby;
  private PostgresDatabase one;
  private PostgresDatabase other;
  private Traffic traffic;

  @BeforeAll
  void startLab() {
    lab = StreamingLab.start(1);
    primary = lab.server(1);
    standby = lab.server(0);
  }

  @AfterAll
  void stopLab() {
    if (lab != null) {
      lab.close();
    }
  }

  private interface Fault {
    long promoted() throws Exception;
  }

  /** The standby of the last run is the primary of the next. */
  private void run(String what, Fault fault, Fault afterwards) throws Exception {
    for (int i = 0; i < TIMES; i++) {
      PgServer next = primary;
      primary = standby;
      standby = next;
      lab.heal(primary);
      lab.synchronous(primary, standby);
      one = PostgresDatabase.open(lab.endpoints(), Map.of());
      other = PostgresDatabase.open(lab.endpoints(), Map.of());
      traffic = new Traffic(List.of(one, other));
      try {
        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> one.check().status() == Health.Status.HEALTHY);
        traffic
            .writers(4, PAUSE)
            .readers(4, Duration.ofSeconds(1), Duration.ofMillis(1))
            .readersOfTheirWrites(2, PAUSE);
        park(1_000);
        check(what, fault.promoted());
        afterwards.promoted();
      } finally {
        primary.thaw();
        traffic.close();
        one.close();
        other.close();
      }
    }
  }

  private void check(String what, long promoted) throws Exception {
    await().atMost(Duration.ofSeconds(20)).until(() -> traffic.firstWriteAfter(promoted) >= 0);
    park(1_000);
    Traffic.Outcome outcome = traffic.finish();

    log.info(
        "{}: first write {} ms after the promotion; {}",
        what,
        traffic.firstWriteAfter(promoted),
        outcome);
    assertThat(outcome.lost()).isZero();
    assertThat(outcome.twice()).isZero();
    assertThat(outcome.refusedButThere()).isZero();
    assertThat(outcome.refused()).isZero();
    assertThat(outcome.staleReads()).isZero();
    assertThat(outcome.failedReads()).isZero();
    assertThat(traffic.firstWriteAfter(promoted)).isLessThan(WRITES_AFTER_MILLIS);
  }

  @Test
  void after_a_kill_writes_go_on_where_it_was_promoted() throws Exception {
    run(
        "kill",
        () -> {
          primary.kill();
          park(300);
          return standby.promote();
        },
        () -> 0);
  }

  @Test
  void a_frozen_primary_that_wakes_up_again_is_never_written_to() throws Exception {
    run(
        "freeze, promote, thaw",
        () -> {
          primary.freeze();
          await()
              .atMost(Duration.ofSeconds(FULL ? 1 : 10))
              .until(() -> one.check().reason().contains("no PostgreSQL primary"));
          long promoted = standby.promote();
          park(500);
          primary.thaw();
          return promoted;
        },
        () -> 0);
  }

  @Test
  void of_two_primaries_only_the_newer_is_written_to() throws Exception {
    run(
        "promote beside a living primary",
        () -> standby.promote(),
        () -> {
          assertThat(primary.says("f", "select pg_is_in_recovery()")).isTrue();
          assertThat(one.check().reason()).contains(primary.endpoint() + " is a stale primary");
          return 0;
        });
  }

  @Test
  void a_demoted_primary_that_stays_as_a_replica_is_read_and_not_written() throws Exception {
    run(
        "switch over by hand",
        () -> {
          primary.stop();
          long promoted = standby.promote();
          primary.rewindAndFollow(standby);
          await()
              .atMost(Duration.ofSeconds(20))
              .until(() -> one.check().status() == Health.Status.HEALTHY);
          return promoted;
        },
        () -> {
          await().atMost(Duration.ofSeconds(20)).until(() -> whoReads() == primary.port());
          return 0;
        });
  }

  private int whoReads() {
    return one.read(
        Consistency.eventual(Duration.ofSeconds(1)),
        Deadline.in(Duration.ofSeconds(5)),
        connection -> {
          try (var statement = connection.createStatement();
              ResultSet row = statement.executeQuery("select inet_server_port()")) {
            row.next();
            return row.getInt(1);
          }
        });
  }

  private static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
