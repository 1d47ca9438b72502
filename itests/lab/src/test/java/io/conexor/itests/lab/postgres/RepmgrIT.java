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
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** repmgr fails over between two nodes, the standby synchronous, under writers and readers. */
class RepmgrIT {

  private static final Logger log = LoggerFactory.getLogger(RepmgrIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");
  private static final int TIMES = FULL ? 3 : 1;
  private static final Duration PAUSE = Duration.ofMillis(FULL ? 0 : 2);

  @Test
  void a_failover_by_repmgr_costs_no_acknowledged_write() throws Exception {
    for (int i = 0; i < TIMES; i++) {
      try (RepmgrLab lab = RepmgrLab.start()) {
        failOver(lab);
      }
    }
  }

  private static void failOver(RepmgrLab lab) throws Exception {
    PgServer primary = lab.servers().server(0);
    PgServer standby = lab.servers().server(1);
    lab.servers().synchronous(primary, standby);
    try (PostgresDatabase one = PostgresDatabase.open(lab.servers().endpoints(), Map.of());
        PostgresDatabase other = PostgresDatabase.open(lab.servers().endpoints(), Map.of());
        Traffic traffic = new Traffic(List.of(one, other))) {
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> one.check().status() == Health.Status.HEALTHY);
      traffic
          .writers(4, PAUSE)
          .readers(4, Duration.ofSeconds(1), Duration.ofMillis(1))
          .readersOfTheirWrites(2, PAUSE);
      LockSupport.parkNanos(TimeUnit.SECONDS.toNanos(1));
      primary.kill();
      long killed = System.nanoTime();
      long promoted = standby.awaitPromotion();
      await().atMost(Duration.ofSeconds(20)).until(() -> traffic.firstWriteAfter(promoted) >= 0);
      LockSupport.parkNanos(TimeUnit.SECONDS.toNanos(1));
      Traffic.Outcome outcome = traffic.finish();

      log.info(
          "repmgr: promoted after {} ms, first write {} ms after that; {}",
          (promoted - killed) / 1_000_000,
          traffic.firstWriteAfter(promoted),
          outcome);
      assertThat(outcome.lost()).isZero();
      assertThat(outcome.twice()).isZero();
      assertThat(outcome.refusedButThere()).isZero();
      assertThat(outcome.refused()).isZero();
      assertThat(outcome.staleReads()).isZero();
      assertThat(outcome.failedReads()).isZero();
      assertThat(traffic.firstWriteAfter(promoted)).isLessThan(FULL ? 1_000 : 5_000);
      assertThat(outcome.readGapMillis()).isLessThan(FULL ? 250 : 5_000);
    }
  }
}
