package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.itests.lab.Binaries;
import io.conexor.itests.lab.LabNetwork;
import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** Patroni nodes around one etcd, ttl 5, loop 1, retry 2; synchronous unless said otherwise. */
public final class PatroniLab implements AutoCloseable {

  private final Path folder;
  private final boolean isSynchronous;
  private final @Nullable LabNetwork network;
  private final LabProcess etcd;
  private final List<PatroniNode> nodes = new ArrayList<>();

  private PatroniLab(
      Path folder, boolean isSynchronous, @Nullable LabNetwork network, LabProcess etcd) {
    this.folder = folder;
    this.isSynchronous = isSynchronous;
    this.network = network;
    this.etcd = etcd;
  }

  /** Started, with a leader and, if there are several nodes, a synchronous standby. */
  public static PatroniLab start(int count) {
    return start(count, true, null);
  }

  /** The same, asynchronous. */
  public static PatroniLab startAsynchronous(int count) {
    return start(count, false, null);
  }

  /** Synchronous, with each node, and etcd, on a host of its own. */
  public static PatroniLab startOnHosts(int count) {
    LabNetwork network = LabNetwork.open();
    try {
      return start(count, true, network);
    } catch (RuntimeException e) {
      network.close();
      throw e;
    }
  }

  private static PatroniLab start(int count, boolean isSynchronous, @Nullable LabNetwork network) {
    Account.program("postgres");
    Path patroni = Binaries.require("patroni");
    Path etcdProgram = Binaries.require("etcd");
    Path folder = Account.folder("conexor-patroni-");
    List<Integer> ports = LabProcess.freePorts(2 + 2 * count);
    String etcdHost = host(network);
    String client = "http://" + etcdHost + ":" + ports.get(0);
    String peer = "http://" + etcdHost + ":" + ports.get(1);
    LabProcess etcd =
        new LabProcess(
            "etcd",
            folder,
            command(
                network,
                etcdHost,
                List.of(
                    etcdProgram.toString(),
                    "--name",
                    "e1",
                    "--data-dir",
                    folder.resolve("etcd").toString(),
                    "--listen-client-urls",
                    client,
                    "--advertise-client-urls",
                    client,
                    "--listen-peer-urls",
                    peer,
                    "--initial-advertise-peer-urls",
                    peer,
                    "--initial-cluster",
                    "e1=" + peer,
                    "--unsafe-no-fsync",
                    "--log-level",
                    "error")));
    PatroniLab lab = new PatroniLab(folder, isSynchronous, network, etcd);
    try {
      etcd.start();
      for (int i = 0; i < count; i++) {
        String name = "n" + (i + 1);
        String host = host(network);
        int port = ports.get(2 + 2 * i);
        int rest = ports.get(3 + 2 * i);
        Path home = folder.resolve(name);
        Files.createDirectories(home);
        Path settings = folder.resolve(name + ".yml");
        Files.writeString(
            settings,
            yml(name, home, host, port, rest, etcdHost + ":" + ports.get(0), isSynchronous));
        lab.nodes.add(
            new PatroniNode(
                name,
                home.resolve("data"),
                host,
                port,
                rest,
                new LabProcess(
                    name,
                    folder,
                    command(network, host, List.of(patroni.toString(), settings.toString())))));
      }
      Account.own(folder);
      lab.nodes.forEach(PatroniNode::start);
      await("a leader", lab, () -> lab.leader().isPresent());
      lab.leader()
          .orElseThrow()
          .execute(
              "create role conexor login password 'none'",
              "grant pg_monitor to conexor",
              "create database conexor owner conexor");
      lab.heal();
      return lab;
    } catch (IOException e) {
      lab.close();
      throw new UncheckedIOException(e);
    } catch (RuntimeException e) {
      lab.close();
      throw e;
    }
  }

  private static String host(@Nullable LabNetwork network) {
    return network == null ? "127.0.0.1" : network.addHost();
  }

  private static List<String> command(
      @Nullable LabNetwork network, String host, List<String> command) {
    List<String> all = new ArrayList<>();
    if (network != null) {
      all.addAll(network.prefix(host));
    }
    all.addAll(Account.command(command));
    return all;
  }

