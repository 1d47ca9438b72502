package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.redis.RedisEndpoints.Mode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Three backends from the archive behind a balancer that never sends two requests of a person to
 * the same one on purpose. {@code -Dconexor.full=true} runs the full numbers.
 */
@ExtendWith(LogsOfFailures.class)
class FleetSessionsIT {

  private static final Logger log = LoggerFactory.getLogger(FleetSessionsIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");

  @RegisterExtension static final SharedRedis sentinel = new SharedRedis(Mode.SENTINEL);
  @RegisterExtension static final SharedRedis cluster = new SharedRedis(Mode.CLUSTER);

  private static Fleet fleet;
  private static Tenant tenant;

  @BeforeAll
  static void start() {
    fleet = Fleet.of(3, sentinel.lab()).knows(cluster.lab()).start();
    tenant = fleet.setUp("acme");
  }

  @AfterAll
  static void stop() {
    if (fleet != null) {
      fleet.close();
    }
  }

  @Test
  void a_session_is_the_same_on_every_backend_and_loses_no_change() {
    int requests = FULL ? 10_000 : 2_000;
    Login login = Login.of(tenant);
    List<CompletableFuture<Clicks>> writers = new ArrayList<>();
    for (int w = 0; w < 8; w++) {
      Clicks clicks = new Clicks(login, "writer-" + w);
      writers.add(CompletableFuture.supplyAsync(() -> clicks.run(requests / 8, Duration.ZERO)));
    }
    List<Clicks> done = writers.stream().map(CompletableFuture::join).toList();

    log.info("{} requests: {}", requests, done);
    assertThat(done).allSatisfy(each -> assertThat(each.failures()).isEmpty());
    for (Backend backend : fleet.backends()) {
      var kept = login.at(backend.url()).attributes();
      done.forEach(each -> assertThat(kept.path(each.name()).asString()).isEqualTo(each.last()));
    }
  }

  @Test
  void log_out_is_seen_by_all_backends_at_once() {
    Login login = Login.of(tenant);
    Login other = Login.of(tenant);

    login.logOut();

    for (Backend backend : fleet.backends()) {
      assertThat(login.at(backend.url()).status()).isEqualTo(401);
      assertThat(other.at(backend.url()).status()).isEqualTo(200);
    }
  }

  @Test
  void nobody_notices_a_swap_of_sentinel_for_cluster_and_back() {
    Login idle = Login.of(tenant);
    idle.keep("idle", "1");
    List<Clicks> people = new ArrayList<>();
    List<CompletableFuture<Clicks>> clicking = new ArrayList<>();
    for (int p = 0; p < 4; p++) {
      Clicks clicks = new Clicks(Login.of(tenant), "person-" + p);
      people.add(clicks);
      clicking.add(
          CompletableFuture.supplyAsync(() -> clicks.runUntilStopped(Duration.ofMillis(20))));
    }
    try {
      for (String swap : List.of("redis-sentinel redis-cluster", "redis-cluster redis-sentinel")) {
        LockSupport.parkNanos(Duration.ofMillis(500).toNanos());
        long start = System.nanoTime();
        List<String> answers = onAll("feature:swap " + swap + " --migrate");
        log.info(
            "{} took {} ms: {}", swap, (System.nanoTime() - start) / 1_000_000, answers.get(0));
        assertThat(answers).allSatisfy(each -> assertThat(each).contains("3 backends"));
        assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
      }
      LockSupport.parkNanos(Duration.ofMillis(500).toNanos());
    } finally {
      people.forEach(Clicks::stop);
    }
    List<Clicks> done = clicking.stream().map(CompletableFuture::join).toList();

    log.info("swaps: {}", done);
    assertThat(done).allSatisfy(each -> assertThat(each.failures()).isEmpty());
    done.forEach(
        each ->
            assertThat(each.login().attributes().path(each.name()).asString())
                .isEqualTo(each.last()));
  }

  private static List<String> onAll(String command) {
    List<CompletableFuture<String>> running = new ArrayList<>();
    for (Backend backend : fleet.backends()) {
      running.add(CompletableFuture.supplyAsync(() -> backend.shell(command)));
    }
    return running.stream().map(CompletableFuture::join).toList();
  }
}
