package io.conexor.redis.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Secret;
import io.conexor.api.health.Health;
import io.conexor.api.redis.RedisEndpoints;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.itests.lab.RedisLab;
import io.conexor.itests.lab.RedisServer;
import io.conexor.itests.lab.SharedRedis;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;

/** What is wrong is said in one sentence, and mends itself. */
class RedisConnectionIT {

  private static final Duration SOON = Duration.ofSeconds(15);

  @RegisterExtension static final SharedRedis one = new SharedRedis(Mode.STANDALONE);
  @RegisterExtension static final SharedRedis sentinel = new SharedRedis(Mode.SENTINEL);
  @RegisterExtension static final SharedRedis cluster = new SharedRedis(Mode.CLUSTER);

  private final AtomicReference<RedissonClient> offered = new AtomicReference<>();
  private final AtomicInteger withdrawn = new AtomicInteger();
  private RedisConnection connection;

  @AfterEach
  void close() {
    connection.close(Duration.ZERO);
  }

  @Test
  void working_client_is_offered_once_and_withdrawn_before_it_is_shut_down() {
    connect(sentinel.lab().endpoints());
    await().atMost(SOON).until(() -> offered.get() != null);
    await().atMost(SOON).until(() -> connection.health().status() == Health.Status.HEALTHY);

    connection.close(Duration.ofMillis(800));

    assertThat(withdrawn).hasValue(1);
    offered.get().getBucket("still", StringCodec.INSTANCE).set("works");
    await().atMost(SOON).until(() -> offered.get().isShutdown());
  }

  @Test
  void wrong_topology_is_said_with_what_to_install() {
    assertComplaint(at(Mode.STANDALONE, cluster.lab().endpoints()), "install redis-cluster");
    assertComplaint(at(Mode.CLUSTER, one.lab().endpoints()), "install redis-sentinel");
    assertComplaint(at(Mode.SENTINEL, one.lab().endpoints()), "give the sentinels' addresses");
  }

  @Test
  void wrong_password_is_said_and_the_right_one_set_later_connects() throws Exception {
    RedisServer server = one.lab().servers().get(0);
    server.ask("CONFIG", "SET", "requirepass", "right");
    connect(one.lab().endpoints(Optional.of(new Secret("s3cret-wrong"))));
    await().atMost(SOON).until(() -> connection.health().reason().contains("user and password"));
    assertThat(connection.health().reason()).doesNotContain("s3cret-wrong");
    assertThat(offered.get()).isNull();

    server.process().kill(); // what CONFIG SET has set goes with it
    server.process().start();
    await()
        .atMost(SOON)
        .until(() -> server.says("OK", "CONFIG", "SET", "requirepass", "s3cret-wrong"));
    await().atMost(SOON).until(() -> offered.get() != null);
    server.process().kill();
  }

  @Test
  void server_that_comes_late_is_found_without_a_restart() {
    RedisServer server = one.lab().servers().get(0);
    server.process().kill();
    connect(one.lab().endpoints());
    await().atMost(SOON).until(() -> connection.health().reason().contains("no server answers"));

    server.process().start();

    await().atMost(SOON).until(() -> offered.get() != null);
  }

  @Test
  void health_names_what_broke_and_forgets_it_when_it_is_mended() throws Exception {
    connect(one.lab().endpoints());
    RedisServer server = one.lab().servers().get(0);
    await().atMost(SOON).until(() -> connection.health().status() == Health.Status.HEALTHY);

    server.ask("CONFIG", "SET", "maxmemory", "1");
    await().atMost(SOON).until(() -> connection.health().reason().contains("OOM"));
    server.ask("CONFIG", "SET", "maxmemory", "0");
    server.ask("CONFIG", "SET", "min-replicas-to-write", "1");
    await().atMost(SOON).until(() -> connection.health().reason().contains("NOREPLICAS"));
    server.ask("CONFIG", "SET", "min-replicas-to-write", "0");
    server.process().freeze();
    await().atMost(SOON).until(() -> connection.health().reason().contains("does not answer"));
    server.process().thaw();

    await().atMost(SOON).until(() -> connection.health().status() == Health.Status.HEALTHY);
  }

  private void assertComplaint(RedisEndpoints endpoints, String expected) {
    connect(endpoints);
    await()
        .atMost(SOON)
        .untilAsserted(() -> assertThat(connection.health().reason()).contains(expected));
    assertThat(offered.get()).isNull();
    connection.close(Duration.ZERO);
  }

  private void connect(RedisEndpoints endpoints) {
    connection =
        new RedisConnection(
            endpoints,
            ClientSettings.defaults(),
            client -> {
              offered.set(client);
              return withdrawn::incrementAndGet;
            },
            client -> "");
  }

  private static RedisEndpoints at(Mode mode, RedisEndpoints real) {
    List<URI> addresses =
        mode == Mode.STANDALONE ? real.addresses().subList(0, 1) : real.addresses();
    return new RedisLab.Described(mode, addresses, Optional.empty());
  }
}