  private static String yml(
      String name, Path home, String host, int port, int rest, String etcd, boolean isSynchronous) {
    return """
    scope: lab
    namespace: /service/
    name: %1$s
    restapi: {listen: "%7$s:%4$d", connect_address: "%7$s:%4$d"}
    etcd3: {hosts: "%5$s"}
    bootstrap:
      dcs:
        ttl: 5
        loop_wait: 1
        retry_timeout: 2
        primary_start_timeout: 0
        maximum_lag_on_failover: 1048576
        synchronous_mode: %8$s
        postgresql:
          use_pg_rewind: true
          use_slots: true
          parameters: {wal_log_hints: "on", hot_standby: "on", max_connections: 100}
      initdb: [{encoding: UTF8}, data-checksums, no-sync]
    postgresql:
      listen: %7$s:%3$d
      connect_address: %7$s:%3$d
      data_dir: %2$s/data
      bin_dir: %6$s
      pgpass: %2$s/pgpass
      basebackup: [{checkpoint: fast}, no-sync]
      authentication:
        replication: {username: replicator, password: replpw}
        superuser: {username: postgres, password: superpw}
        rewind: {username: rewinder, password: rewindpw}
      pg_hba:
        - local all all trust
        - host all all 0.0.0.0/0 trust
        - host replication all 0.0.0.0/0 trust
      parameters:
        unix_socket_directories: %2$s
        shared_buffers: 32MB
        fsync: "off"
        wal_sender_timeout: 5s
        wal_receiver_timeout: 5s
        tcp_user_timeout: 5s
        max_standby_streaming_delay: 1s
    """
        .formatted(name, home, port, rest, etcd, Account.BIN, host, isSynchronous);
  }

  public boolean isSynchronous() {
    return isSynchronous;
  }

  public List<PatroniNode> nodes() {
    return List.copyOf(nodes);
  }

  public DatabaseEndpoints endpoints() {
    return StreamingLab.endpoints(nodes.stream().map(PatroniNode::endpoint).toList());
  }

  /** With the REST APIs too. */
  public DatabaseEndpoints endpointsWithPatroni(List<PatroniNode> servers) {
    return StreamingLab.endpoints(
        servers.stream().map(PatroniNode::endpoint).toList(),
        nodes.stream().map(PatroniNode::rest).toList());
  }

  /** Takes the host of a node off the net, or puts it back; everything on it runs on. */
  public void cut(PatroniNode node, boolean off) {
    if (network == null) {
      throw new IllegalStateException("not on hosts of their own");
    }
    network.cut(node.endpoint().host(), off);
  }

  public Optional<PatroniNode> leader() {
    return nodes.stream().filter(node -> node.is("/primary")).findFirst();
  }

  /** Everything runs and a synchronous standby is known to Patroni: without that nobody follows. */
  public void heal() {
    if (network != null) {
      nodes.forEach(node -> cut(node, false));
    }
    for (PatroniNode node : nodes) {
      node.thaw();
      if (node.wasFrozen()) {
        // it may do what harm it can
        LockSupport.parkNanos(TimeUnit.SECONDS.toNanos(3));
        node.close();
      }
      if (node.request("GET", "/liveness", "") == 0) {
        node.close();
        node.start();
      }
    }
    await("a leader", this, () -> leader().isPresent());
    if (nodes.size() > 1) {
      await(
          "a standby",
          this,
          () ->
              (!isSynchronous || nodes.stream().anyMatch(node -> node.is("/sync")))
                  && nodes.stream().filter(node -> node.is("/replica")).count()
                      == nodes.size() - 1);
    }
  }

  /** By Patroni, in order. */
  public void switchover() {
    PatroniNode from = leader().orElseThrow();
    int status = from.request("POST", "/switchover", "{\"leader\": \"" + from.name() + "\"}");
    if (status != 200) {
      throw new IllegalStateException("switchover: " + status);
    }
  }

  /** When, by {@link System#nanoTime}, another than this takes writes. */
  public long awaitPromotion(PatroniNode other) {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
    while (true) {
      for (PatroniNode node : nodes) {
        if (node != other && node.isWritable()) {
          return System.nanoTime();
        }
      }
      if (System.nanoTime() - giveUp > 0) {
        throw new IllegalStateException("nobody was promoted\n" + outputs());
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  private static void await(String what, PatroniLab lab, BooleanSupplier condition) {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - giveUp > 0) {
        throw new IllegalStateException(what + " is missing" + "\n" + lab.outputs());
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
    }
  }

  private String outputs() {
    StringBuilder all = new StringBuilder(etcd.output());
    nodes.forEach(node -> all.append('\n').append(node).append(":\n").append(node.output()));
    return all.toString();
  }

  @Override
  public void close() {
    nodes.forEach(PatroniNode::close);
    etcd.close();
    if (network != null) {
      network.close();
    }
    Account.delete(folder);
  }
}
