package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.redis.RedisEndpoints.Mode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
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

  /**
   * A backend that is slow to say that it is well, on a busy machine, is no backend that is gone.
   */
  private static final String PATIENT = "timeout check 10s";

  @RegisterExtension static final SharedRedis sentinel = SharedRedis.calm(Mode.SENTINEL);
  @RegisterExtension static final SharedRedis cluster = SharedRedis.calm(Mode.CLUSTER);

  private static Fleet fleet;
  private static Tenant tenant;
  private static AgentProcess agent;
  private static String queryKey;

  @BeforeAll
  static void start() {
    fleet = Fleet.of(3, sentinel.lab()).knows(cluster.lab()).rules(PATIENT).start();
    tenant = fleet.setUp("acme");
    agent =
        AgentProcess.of(fleet.url(), tenant.agent("berlin")).source("facts", fleet.state()).start();
    queryKey = tenant.mcpServer("facts", List.of("facts")).key();
    fleet.backends().forEach(each -> each.awaitSources(tenant, "facts"));
    if (FULL) {
      fleet.backends().forEach(ChatBundle::install);
    }
  }

  @AfterAll
  static void stop() {
    if (agent != null) {
      agent.close();
    }
    if (fleet != null) {
      fleet.close();
    }
  }

  @Test
  void a_session_is_the_same_on_every_backend_and_loses_no_change() {
    eightWritersOfOneSession(FULL ? 10_000 : 2_000);
  }

  private static void eightWritersOfOneSession(int requests) {
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
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void nobody_notices_a_swap_of_sentinel_for_cluster_and_back() throws Exception {
    Login idle = Login.of(tenant);
    idle.keep("idle", "1");
    try (FleetLoad load = new FleetLoad(tenant, queryKey, new FleetLoad.Crowd(4, 2, 2)).start()) {
      pass(Duration.ofSeconds(2));
      swap("redis-sentinel redis-cluster");
      assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
      eightWritersOfOneSession(FULL ? 10_000 : 1_000);
      swap("redis-cluster redis-sentinel");
      assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
      pass(Duration.ofSeconds(2));

      load.stopAndCheck();
    }
  }

  @Test
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void swaps_leave_no_class_loader_and_no_thread_behind() {
    // The first swaps load classes and start threads that stay for good.
    swap("redis-sentinel redis-cluster");
    swap("redis-cluster redis-sentinel");
    List<Footprint> before = fleet.backends().stream().map(Footprint::of).toList();
    for (int i = 0; i < (FULL ? 10 : 1); i++) {
      swap("redis-sentinel redis-cluster");
      swap("redis-cluster redis-sentinel");
    }
    for (int i = 0; i < before.size(); i++) {
      Footprint first = before.get(i);
      Backend backend = fleet.backends().get(i);
      await()
          .atMost(Duration.ofSeconds(20))
          .pollInterval(Duration.ofSeconds(2))
          .untilAsserted(() -> Footprint.of(backend).assertNotAbove(first));
    }
  }

  private static void swap(String features) {
    long start = System.nanoTime();
    List<String> answers = onAll("feature:swap " + features + " --migrate");
    log.info(
        "{} took {} ms: {}", features, (System.nanoTime() - start) / 1_000_000, answers.get(0));
    assertThat(answers)
        .allSatisfy(each -> assertThat(each).contains("3 backends", "done; to keep"));
  }

  private static void pass(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (System.nanoTime() < end) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }

  private static List<String> onAll(String command) {
    List<CompletableFuture<String>> running = new ArrayList<>();
    for (Backend backend : fleet.backends()) {
      running.add(CompletableFuture.supplyAsync(() -> backend.shell(command)));
    }
    return running.stream().map(CompletableFuture::join).toList();
  }
}
