package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.health.Health;
import io.conexor.database.PostgresDatabase;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** How Patroni fails over under writers and readers, whatever there is of it. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class PatroniContract {

  private static final Logger log = LoggerFactory.getLogger(PatroniContract.class);
  static final boolean FULL = Boolean.getBoolean("conexor.full");
  private static final int TIMES = Integer.getInteger("conexor.times", FULL ? 3 : 1);

  /** Full: at full speed; else they leave room for other work. */
  private static final Duration PAUSE = Duration.ofMillis(FULL ? 0 : 2);

  private static final long WRITES_AFTER_MILLIS = FULL ? 1_000 : 5_000;
  private static final long READ_GAP_MILLIS = FULL ? 250 : 5_000;

  /**
   * Behind a proxy: with two nodes it serves reads from nobody between the look that takes the new
   * primary from the replicas and the look that finds it a primary, and looks 250 ms apart.
   */
  private static final long PROXY_MILLIS = FULL ? 2_000 : 10_000;

  PatroniLab lab;

  abstract PatroniLab started();

  /** With more than two there is somebody to read from all the time. */
  abstract int nodes();

  @BeforeAll
  void startLab() {
    lab = started();
  }

  @AfterAll
  void stopLab() {
    if (lab != null) {
      lab.close();
    }
  }

  interface Fault {
    void happen(PatroniNode leader);
  }

  void run(String what, Fault fault) throws Exception {
    run(what, lab.endpoints(), Map.of(), fault);
  }

  void run(String what, DatabaseEndpoints endpoints, Map<String, String> settings, Fault fault)
      throws Exception {
    for (int i = 0; i < TIMES; i++) {
      lab.heal();
      PatroniNode leader = lab.leader().orElseThrow();
      try (PostgresDatabase one = PostgresDatabase.open(endpoints, settings);
          PostgresDatabase other = PostgresDatabase.open(endpoints, settings);
          Traffic traffic = new Traffic(List.of(one, other))) {
        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> one.check().status() == Health.Status.HEALTHY);
        traffic
            .writers(4, PAUSE)
            .readers(4, Duration.ofSeconds(1), Duration.ofMillis(1))
            .readersOfTheirWrites(2, PAUSE);
        park(1_000);
        long began = System.nanoTime();
        long[] promoted = new long[1];
        Thread watch = new Thread(() -> promoted[0] = lab.awaitPromotion(leader));
        watch.start();
        fault.happen(leader);
        watch.join();
        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> traffic.firstWriteAfter(promoted[0]) >= 0);
        park(500);
        // while it is mended, of two there may be nobody to read from for a moment
        long readGap = traffic.readGapMillis();
        lab.heal();
        park(500);
        if (nodes() > 2) {
          readGap = traffic.readGapMillis();
        }
        Traffic.Outcome outcome = traffic.finish();

        log.info(
            "{}: promoted after {} ms, first write {} ms after that, longest gap of reads until then"
                + " (three nodes: and until all is healed) {} ms; {}",
            what,
            (promoted[0] - began) / 1_000_000,
            traffic.firstWriteAfter(promoted[0]),
            readGap,
            outcome);
        if (lab.isSynchronous()) {
          assertThat(outcome.lost()).isZero();
          assertThat(outcome.staleReads()).isZero();
        } else {
          // what the old one acknowledged between the promotion and the look that saw it
          assertThat(outcome.lost()).isLessThan(outcome.acknowledged() / 10);
        }
        assertThat(outcome.twice()).isZero();
        assertThat(outcome.refusedButThere()).isZero();
        assertThat(outcome.refused()).isZero();
        assertThat(outcome.failedReads()).isZero();
        boolean isDirect = endpoints.endpoints().equals(lab.endpoints().endpoints());
        assertThat(traffic.firstWriteAfter(promoted[0]))
            .isLessThan(isDirect ? WRITES_AFTER_MILLIS : PROXY_MILLIS);
        assertThat(readGap).isLessThan(isDirect ? READ_GAP_MILLIS : PROXY_MILLIS);
      }
    }
  }

  static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
