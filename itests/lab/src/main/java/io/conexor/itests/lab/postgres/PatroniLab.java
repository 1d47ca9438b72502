package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.itests.lab.Binaries;
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

/** Patroni nodes around one etcd, ttl 5, loop 1, retry 2; synchronous unless said otherwise. */
public final class PatroniLab implements AutoCloseable {

  private final Path folder;
  private final LabProcess etcd;
  private final List<PatroniNode> nodes = new ArrayList<>();

  private PatroniLab(Path folder, LabProcess etcd) {
    this.folder = folder;
    this.etcd = etcd;
  }

  /** Started, with a leader and, if there are several nodes, a synchronous standby. */
  public static PatroniLab start(int count) {
    Account.program("postgres");
    Path patroni = Binaries.require("patroni");
    Path etcdProgram = Binaries.require("etcd");
    Path folder = Account.folder("conexor-patroni-");
    List<Integer> ports = LabProcess.freePorts(2 + 2 * count);
    String client = "http://127.0.0.1:" + ports.get(0);
    String peer = "http://127.0.0.1:" + ports.get(1);
    LabProcess etcd =
        new LabProcess(
            "etcd",
            folder,
            Account.command(
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
    PatroniLab lab = new PatroniLab(folder, etcd);
    try {
      etcd.start();
      for (int i = 0; i < count; i++) {
        String name = "n" + (i + 1);
        int port = ports.get(2 + 2 * i);
        int rest = ports.get(3 + 2 * i);
        Path home = folder.resolve(name);
        Files.createDirectories(home);
        Path settings = folder.resolve(name + ".yml");
        Files.writeString(settings, yml(name, home, port, rest, ports.get(0)));
        lab.nodes.add(
            new PatroniNode(
                name,
                home.resolve("data"),
                "127.0.0.1",
                port,
                rest,
                new LabProcess(
                    name,
                    folder,
                    Account.command(List.of(patroni.toString(), settings.toString())))));
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

  private static String yml(String name, Path home, int port, int rest, int etcd) {
    return """
    scope: lab
    namespace: /service/
    name: %1$s
    restapi: {listen: "127.0.0.1:%4$d", connect_address: "127.0.0.1:%4$d"}
    etcd3: {hosts: "127.0.0.1:%5$d"}
    bootstrap:
      dcs:
        ttl: 5
        loop_wait: 1
        retry_timeout: 2
        primary_start_timeout: 0
        maximum_lag_on_failover: 1048576
        synchronous_mode: true
        postgresql:
          use_pg_rewind: true
          use_slots: true
          parameters: {wal_log_hints: "on", hot_standby: "on", max_connections: 100}
      initdb: [{encoding: UTF8}, data-checksums, no-sync]
    postgresql:
      listen: 127.0.0.1:%3$d
      connect_address: 127.0.0.1:%3$d
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
        - host all all 127.0.0.1/32 trust
        - host replication all 127.0.0.1/32 trust
      parameters:
        unix_socket_directories: %2$s
        shared_buffers: 32MB
        fsync: "off"
        wal_sender_timeout: 5s
        wal_receiver_timeout: 5s
        max_standby_streaming_delay: 1s
    """
        .formatted(name, home, port, rest, etcd, Account.BIN);
  }

  public List<PatroniNode> nodes() {
    return List.copyOf(nodes);
  }

  public DatabaseEndpoints endpoints() {
    return StreamingLab.endpoints(nodes.stream().map(PatroniNode::endpoint).toList());
  }

  public Optional<PatroniNode> leader() {
    return nodes.stream().filter(node -> node.is("/primary")).findFirst();
  }

  /** Everything runs and a synchronous standby is known to Patroni: without that nobody follows. */
  public void heal() {
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
          "a synchronous standby",
          this,
          () ->
              nodes.stream().anyMatch(node -> node.is("/sync"))
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
    Account.delete(folder);
  }
}
