package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints.Endpoint;
import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** One PostgreSQL server and ways to break it. A node is the postmaster with all its children. */
public final class PgServer implements AutoCloseable {

  private final String name;
  private final Path data;
  private final String host;
  private final int port;
  private final LabProcess process;

  private PgServer(String name, Path folder, String host, int port, List<String> settings) {
    this.name = name;
    this.data = folder.resolve(name);
    this.host = host;
    this.port = port;
    List<String> command = new ArrayList<>();
    command.addAll(List.of(Account.program("postgres").toString(), "-D", data.toString()));
    List<String> all = new ArrayList<>(settings);
    all.add("port=" + port);
    all.add("listen_addresses=" + host);
    all.add("unix_socket_directories=");
    all.forEach(each -> command.addAll(List.of("-c", each)));
    this.process = new LabProcess(name, folder, Account.command(command));
  }

  /** A new primary with the role and the database of the product; started. */
  static PgServer primary(String name, Path folder, int port, List<String> settings) {
    PgServer server = new PgServer(name, folder, "127.0.0.1", port, settings);
    Account.runAs(
        List.of(
            Account.program("initdb").toString(),
            "-D",
            server.data.toString(),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-k"));
    server.start();
    prepare(server);
    return server;
  }

  /** Makes the product's role and database. */
  static void prepare(PgServer server) {
    server.execute("create role conexor login password 'none'");
    server.execute("grant pg_monitor to conexor");
    server.execute("create database conexor owner conexor");
  }

  /** A new streaming replica of that server; started. */
  static PgServer replica(String name, Path folder, int port, List<String> settings, PgServer of) {
    PgServer server = new PgServer(name, folder, "127.0.0.1", port, settings);
    server.copy(of);
    server.start();
    return server;
  }

  private void copy(PgServer of) {
    Account.runAs(
        List.of(
            Account.program("pg_basebackup").toString(),
            "-h",
            of.host,
            "-p",
            Integer.toString(of.port),
            "-U",
            "postgres",
            "-D",
            data.toString(),
            "-c",
            "fast",
            "--no-sync",
            "-X",
            "stream"));
    follow(of);
  }

  /** Makes it, when started, a replica of that server. */
  void follow(PgServer of) {
    try {
      Files.writeString(
          data.resolve("postgresql.auto.conf"),
          String.format(
              Locale.ROOT,
              "primary_conninfo = 'host=%s port=%d user=postgres application_name=%s"
                  + " connect_timeout=2'%nrecovery_target_timeline = 'latest'%n",
              of.host,
              of.port,
              name));
      Files.writeString(data.resolve("standby.signal"), "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Account.own(data);
  }

  /** After it was a primary and another was promoted: gives up what the other has not got. */
  public void rewindAndFollow(PgServer primary) {
    if (process.isAlive()) {
      stop();
    } else {
      // a crashed server has to recover before it can be rewound
      start();
      stop();
    }
    // pg_rewind believes the control file, which has the new timeline only from a checkpoint on
    primary.execute("checkpoint");
    Account.runAs(
        List.of(
            Account.program("pg_rewind").toString(),
            "--target-pgdata",
            data.toString(),
            "--no-sync",
            "--source-server",
            "host=" + primary.host + " port=" + primary.port + " user=postgres dbname=postgres"));
    follow(primary);
    start();
  }

  public PgServer start() {
    try {
      Files.deleteIfExists(data.resolve("postmaster.pid"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    process.start();
    awaitAnswer();
    return this;
  }

  private void awaitAnswer() {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (true) {
      try {
        ask("select 1");
        return;
      } catch (SQLException e) {
        if (System.nanoTime() - giveUp > 0 || !process.isAlive()) {
          throw new IllegalStateException(name + " does not answer:\n" + process.output(), e);
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
  }

  public String name() {
    return name;
  }

  Path data() {
    return data;
  }

  public int port() {
    return port;
  }

  public Endpoint endpoint() {
    return new Endpoint(host, port);
  }

  public String output() {
    return process.output();
  }

  /** SIGKILL of the postmaster and all its children at once. */
  public void kill() {
    Signals.send("KILL", Signals.tree(process.pid()));
    process.close();
  }

  /** SIGKILL of the postmaster alone. */
  public void killPostmaster() {
    process.kill();
  }

  /** SIGSTOP of all of it: sockets stay open and nobody answers. */
  public void freeze() {
    Signals.send("STOP", Signals.tree(process.pid()));
  }

  /** Nothing happens to one that is not frozen. */
  public void thaw() {
    if (!process.isAlive()) {
      return;
    }
    Signals.send("CONT", Signals.tree(process.pid()));
  }

  /** Fast shutdown. */
  public void stop() {
    Signals.send("INT", List.of(process.pid()));
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (process.isAlive()) {
      if (System.nanoTime() - giveUp > 0) {
        throw new IllegalStateException(name + " does not stop");
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }
  }

  /** By {@code pg_ctl promote}; returns when it takes writes, as {@link System#nanoTime}. */
  public long promote() {
    Account.runAs(
        List.of(Account.program("pg_ctl").toString(), "-D", data.toString(), "-W", "promote"));
    return awaitPromotion();
  }

  /** Returns when it takes writes, as {@link System#nanoTime}. */
  public long awaitPromotion() {
    try (Connection connection = connect("postgres", "postgres");
        Statement statement = connection.createStatement()) {
      long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
      while (System.nanoTime() - giveUp < 0) {
        try (ResultSet row = statement.executeQuery("select pg_is_in_recovery()")) {
          row.next();
          if (!row.getBoolean(1)) {
            return System.nanoTime();
          }
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(2));
      }
      throw new IllegalStateException(name + " was not promoted:\n" + output());
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  public void pauseReplay() {
    execute("select pg_wal_replay_pause()");
  }

  public void resumeReplay() {
    execute("select pg_wal_replay_resume()");
  }

  /** One statement by the superuser. */
  public void execute(String sql) {
    try (Connection connection = connect("postgres", "postgres");
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new IllegalStateException(name + ": " + e.getMessage(), e);
    }
  }

  /** The first column of the first row, as text; asked by the superuser. */
  public String ask(String sql) throws SQLException {
    try (Connection connection = connect("postgres", "postgres");
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return String.valueOf(row.getString(1));
    }
  }

  /** Whether it answers, and with that; silence and errors are false. */
  public boolean says(String expected, String sql) {
    try {
      return expected.equals(ask(sql));
    } catch (SQLException e) {
      return false;
    }
  }

  public Connection connect(String database, String user) throws SQLException {
    return DriverManager.getConnection(
        "jdbc:postgresql://"
            + host
            + ":"
            + port
            + "/"
            + database
            + "?connectTimeout=10&loginTimeout=10&user="
            + user);
  }

  @Override
  public void close() {
    if (process.isAlive()) {
      Signals.send("CONT", Signals.tree(process.pid()));
      Signals.send("KILL", Signals.tree(process.pid()));
      process.close();
    }
  }

  @Override
  public String toString() {
    return name + " at " + endpoint();
  }
}
