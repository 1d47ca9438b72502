package io.conexor.redis.client;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.conexor.api.health.Health;
import io.conexor.api.redis.RedisEndpoints;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.redisson.api.redisnode.RedisNode;
import org.redisson.api.redisnode.RedisNodeAsync;
import org.redisson.api.redisnode.RedisNodes;
import org.redisson.client.codec.StringCodec;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connects to one installation, keeps trying until it can, and then watches it. All state belongs
 * to the one thread of {@code loop}; only {@code health} is read by others.
 */
final class RedisConnection {

  private static final Logger log = LoggerFactory.getLogger(RedisConnection.class);
  private static final Duration PROBE_INTERVAL = Duration.ofSeconds(2);
  private static final Duration PROBE_LIMIT = Duration.ofMillis(900);
  private static final long FIRST_RETRY_MILLIS = 250;
  private static final long LONGEST_RETRY_MILLIS = 5_000;

  private enum State {
    CONNECTING,
    CONNECTED,
    CLOSED
  }

  private final RedisEndpoints endpoints;
  private final ClientSettings settings;
  private final Function<RedissonClient, Runnable> offer;
  private final Function<RedissonClient, String> beat;
  private final String name;
  private final ScheduledExecutorService loop;

  private State state = State.CONNECTING;
  private int failures;
  private @Nullable RedissonClient client;
  private @Nullable Runnable withdraw;
  private Map<String, Long> evicted = Map.of();

  // Written by the loop, read by whoever asks for the health.
  private volatile Health health;

