package io.conexor.itests.lab.postgres;

import io.conexor.api.Secret;
import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.itests.lab.LabProcess;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A primary and its replicas, joined by plain streaming replication; nobody fails over by itself.
 */
public final class StreamingLab implements AutoCloseable {

  private static final List<String> SETTINGS =
      List.of(
          "fsync=off",
          "max_connections=120",
          "shared_buffers=32MB",
          "wal_log_hints=on",
          "wal_keep_size=256MB",
          "wal_retrieve_retry_interval=100ms",
          "wal_receiver_timeout=5s",
          "wal_sender_timeout=5s",
          "max_standby_streaming_delay=1s",
          "log_min_messages=warning");

  private final Path folder;
  private final List<PgServer> servers = new ArrayList<>();

  private StreamingLab(Path folder) {
    this.folder = folder;
  }

  /**
   * Started, with every replica streaming.
   *
   * @param more settings of PostgreSQL, {@code name=value}
   */
  public static StreamingLab start(int replicas, String... more) {
    Account.program("postgres");
    List<String> settings = new ArrayList<>(SETTINGS);
    settings.addAll(List.of(more));
    StreamingLab lab = new StreamingLab(Account.folder("conexor-pg-"));
    try {
      List<Integer> ports = LabProcess.freePorts(replicas + 1);
      PgServer primary = PgServer.primary("pg0", lab.folder, ports.get(0), settings);
      lab.servers.add(primary);
      for (int i = 1; i <= replicas; i++) {
        lab.servers.add(PgServer.replica("pg" + i, lab.folder, ports.get(i), settings, primary));
      }
      lab.awaitStreaming(primary, replicas);
      return lab;
    } catch (RuntimeException e) {
      lab.close();
      throw e;
    }
  }

  /** Returns when that many replicas have all that this server has. */
  public void awaitStreaming(PgServer primary, int replicas) {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!primary.says(
        Integer.toString(replicas),
        "select count(*) from pg_stat_replication where state = 'streaming'"
            + " and replay_lsn >= pg_current_wal_lsn()")) {
      if (System.nanoTime() - giveUp > 0) {
        StringBuilder all = new StringBuilder("no replication:");
        servers.forEach(each -> all.append("\n").append(each).append(":\n").append(each.output()));
        throw new IllegalStateException(all.toString());
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
    }
  }

  /** The others give up what this one has not got, follow it, and stream. */
  public void heal(PgServer primary) {
    for (PgServer server : servers) {
      if (server != primary
          && !server.says(
              "t", "select pg_is_in_recovery() and count(*) = 1 from pg_stat_wal_receiver")) {
        server.rewindAndFollow(primary);
      }
    }
    awaitStreaming(primary, servers.size() - 1);
  }

  /** Commits wait until this replica has written them. */
  public void synchronous(PgServer primary, PgServer standby) {
    primary.execute("alter system set synchronous_standby_names = '" + standby.name() + "'");
    primary.execute("select pg_reload_conf()");
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (!primary.says(
        "sync",
        "select sync_state from pg_stat_replication where application_name = '"
            + standby.name()
            + "'")) {
      if (System.nanoTime() - giveUp > 0) {
        throw new IllegalStateException(standby + " does not become synchronous");
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
    }
  }

  Path folder() {
    return folder;
  }

  public PgServer server(int number) {
    return servers.get(number);
  }

  public List<PgServer> servers() {
    return List.copyOf(servers);
  }

  /** All of them. */
  public DatabaseEndpoints endpoints() {
    return endpoints(servers.stream().map(PgServer::endpoint).toList());
  }

  /** Any, with the product's role. */
  public static DatabaseEndpoints endpoints(List<DatabaseEndpoints.Endpoint> endpoints) {
    return endpoints(endpoints, List.of());
  }

  static DatabaseEndpoints endpoints(
      List<DatabaseEndpoints.Endpoint> endpoints, List<DatabaseEndpoints.Endpoint> patroni) {
    return new DatabaseEndpoints() {
      @Override
      public List<Endpoint> patroni() {
        return patroni;
      }

      @Override
      public List<Endpoint> endpoints() {
        return endpoints;
      }

      @Override
      public String database() {
        return "conexor";
      }

      @Override
      public String user() {
        return "conexor";
      }

      @Override
      public Secret password() {
        return new Secret("none");
      }
    };
  }

  @Override
  public void close() {
    servers.forEach(PgServer::close);
    Account.delete(folder);
  }
}
