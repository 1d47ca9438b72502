package io.conexor.hub.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.hub.Audience;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.node.NodeId;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.backplane.redis.RedisBackplane;
import io.conexor.itests.lab.RedisLab;
import io.conexor.itests.lab.RedisServer;
import io.conexor.redis.client.ClientSettings;
import io.conexor.resume.redis.RedisResumeStore;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** Backends that share a real Redis, and the unmodified JavaScript client. */
class SignalrOnRedisIT {
  private static final int MESSAGES = 1_000;
  private static final Duration LONG = Duration.ofSeconds(90);

  @BeforeAll
  static void install() throws Exception {
    JavaScript.install();
  }

  /** First a Redis primary dies while messages are sent, then the client's backend. */
  @ParameterizedTest
  @EnumSource(names = {"SENTINEL", "CLUSTER"})
  void a_connection_survives_the_death_of_a_redis_primary_and_of_its_backend(Mode mode)
      throws Exception {
    try (RedisLab lab = RedisLab.start(mode);
        HubFleet fleet = new HubFleet(2, Map.of(), new OnRedis(lab));
        Balancer balancer =
            new Balancer(List.of(fleet.backend(0).port(), fleet.backend(1).port()));
        JavaScript client =
            JavaScript.run(
                "resume.js",
                balancer.url("/hub/echo"),
                HubFleet.KEY,
                "json",
                Integer.toString(MESSAGES))) {
      awaitLine(client, "connected");
      String[] connected = client.lines().get(0).split(" ");
      HubFleet.Backend owner = backend(fleet, connected[2], true);
      HubFleet.Backend other = backend(fleet, connected[2], false);
      RedisServer primary = lab.primaryOf("conexor:{" + connected[1] + "}:resume");

      for (int i = 0; i < MESSAGES; i++) {
        var sent =
            other.echo.clients().send(new Audience.Connection(connected[1]), "told", List.of(i));
        if (i == 300) {
          primary.process().kill();
        } else if (i == 599 || i == 799) {
          sent.toCompletableFuture().join();
          awaitLine(client, "got " + (i + 1));
        } else if (i == 650) {
          owner.kill();
        }
        LockSupport.parkNanos(1_000_000);
      }

      assertThat(client.await(120)).as(client.output()).isZero();
      assertThat(client.lines()).contains("done on " + other.node.id());
    }
  }

  private static void awaitLine(JavaScript client, String start) {
    await(client.output())
        .atMost(LONG)
        .until(
            () ->
                client.lines().stream()
                    .anyMatch(line -> line.startsWith(start) || line.startsWith("failed")));
    assertThat(client.lines()).noneMatch(line -> line.startsWith("failed"));
  }

  private static HubFleet.Backend backend(HubFleet fleet, String node, boolean isIt) {
    return fleet.backends.stream()
        .filter(each -> each.node.id().value().equals(node) == isIt)
        .findFirst()
        .orElseThrow();
  }

  /** A client, a backplane and a store per backend, as processes have them. */
  private static final class OnRedis implements HubFleet.Shared {
    private record Node(RedissonClient client, RedisBackplane backplane) {}

    private final RedisLab lab;
    private final Map<NodeId, Node> nodes = new ConcurrentHashMap<>();

    OnRedis(RedisLab lab) {
      this.lab = lab;
    }

    private Node node(NodeId id) {
      return nodes.computeIfAbsent(
          id,
          key -> {
            RedissonClient client =
                Redisson.create(ClientSettings.defaults().toRedisson(lab.endpoints()));
            return new Node(
                client,
                new RedisBackplane(
                    key, client, lab.mode() == Mode.CLUSTER, RedisBackplane.Settings.defaults()));
          });
    }

    @Override
    public Backplane backplane(NodeId id) {
      return node(id).backplane();
    }

    @Override
    public Optional<ResumeStore> store(NodeId id) {
      return Optional.of(new RedisResumeStore(node(id).client()));
    }

    @Override
    public void kill(NodeId id) {
      Node node = nodes.remove(id);
      if (node != null) {
        node.backplane().close();
        node.client().shutdown();
      }
    }

    @Override
    public void close() {
      List.copyOf(nodes.keySet()).forEach(this::kill);
    }
  }
}
