package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.database.DatabaseEndpoints.Endpoint;
import io.conexor.itests.lab.Binaries;
import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What stands before Patroni in many places: HAProxy with one port for the primary and one for
 * replicas, and before each of them a PgBouncer in transaction mode.
 */
public final class PoolerLab implements AutoCloseable {

  private final Path folder;
  private final List<LabProcess> processes = new ArrayList<>();
  private final List<Endpoint> proxies;
  private final List<Endpoint> poolers;

  private PoolerLab(Path folder, List<Endpoint> proxies, List<Endpoint> poolers) {
    this.folder = folder;
    this.proxies = proxies;
    this.poolers = poolers;
  }

  public static PoolerLab start(PatroniLab patroni) {
    Path haproxy = Binaries.require("haproxy");
    List<Endpoint> ports =
        LabProcess.freePorts(4).stream().map(port -> new Endpoint("127.0.0.1", port)).toList();
    PoolerLab lab =
        new PoolerLab(Account.folder("conexor-pooler-"), ports.subList(0, 2), ports.subList(2, 4));
    try {
      Path settings = lab.folder.resolve("haproxy.cfg");
      Files.writeString(
          settings,
          """
          defaults
            mode tcp
            timeout connect 1s
            timeout client 30m
            timeout server 30m
            timeout check 2s
            retries 0
            default-server inter 250ms fastinter 100ms downinter 250ms fall 1 rise 1 on-marked-down shutdown-sessions
          """
              + listen("primary", lab.proxies.get(0), patroni)
              + listen("replica", lab.proxies.get(1), patroni));
      lab.run("haproxy", List.of(haproxy.toString(), "-db", "-f", settings.toString()));
      for (int i = 0; i < 2; i++) {
        lab.pool(lab.proxies.get(i), lab.poolers.get(i));
      }
      return lab;
    } catch (IOException e) {
      lab.close();
      throw new UncheckedIOException(e);
    }
  }

  /** PgBouncer in transaction mode before each of them, without HAProxy. */
  public static PoolerLab before(List<Endpoint> servers) {
    List<Endpoint> ports =
        LabProcess.freePorts(servers.size()).stream()
            .map(port -> new Endpoint("127.0.0.1", port))
            .toList();
    PoolerLab lab = new PoolerLab(Account.folder("conexor-pooler-"), List.of(), ports);
    try {
      for (int i = 0; i < servers.size(); i++) {
        lab.pool(servers.get(i), ports.get(i));
      }
      return lab;
    } catch (IOException e) {
      lab.close();
      throw new UncheckedIOException(e);
    }
  }

  private void pool(Endpoint server, Endpoint at) throws IOException {
    Path users = folder.resolve("users.txt");
    Files.writeString(users, "\"conexor\" \"none\"\n");
    Path ini = folder.resolve("pgbouncer-" + at.port() + ".ini");
    Files.writeString(
        ini,
        """
        [databases]
        conexor = host=%s port=%d dbname=conexor
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = %d
        unix_socket_dir =
        auth_type = trust
        auth_file = %s
        pool_mode = transaction
        default_pool_size = 12
        max_client_conn = 200
        server_login_retry = 0.2
        server_fast_close = 1
        server_check_delay = 1
        server_connect_timeout = 2
        query_wait_timeout = 30
        ignore_startup_parameters = extra_float_digits,options
        """
            .formatted(server.host(), server.port(), at.port(), users));
    Account.own(folder);
    run(
        "pgbouncer-" + at.port(),
        Account.command(List.of(Binaries.require("pgbouncer").toString(), ini.toString())));
  }

  private static String listen(String role, Endpoint at, PatroniLab patroni) {
    StringBuilder text = new StringBuilder("listen " + role + "\n  bind " + at + "\n");
    text.append("  option httpchk OPTIONS /").append(role);
    text.append("\n  http-check expect status 200\n");
    for (PatroniNode node : patroni.nodes()) {
      text.append("  server ").append(node.name()).append(' ').append(node.endpoint());
      text.append(" check port ").append(node.rest().port()).append('\n');
    }
    return text.toString();
  }

  private void run(String name, List<String> command) {
    processes.add(new LabProcess(name, folder, command).start());
  }

  /** HAProxy alone. */
  public DatabaseEndpoints proxies() {
    return StreamingLab.endpoints(proxies);
  }

  /** PgBouncer, before HAProxy if there is one. */
  public DatabaseEndpoints poolers() {
    return StreamingLab.endpoints(poolers);
  }

  @Override
  public void close() {
    processes.forEach(LabProcess::close);
    Account.delete(folder);
  }
}