  /**
   * @param offer makes a connected client known; what it returns takes that back
   * @param beat called every two seconds while connected; answers what is wrong, or an empty text
   */
  RedisConnection(
      RedisEndpoints endpoints,
      ClientSettings settings,
      Function<RedissonClient, Runnable> offer,
      Function<RedissonClient, String> beat) {
    this.endpoints = endpoints;
    this.settings = settings;
    this.offer = offer;
    this.beat = beat;
    this.name =
        endpoints.mode().name().toLowerCase(Locale.ROOT)
            + " "
            + endpoints.addresses().stream()
                .map(ClientSettings::plain)
                .collect(Collectors.joining(","));
    this.health = Health.degraded("connecting to Redis " + name, Map.of("mode", mode()));
    this.loop =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-redis-client-" + mode());
              thread.setDaemon(true);
              return thread;
            });
    loop.execute(this::connect);
  }

  Health health() {
    return health;
  }

  /**
   * Takes the client back, waits while calls that were begun on it finish, and shuts it down.
   *
   * @param drain how long calls in flight may take
   */
  void close(Duration drain) {
    CompletableFuture<Void> withdrawn = new CompletableFuture<>();
    try {
      loop.execute(
          () -> {
            become(State.CLOSED, "withdrawn");
            if (withdraw != null) {
              withdraw.run();
              withdraw = null;
            }
            withdrawn.complete(null);
          });
      // What runs before it may be an attempt to connect, which is bounded by its own timeouts.
      withdrawn.get(2, SECONDS);
      var unused = loop.schedule(this::shutDown, drain.toNanos(), NANOSECONDS);
      loop.shutdown();
    } catch (RejectedExecutionException e) {
      log.debug("redis {} is closed already", name);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      loop.shutdown();
    } catch (ExecutionException | TimeoutException e) {
      log.warn("redis {} was closed while it was busy connecting", name);
      loop.shutdown();
    }
  }

  private void shutDown() {
    RedissonClient old = client;
    client = null;
    if (old != null) {
      old.shutdown(0, 2, SECONDS);
    }
  }

  private void connect() {
    if (state != State.CONNECTING) {
      return;
    }
    RedissonClient made = null;
    try {
      made = Redisson.create(settings.toRedisson(endpoints));
      List<NodeFacts> nodes = look(made);
      Complaint.about(endpoints.mode(), nodes)
          .ifPresent(
              complaint -> {
                throw new IllegalStateException(complaint);
              });
      client = made;
      failures = 0;
      health = judge(made, nodes);
      become(State.CONNECTED, nodes.size() + " servers");
      withdraw = offer.apply(made);
      again(this::probe, 0);
    } catch (RuntimeException | LinkageError e) {
      if (made != null) {
        made.shutdown(0, 1, SECONDS);
      }
      failed(Complaint.inWords(endpoints, e));
    }
  }

  private void failed(String why) {
    failures++;
    long cap = Math.min(LONGEST_RETRY_MILLIS, FIRST_RETRY_MILLIS << Math.min(failures, 6));
    long delay = ThreadLocalRandom.current().nextLong(cap / 2, cap);
    if (Integer.bitCount(failures) == 1) {
      log.warn("redis {}: {} (attempt {}); trying again", name, why, failures);
    }
    health = Health.degraded("Redis " + name + ": " + why, Map.of("mode", mode()));
    again(this::connect, delay);
  }

  private void probe() {
    RedissonClient current = client;
    if (state != State.CONNECTED || current == null) {
      return;
    }
    try {
      Health before = health;
      Health now = judge(current, look(current));
      String stray = beat.apply(current);
      if (!stray.isEmpty()) {
        now = Health.unhealthy("Redis " + name + ": " + stray, now.details());
      }
      health = now;
      if (!before.reason().equals(now.reason())) {
        log.info("redis {} is {}: {}", name, now.status(), now.reason());
      }
    } catch (RuntimeException e) {
      health =
          Health.degraded(
              "Redis " + name + ": " + Complaint.inWords(endpoints, e), Map.of("mode", mode()));
    }
    again(this::probe, PROBE_INTERVAL.toMillis());
  }

  private Health judge(RedissonClient at, List<NodeFacts> nodes) {
    Health found = Diagnosis.of(mode(), nodes, refusal(at), evicted);
    Map<String, Long> counts = new HashMap<>();
    nodes.forEach(n -> counts.put(n.address(), n.number("evicted_keys")));
    evicted = counts;
    return found;
  }

  /** What a small write is refused with, or empty; silence is judged by the INFO of the nodes. */
  private String refusal(RedissonClient at) {
    try {
      at.getBucket("conexor:probe", StringCodec.INSTANCE)
          .setAsync("1", Duration.ofMinutes(1))
          .toCompletableFuture()
          .get(PROBE_LIMIT.toMillis(), MILLISECONDS);
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    } catch (TimeoutException e) {
      return "no answer in " + PROBE_LIMIT.toMillis() + " ms";
    } catch (ExecutionException e) {
      return Complaint.inWords(endpoints, e.getCause() == null ? e : e.getCause());
    }
  }

  /** A server as the client lists it. */
  private record Node(InetSocketAddress address, boolean primary, RedisNodeAsync ask) {}

  private List<NodeFacts> look(RedissonClient at) {
    List<Node> nodes = new ArrayList<>();
    switch (endpoints.mode()) {
      case STANDALONE -> {
        var server = at.getRedisNodes(RedisNodes.SINGLE).getInstance();
        nodes.add(new Node(server.getAddr(), true, server));
      }
      case SENTINEL -> {
        var known = at.getRedisNodes(RedisNodes.SENTINEL_MASTER_SLAVE);
        known.getSlaves().forEach(n -> nodes.add(new Node(n.getAddr(), false, n)));
        nodes.add(new Node(known.getMaster().getAddr(), true, known.getMaster()));
      }
      case CLUSTER -> {
        var known = at.getRedisNodes(RedisNodes.CLUSTER);
        known.getSlaves().forEach(n -> nodes.add(new Node(n.getAddr(), false, n)));
        known.getMasters().forEach(n -> nodes.add(new Node(n.getAddr(), true, n)));
      }
    }
    List<CompletableFuture<Map<String, String>>> answers = new ArrayList<>();
    nodes.forEach(
        n -> answers.add(n.ask().infoAsync(RedisNode.InfoSection.ALL).toCompletableFuture()));
    long end = System.nanoTime() + PROBE_LIMIT.toNanos();
    Map<String, NodeFacts> facts = new HashMap<>();
    for (int i = 0; i < nodes.size(); i++) {
      Node node = nodes.get(i);
      String address = node.address().getHostString() + ":" + node.address().getPort();
      Map<String, String> info = answerOr(answers.get(i), end - System.nanoTime());
      facts.merge(
          address,
          new NodeFacts(address, node.primary(), info),
          (a, b) -> a.listedAsPrimary() ? a : b);
    }
    List<NodeFacts> sorted = new ArrayList<>(facts.values());
    sorted.sort(Comparator.comparing(NodeFacts::address));
    return sorted;
  }

  private static Map<String, String> answerOr(
      CompletableFuture<Map<String, String>> answer, long nanos) {
    try {
      Map<String, String> info = answer.get(Math.max(0, nanos), NANOSECONDS);
      return info == null ? Map.of() : info;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Map.of();
    } catch (ExecutionException | TimeoutException e) {
      return Map.of();
    }
  }

  private void again(Runnable what, long millis) {
    if (state != State.CLOSED) {
      try {
        var unused = loop.schedule(what, millis, MILLISECONDS);
      } catch (RejectedExecutionException e) {
        log.debug("redis {} was closed meanwhile", name);
      }
    }
  }

  private String mode() {
    return endpoints.mode().name().toLowerCase(Locale.ROOT);
  }

  private void become(State next, String why) {
    if (state != next) {
      log.info("redis {} -> {}: {}", name, next, why);
      state = next;
    }
  }
}
