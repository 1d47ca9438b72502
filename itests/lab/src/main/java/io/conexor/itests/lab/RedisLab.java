package io.conexor.itests.lab;

import io.conexor.api.Secret;
import io.conexor.api.redis.RedisEndpoints;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A Redis installation of real processes: Sentinel (one primary, two replicas, three sentinels),
 * Cluster (three primaries, three replicas), or one server. It is ready when {@code start} returns.
 */
public final class RedisLab implements AutoCloseable {

  private static final String MASTER = "conexor-lab";
  private static final String LOOPBACK = "127.0.0.1";

  private final RedisEndpoints.Mode mode;
  private final Path directory;
  private final int detectionMillis;
  private final @Nullable LabNetwork network;
  private final Thread atExit = new Thread(this::stop, "lab-redis-stop");
  private final List<RedisServer> servers = new ArrayList<>();
  private final List<RedisServer> sentinels = new ArrayList<>();

  private RedisLab(RedisEndpoints.Mode mode, int detectionMillis, @Nullable LabNetwork network) {
    this.mode = mode;
    this.network = network;
    this.detectionMillis = detectionMillis;
    Binaries.require("redis-server");
    try {
      this.directory = Files.createTempDirectory("conexor-lab-redis-");
      Runtime.getRuntime().addShutdownHook(atExit);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts an installation whose failure detection takes one second. */
  public static RedisLab start(RedisEndpoints.Mode mode, String... redisOptions) {
    return start(mode, 1_000, redisOptions);
  }

  /**
   * @param detectionMillis down-after-milliseconds, or cluster-node-timeout
   * @param redisOptions name and value in turn, for every server that holds data
   */
  public static RedisLab start(
      RedisEndpoints.Mode mode, int detectionMillis, String... redisOptions) {
    return start(new RedisLab(mode, detectionMillis, null), redisOptions);
  }

  /**
   * Starts an installation whose servers have a network namespace each, so that {@link #cut} can
   * take one off the net with its sockets open. A test is aborted where that is not allowed.
   */
  public static RedisLab startOnNetwork(RedisEndpoints.Mode mode, String... redisOptions) {
    return start(new RedisLab(mode, 1_000, LabNetwork.open()), redisOptions);
  }

  private static RedisLab start(RedisLab lab, String... redisOptions) {
    try {
      switch (lab.mode) {
        case STANDALONE -> lab.startServers(1, List.of(redisOptions));
        case SENTINEL -> lab.startSentinel(List.of(redisOptions));
        case CLUSTER -> lab.startCluster(List.of(redisOptions));
      }
      return lab;
    } catch (IOException | RuntimeException e) {
      lab.close();
      throw new IllegalStateException("the lab's Redis did not start", e);
    }
  }

  public RedisEndpoints.Mode mode() {
    return mode;
  }

  /** The servers that hold data. */
  public List<RedisServer> servers() {
    return List.copyOf(servers);
  }

  public List<RedisServer> sentinels() {
    return List.copyOf(sentinels);
  }

  /** The servers that are primaries now. */
  public List<RedisServer> primaries() {
    return servers.stream().filter(RedisServer::isPrimary).toList();
  }

  /** The primary that answers for the key now. */
  public RedisServer primaryOf(String key) {
    if (mode != RedisEndpoints.Mode.CLUSTER) {
      return primaries().get(0);
    }
    for (RedisServer each : primaries()) {
      if (!each.says("MOVED", "GET", key) && !each.says("CLUSTERDOWN", "GET", key)) {
        return each;
      }
    }
    throw new IllegalStateException("no primary has the slot of " + key);
  }

  /** Waits until every server is up, has its role and is in step. */
  public void awaitHealthy(Duration limit) {
    await("all servers healthy", limit, this::isHealthy);
  }

  /** Changes the time after which a silent server counts as down. */
  public void detectAfter(Duration silence) {
    String millis = Long.toString(silence.toMillis());
    for (RedisServer each : sentinels) {
      must(each, "SENTINEL", "SET", MASTER, "down-after-milliseconds", millis);
    }
    if (mode == RedisEndpoints.Mode.CLUSTER) {
      servers.forEach(each -> must(each, "CONFIG", "SET", "cluster-node-timeout", millis));
    }
  }

  private static void must(RedisServer server, String... command) {
    await(
        server + ": " + String.join(" ", command),
        Duration.ofSeconds(10),
        () -> server.says("OK", command));
  }

  /** Thaws what is frozen, starts what is dead, and waits until all is healthy. */
  public void mend(Duration limit) {
    for (RedisServer each : Stream.concat(servers.stream(), sentinels.stream()).toList()) {
      if (each.process().isAlive()) {
        each.process().thaw();
      } else {
        each.process().start();
      }
    }
    await(
        "all servers healthy",
        limit,
        () -> {
          demoteFormerPrimaries();
          return isHealthy();
        });
  }

  /** The sentinels do it too, after ten seconds. */
  private void demoteFormerPrimaries() {
    if (mode != RedisEndpoints.Mode.SENTINEL || primaries().size() < 2) {
      return;
    }
    try {
      String known = sentinels.get(0).ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER);
      for (RedisServer each : primaries()) {
        if (!known.contains(Integer.toString(each.port()))) {
          String[] primary = known.substring(1, known.length() - 1).split(", ");
          each.ask("REPLICAOF", primary[0], primary[1]);
        }
      }
    } catch (IOException e) {
      // asked again with the next look
    }
  }

  /** Takes a server off the net, or brings it back; whoever talks to it hears nothing more. */
  public void cut(RedisServer server, boolean off) {
    if (network == null) {
      throw new IllegalStateException("start it with startOnNetwork");
    }
    network.cut(server.host(), off);
  }

  /** How a backend reaches it. */
  public RedisEndpoints endpoints() {
    return endpoints(Optional.empty());
  }

  public RedisEndpoints endpoints(Optional<Secret> password) {
    List<URI> addresses =
        (sentinels.isEmpty() ? servers : sentinels)
            .stream().map(s -> URI.create("redis://" + s.address())).toList();
    return new Described(mode, addresses, password);
  }

  /** A description as an operator would give it. */
  public record Described(RedisEndpoints.Mode mode, List<URI> addresses, Optional<Secret> password)
      implements RedisEndpoints {
    @Override
    public Optional<String> master() {
      return mode == Mode.SENTINEL ? Optional.of(MASTER) : Optional.empty();
    }

    @Override
    public int database() {
      return 0;
    }

    @Override
    public Login login() {
      return new Login(Optional.empty(), password);
    }

    @Override
    public Login sentinelLogin() {
      return new Login(Optional.empty(), Optional.empty());
    }

    @Override
    public Tls tls() {
      return new Tls(true, Optional.empty(), Optional.empty());
    }
  }

  @Override
  public void close() {
    Runtime.getRuntime().removeShutdownHook(atExit);
    stop();
  }

  private void stop() {
    sentinels.forEach(s -> s.process().close());
    servers.forEach(s -> s.process().close());
    if (network != null) {
      network.close();
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void startServers(int count, List<String> options) throws IOException {
    List<Integer> ports = LabProcess.freePorts(count * 2);
    List<String> hosts = hosts(count);
    for (int i = 0; i < count; i++) {
      int port = ports.get(i);
      List<String> lines = new ArrayList<>(option("port", port));
      lines.addAll(option("bind", hosts.get(i)));
      lines.addAll(option("protected-mode", "no"));
      lines.addAll(option("appendonly", "yes"));
      lines.addAll(option("appendfsync", "everysec"));
      lines.addAll(option("save", "''"));
      lines.addAll(option("repl-diskless-sync-delay", 0));
      lines.addAll(option("repl-timeout", 5));
      if (mode == RedisEndpoints.Mode.CLUSTER) {
        lines.addAll(option("cluster-enabled", "yes"));
        lines.addAll(option("cluster-config-file", "nodes.conf"));
        lines.addAll(option("cluster-node-timeout", detectionMillis));
        lines.addAll(option("cluster-port", ports.get(count + i)));
      }
      if (mode == RedisEndpoints.Mode.SENTINEL && i > 0) {
        lines.addAll(option("replicaof", hosts.get(0) + " " + ports.get(0)));
      }
      for (int o = 0; o < options.size(); o += 2) {
        lines.addAll(option(options.get(o), options.get(o + 1)));
      }
      servers.add(server("redis-" + i, hosts.get(i), port, lines, List.of()));
    }
    for (RedisServer each : servers) {
      await(each + " answers", Duration.ofSeconds(10), () -> each.says("PONG", "PING"));
    }
  }

  private void startSentinel(List<String> options) throws IOException {
    startServers(3, options);
    // Sentinels started before the replicas are in step need ten seconds to find them.
    for (RedisServer replica : servers.subList(1, 3)) {
      await(
          replica + " in step",
          Duration.ofSeconds(10),
          () -> replica.says("master_link_status:up", "INFO", "replication"));
    }
    List<Integer> ports = LabProcess.freePorts(3);
    List<String> hosts = hosts(3);
    for (int i = 0; i < 3; i++) {
      List<String> lines = new ArrayList<>(option("port", ports.get(i)));
      lines.addAll(option("bind", hosts.get(i)));
      lines.addAll(option("protected-mode", "no"));
      RedisServer first = servers.get(0);
      lines.addAll(
          option("sentinel monitor", MASTER + " " + first.host() + " " + first.port() + " 2"));
      lines.addAll(option("sentinel down-after-milliseconds", MASTER + " " + detectionMillis));
      lines.addAll(option("sentinel failover-timeout", MASTER + " 5000"));
      lines.addAll(option("sentinel parallel-syncs", MASTER + " 2"));
      sentinels.add(
          server("sentinel-" + i, hosts.get(i), ports.get(i), lines, List.of("--sentinel")));
    }
    awaitHealthy(Duration.ofSeconds(30));
  }

  private void startCluster(List<String> options) throws IOException {
    startServers(6, options);
    List<String> command =
        new ArrayList<>(List.of(Binaries.require("redis-cli").toString(), "--cluster", "create"));
    servers.forEach(s -> command.add(s.address()));
    command.addAll(List.of("--cluster-replicas", "1", "--cluster-yes"));
    try (LabProcess create = new LabProcess("create", directory, command).start()) {
      await(
          "the cluster is made",
          Duration.ofSeconds(30),
          () -> create.output().contains("All 16384 slots covered"));
    }
    awaitHealthy(Duration.ofSeconds(30));
  }

  private boolean isHealthy() {
    return switch (mode) {
      case STANDALONE -> servers.get(0).says("PONG", "PING");
      case SENTINEL ->
          primaries().size() == 1
              && servers.stream()
                  .filter(s -> !s.isPrimary())
                  .allMatch(s -> s.says("master_link_status:up", "INFO", "replication"))
              && sentinels.stream()
                  .allMatch(
                      s ->
                          s.says("OK 3", "SENTINEL", "CKQUORUM", MASTER)
                              && s.says("num-slaves, 2", "SENTINEL", "MASTER", MASTER));
      case CLUSTER ->
          primaries().size() == 3
              && servers.stream()
                  .allMatch(
                      s ->
                          s.says("cluster_state:ok", "CLUSTER", "INFO")
                              && s.says("cluster_known_nodes:6", "CLUSTER", "INFO")
                              && (s.isPrimary()
                                  || s.says("master_link_status:up", "INFO", "replication")));
    };
  }

  private List<String> hosts(int count) {
    List<String> hosts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      hosts.add(network == null ? LOOPBACK : network.addHost());
    }
    return hosts;
  }

  private RedisServer server(
      String name, String host, int port, List<String> lines, List<String> flags)
      throws IOException {
    Path own = Files.createDirectory(directory.resolve(name));
    Path file = own.resolve("redis.conf");
    List<String> all = new ArrayList<>(lines);
    all.addAll(option("dir", own.toString()));
    Files.write(file, all);
    List<String> command = new ArrayList<>();
    if (network != null) {
      command.addAll(network.prefix(host));
    }
    // Redis shares this machine with whatever is tested. When it is starved it fails over, which
    // would be a fault nobody asked for. Without the right to it, nice warns and goes on.
    command.addAll(List.of("nice", "-n", "-10"));
    command.add(Binaries.require("redis-server").toString());
    command.add(file.toString());
    command.addAll(flags);
    RedisServer made = new RedisServer(name, own, host, port, command);
    made.process().start();
    return made;
  }

  private static List<String> option(String name, Object value) {
    return List.of(name + " " + value);
  }

  static void await(String what, Duration limit, BooleanSupplier condition) {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - end > 0) {
        throw new IllegalStateException("waited " + limit + " in vain: " + what);
      }
      java.util.concurrent.locks.LockSupport.parkNanos(20_000_000);
    }
  }
}
