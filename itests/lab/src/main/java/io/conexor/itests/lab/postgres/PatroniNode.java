package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints.Endpoint;
import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** Patroni and the PostgreSQL it looks after. */
public final class PatroniNode implements AutoCloseable {

  private final String name;
  private final Path data;
  private final String host;
  private final int port;
  private final int restPort;
  private final LabProcess patroni;
  private boolean wasFrozen;

  PatroniNode(String name, Path data, String host, int port, int restPort, LabProcess patroni) {
    this.name = name;
    this.data = data;
    this.host = host;
    this.port = port;
    this.restPort = restPort;
    this.patroni = patroni;
  }

  public String name() {
    return name;
  }

  public Endpoint endpoint() {
    return new Endpoint(host, port);
  }

  /** Of Patroni's REST API. */
  public Endpoint rest() {
    return new Endpoint(host, restPort);
  }

  public void start() {
    patroni.start();
  }

  /** SIGKILL of Patroni and of PostgreSQL with all its children at once. */
  public void kill() {
    Signals.send("KILL", all());
    patroni.close();
  }

  /** SIGKILL of the postmaster; Patroni lives. */
  public void killPostmaster() {
    Signals.send("KILL", postmaster());
  }

  /** SIGSTOP of everything on it. */
  public void freeze() {
    wasFrozen = true;
    Signals.send("STOP", all());
  }

  /** SIGSTOP of Patroni alone: PostgreSQL goes on, and nobody looks after it. */
  public void freezePatroni() {
    wasFrozen = true;
    Signals.send("STOP", patroniAlone());
  }

  private List<Long> patroniAlone() {
    return patroni.isAlive()
        ? Signals.tree(patroni.pid()).stream().filter(pid -> !isPostgres(pid)).toList()
        : List.of();
  }

  private boolean isPostgres(long pid) {
    List<Long> below = new ArrayList<>();
    postmaster().forEach(each -> below.addAll(Signals.tree(each)));
    return below.contains(pid);
  }

  /**
   * Wakes it up, but for a Patroni that slept, which is killed: 3.0.2 would write its own name over
   * that of the leader chosen meanwhile (patroni 2689), and what that one had acknowledged would be
   * lost. So PostgreSQL wakes up as the primary it was, with nobody who tells it otherwise.
   */
  public void thaw() {
    if (wasFrozen) {
      Signals.send("KILL", patroniAlone());
    }
    Signals.send("CONT", all());
  }

  /**
   * Since the last call. Patroni 3.0.2 that slept through a failover and leads again later may
   * never manage to write who its synchronous standby is, so it is better started anew.
   */
  boolean wasFrozen() {
    boolean was = wasFrozen;
    wasFrozen = false;
    return was;
  }

  private List<Long> all() {
    List<Long> pids = new ArrayList<>();
    if (patroni.isAlive()) {
      pids.addAll(Signals.tree(patroni.pid()));
    }
    postmaster().forEach(pid -> pids.addAll(Signals.tree(pid)));
    return pids;
  }

  private List<Long> postmaster() {
    try {
      Path file = data.resolve("postmaster.pid");
      return Files.exists(file)
          ? List.of(Long.parseLong(Files.readAllLines(file).get(0).trim()))
          : List.of();
    } catch (IOException | IndexOutOfBoundsException e) {
      return List.of();
    }
  }

  /** Whether Patroni answers 200 there, e.g. {@code /primary}, {@code /sync}. */
  public boolean is(String path) {
    return request("GET", path, "") == 200;
  }

  /** The answer's status; 0 when there is none. */
  int request(String method, String path, String body) {
    try {
      HttpURLConnection connection =
          (HttpURLConnection)
              URI.create("http://" + host + ":" + restPort + path).toURL().openConnection();
      connection.setConnectTimeout(1_000);
      connection.setReadTimeout(method.equals("GET") ? 1_000 : 20_000);
      connection.setRequestMethod(method);
      if (!body.isEmpty()) {
        connection.setDoOutput(true);
        connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
      }
      int status = connection.getResponseCode();
      connection.disconnect();
      return status;
    } catch (IOException e) {
      return 0;
    }
  }

  Connection connect() throws SQLException {
    return DriverManager.getConnection(
        "jdbc:postgresql://"
            + host
            + ":"
            + port
            + "/postgres?connectTimeout=5&loginTimeout=5&socketTimeout=10&user=postgres");
  }

  /** Statements by the superuser. */
  public void execute(String... statements) {
    try (Connection connection = connect();
        Statement statement = connection.createStatement()) {
      for (String each : statements) {
        statement.execute(each);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(name + ": " + e.getMessage(), e);
    }
  }

  /** Whether it takes writes; silence is false. */
  boolean isWritable() {
    try (Connection connection = connect();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("select pg_is_in_recovery()")) {
      return row.next() && !row.getBoolean(1);
    } catch (SQLException e) {
      return false;
    }
  }

  String output() {
    try {
      Path log = data.resolveSibling(name + "-postgres.log");
      return patroni.output() + (Files.exists(log) ? Files.readString(log) : "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    thaw();
    Signals.send("KILL", all());
    patroni.close();
  }

  @Override
  public String toString() {
    return name + " at " + endpoint();
  }
}
