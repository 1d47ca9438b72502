package io.conexor.itests.lab.postgres;

import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A primary and a replica under repmgr, which promotes the replica when the primary is silent. */
public final class RepmgrLab implements AutoCloseable {

  private final StreamingLab servers;
  private final List<LabProcess> daemons = new ArrayList<>();

  private RepmgrLab(StreamingLab servers) {
    this.servers = servers;
  }

  /** Started, both registered, both watched. */
  public static RepmgrLab start() {
    Path repmgr = Account.program("repmgr");
    if (!Files.isExecutable(repmgr)) {
      throw new org.opentest4j.TestAbortedException("repmgr is not installed");
    }
    RepmgrLab lab = new RepmgrLab(StreamingLab.start(1, "shared_preload_libraries=repmgr"));
    try {
      PgServer primary = lab.servers.server(0);
      primary.execute("create role repmgr superuser login");
      primary.execute("create database repmgr owner repmgr");
      lab.servers.awaitStreaming(primary, 1);
      for (int i = 0; i < 2; i++) {
        PgServer server = lab.servers.server(i);
        Path settings = lab.servers.folder().resolve("repmgr" + i + ".conf");
        Files.writeString(settings, settings(i + 1, server, repmgr, settings));
        Account.own(lab.servers.folder());
        List<String> register =
            i == 0
                ? List.of("primary", "register")
                : List.of("standby", "register", "--upstream-node-id=1", "--wait-sync=10");
        List<String> command =
            new ArrayList<>(List.of(repmgr.toString(), "-f", settings.toString()));
        command.addAll(register);
        Account.runAs(command);
        lab.daemons.add(
            new LabProcess(
                    "repmgrd" + i,
                    lab.servers.folder(),
                    Account.command(
                        List.of(
                            Account.program("repmgrd").toString(),
                            "-f",
                            settings.toString(),
                            "--daemonize=false",
                            "--no-pid-file")))
                .start());
      }
      return lab;
    } catch (IOException e) {
      lab.close();
      throw new UncheckedIOException(e);
    } catch (RuntimeException e) {
      lab.close();
      throw e;
    }
  }

  private static String settings(int id, PgServer server, Path repmgr, Path file) {
    return """
    node_id=%d
    node_name='%s'
    conninfo='host=127.0.0.1 port=%d user=repmgr dbname=repmgr connect_timeout=2'
    data_directory='%s'
    pg_bindir='%s'
    failover=automatic
    promote_command='%s -f %s standby promote'
    follow_command='%s -f %s standby follow --upstream-node-id=%%n'
    monitor_interval_secs=1
    reconnect_attempts=2
    reconnect_interval=1
    """
        .formatted(
            id,
            server.name(),
            server.port(),
            server.data(),
            Account.BIN,
            repmgr,
            file,
            repmgr,
            file);
  }

  public StreamingLab servers() {
    return servers;
  }

  /** What the daemons have printed. */
  public String output() {
    StringBuilder all = new StringBuilder();
    daemons.forEach(daemon -> all.append(daemon.output()));
    return all.toString();
  }

  @Override
  public void close() {
    daemons.forEach(LabProcess::close);
    servers.close();
  }
}
