package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.redis.RedisEndpoints.Mode;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.opentest4j.TestAbortedException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Redis breaks under three backends from the archive behind a balancer, with people who click and
 * programs that query. {@code -Dconexor.full=true} runs each fault on both topologies and for as
 * long as promised; the short form some of them, on one fleet that changes its Redis in between.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@ExtendWith(LogsOfFailures.class)
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class FleetRedisFaultsIT {

  private static final Logger log = LoggerFactory.getLogger(FleetRedisFaultsIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");

  /**
   * A backend that is slow to say that it is well, on a busy machine, is no backend that is gone.
   */
  private static final String PATIENT = "timeout check 10s";

  private static final String JVM = "-Xmx192m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

  /** Failover of Redis itself (about 2.5 s at a detection time of 1 s), and 2 s of ours. */
  private static final long LONGEST_MILLIS = 2_500 + 2_000;

  private static final long BACK_AGAIN_MILLIS = 3_000;

  /** What happens to the primary of the login that is watched. */
  enum Fault {
    KILLED,
    FROZEN,
    PARTITIONED
  }

  private final Map<Mode, RedisLab> labs = new EnumMap<>(Mode.class);
  private boolean hasNetwork = true;
  private Fleet fleet;
  private Tenant tenant;
  private AgentProcess agent;
  private String queryKey;
  private Mode now = Mode.SENTINEL;

  static Stream<Arguments> faults() {
    List<Arguments> all = new ArrayList<>();
    for (Mode mode : List.of(Mode.SENTINEL, Mode.CLUSTER)) {
      for (Fault fault : Fault.values()) {
        boolean isShort = (fault == Fault.FROZEN) == (mode == Mode.SENTINEL);
        if (FULL || isShort) {
          all.add(Arguments.of(mode, fault));
        }
      }
    }
    return all.stream();
  }

  static Stream<Mode> topologies() {
    return FULL ? Stream.of(Mode.CLUSTER, Mode.SENTINEL) : Stream.of(Mode.CLUSTER);
  }

  @BeforeAll
  void start() {
    for (Mode mode : List.of(Mode.SENTINEL, Mode.CLUSTER)) {
      labs.put(mode, redis(mode));
    }
    fleet =
        Fleet.of(3, labs.get(Mode.SENTINEL)).knows(labs.get(Mode.CLUSTER)).rules(PATIENT).start();
    tenant = fleet.setUp("acme");
    Tenant.Agent key = tenant.agent("berlin");
    agent =
        AgentProcess.of(fleet.url(), key)
            .set("agent.link.links.max", "3")
            .source("facts", fleet.state())
            .jvm(JVM)
            .start();
    queryKey = tenant.mcpServer("facts", List.of("facts")).key();
    for (Backend each : fleet.backends()) {
      each.awaitLinks(tenant, key.id(), 3);
      each.awaitSources(tenant, "facts");
    }
  }

  private RedisLab redis(Mode mode) {
    try {
      return hasNetwork ? RedisLab.startOnNetwork(mode) : RedisLab.start(mode);
    } catch (TestAbortedException e) {
      hasNetwork = false;
      return RedisLab.start(mode);
    }
  }

  @AfterAll
  void stop() {
    if (agent != null) {
      agent.close();
    }
    if (fleet != null) {
      fleet.close();
    }
    labs.values().forEach(RedisLab::close);
  }

  @ParameterizedTest
  @MethodSource("faults")
  void nobody_is_logged_out_and_nothing_fails_while_a_primary_is(Mode mode, Fault fault)
      throws Exception {
    if (fault == Fault.PARTITIONED && !hasNetwork) {
      throw new TestAbortedException("network namespaces need root here");
    }
    RedisLab redis = on(mode);
    Login idle = Login.of(tenant);
    idle.keep("idle", "1");
    try (FleetLoad load = new FleetLoad(tenant, queryKey, new FleetLoad.Crowd(6, 0, 2)).start()) {
      pass(Duration.ofSeconds(1));
      RedisServer primary = redis.primaryOf(key(idle));
      long began = System.nanoTime();
      begin(fault, redis, primary);
      String cause = awaitCause(primary);
      log.info("{} {}: after {} ms {}", mode, fault, millisSince(began), cause);
      pass(Duration.ofSeconds(FULL && fault != Fault.KILLED ? 15 : 4));
      end(fault, redis, primary);
      pass(Duration.ofSeconds(FULL ? 15 : 2));

      load.stopAndCheck();
      log.info("{} {}: {}", mode, fault, load);
      assertThat(load.longest()).as("longest request in ms").isLessThan(LONGEST_MILLIS);
    }
    assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
    redis.mend(Duration.ofSeconds(40));
    await().atMost(Duration.ofSeconds(20)).until(() -> !health().contains("does not answer"));
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void queries_with_a_key_go_on_without_redis_and_people_come_back_when_it_does(Mode mode)
      throws Exception {
    RedisLab redis = on(mode);
    Login person = Login.of(tenant);
    person.keep("before", "1");
    pass(Duration.ofSeconds(1));
    List<Footprint> before = fleet.backends().stream().map(Footprint::of).toList();
    try (FleetLoad load = new FleetLoad(tenant, queryKey, new FleetLoad.Crowd(0, 0, 4)).start()) {
      redis.servers().forEach(each -> each.process().kill());
      long end = System.nanoTime() + Duration.ofSeconds(FULL ? 60 : 10).toNanos();
      List<Integer> answers = new ArrayList<>();
      long longest = 0;
      while (System.nanoTime() - end < 0) {
        long began = System.nanoTime();
        answers.add(person.keep("during", "1").statusCode());
        longest = Math.max(longest, millisSince(began));
        pass(Duration.ofMillis(100));
      }
      // Nobody is told that there is no such login.
      assertThat(answers).isNotEmpty().containsOnly(503);
      assertThat(longest).as("longest refusal in ms").isLessThan(LONGEST_MILLIS + 500);

      redis.mend(Duration.ofSeconds(60));
      long back = System.nanoTime();
      for (Backend each : fleet.backends()) {
        await()
            .atMost(Duration.ofSeconds(20))
            .pollInterval(Duration.ofMillis(50))
            .until(() -> person.at(each.url()).keep("after", "1").statusCode() == 200);
      }
      long recovered = millisSince(back);
      load.stopAndCheck();
      log.info(
          "{} gone: {}; {} refusals, longest {} ms; people are back after {} ms",
          mode,
          load,
          answers.size(),
          longest,
          recovered);
      assertThat(recovered).as("ms until sessions work").isLessThan(BACK_AGAIN_MILLIS);
    }
    assertThat(person.attributes().path("before").asString()).isEqualTo("1");
    for (int i = 0; i < before.size(); i++) {
      Footprint first = before.get(i);
      Backend backend = fleet.backends().get(i);
      await()
          .atMost(Duration.ofSeconds(20))
          .pollInterval(Duration.ofSeconds(2))
          .untilAsserted(() -> Footprint.of(backend).assertNotAbove(first));
    }
  }

  private static void begin(Fault fault, RedisLab redis, RedisServer primary) {
    switch (fault) {
      case KILLED -> primary.process().kill();
      case FROZEN -> primary.process().freeze();
      case PARTITIONED -> redis.cut(primary, true);
    }
  }

  private static void end(Fault fault, RedisLab redis, RedisServer primary) {
    switch (fault) {
      case KILLED -> primary.process().start();
      case FROZEN -> primary.process().thaw();
      case PARTITIONED -> redis.cut(primary, false);
    }
  }

  /** A key in the same slot as the person's session. */
  private static String key(Login login) {
    String id = login.cookie().substring(login.cookie().indexOf('=') + 1);
    return "conexor:{" + id.substring(0, 3) + "}:session:" + id;
  }

  private String awaitCause(RedisServer primary) {
    await()
        .atMost(Duration.ofSeconds(15))
        .pollInterval(Duration.ofMillis(100))
        .until(() -> health().contains(primary.address() + " does not answer"));
    return "/health names " + primary.address();
  }

  private String health() {
    HttpResponse<String> answer =
        Backend.send(
            HttpRequest.newBuilder(URI.create(fleet.backends().get(0).url() + "/health"))
                .header("X-API-Key", tenant.token()));
    return answer.body();
  }

  /** Moves the fleet to this topology if it is elsewhere. */
  private RedisLab on(Mode mode) {
    RedisLab redis = labs.get(mode);
    redis.mend(Duration.ofSeconds(40));
    if (now != mode) {
      labs.get(now).mend(Duration.ofSeconds(40));
      String swap =
          mode == Mode.CLUSTER ? "redis-sentinel redis-cluster" : "redis-cluster redis-sentinel";
      List<CompletableFuture<String>> running = new ArrayList<>();
      for (Backend each : fleet.backends()) {
        running.add(
            CompletableFuture.supplyAsync(() -> each.shell("feature:swap " + swap + " --migrate")));
      }
      running.forEach(CompletableFuture::join);
      now = mode;
    }
    return redis;
  }

  private static long millisSince(long nanos) {
    return (System.nanoTime() - nanos) / 1_000_000;
  }

  private static void pass(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (System.nanoTime() < end) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }
}
