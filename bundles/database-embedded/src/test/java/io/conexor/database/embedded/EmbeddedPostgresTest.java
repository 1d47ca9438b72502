package io.conexor.database.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.health.Health;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedPostgresTest {

  @TempDir Path folder;

  @Test
  void data_and_password_survive_a_restart() throws Exception {
    EmbeddedPostgres first = start(folder);
    try (Connection connection = connect(first, first.password().reveal())) {
      connection.createStatement().execute("create table kept as select 42 as answer");
    }
    first.close();

    EmbeddedPostgres second = start(folder);
    try (Connection connection = connect(second, second.password().reveal())) {
      var row = connection.createStatement().executeQuery("select answer from kept");
      row.next();
      assertThat(row.getInt(1)).isEqualTo(42);
    } finally {
      second.close();
    }
    assertThat(second.password()).isEqualTo(first.password());
    assertThat(Files.getPosixFilePermissions(folder.resolve("password")))
        .isEqualTo(PosixFilePermissions.fromString("rw-------"));
  }

  @Test
  void a_wrong_password_and_the_superuser_are_refused() throws Exception {
    EmbeddedPostgres server = start(folder);
    try {
      assertThatThrownBy(() -> connect(server, "guess")).isInstanceOf(SQLException.class);
      assertThatThrownBy(
              () ->
                  DriverManager.getConnection(
                      "jdbc:postgresql://127.0.0.1:" + port(server) + "/postgres?user=postgres"))
          .isInstanceOf(SQLException.class)
          .hasMessageContaining("pg_hba.conf");
    } finally {
      server.close();
    }
  }

  @Test
  void a_reader_logs_in_and_writes_nothing_it_was_not_granted() throws Exception {
    try (EmbeddedPostgres server = EmbeddedPostgres.in(folder, "", List.of("reader"))) {
      awaitHealthy(server);
      try (Connection owner = connect(server, server.password().reveal())) {
        owner.createStatement().execute("create table kept as select 42 as answer");
        owner.createStatement().execute("grant select on kept to reader");
      }
      try (Connection reader = connect(server, "reader", server.password("reader").reveal())) {
        var row = reader.createStatement().executeQuery("select answer from kept");
        row.next();
        assertThat(row.getInt(1)).isEqualTo(42);
        assertThatThrownBy(() -> reader.createStatement().execute("delete from kept"))
            .isInstanceOf(SQLException.class);
      }
    }
  }

  @Test
  void the_postmaster_is_out_of_reach_of_the_terminal() throws Exception {
    org.junit.jupiter.api.Assumptions.assumeTrue(
        Commands.find("setsid").isPresent(), "needs setsid");
    try (EmbeddedPostgres server = start(folder)) {
      // proc(5): the session is the fourth number behind the name
      String stat = Files.readString(Path.of("/proc/" + server.pid().orElseThrow() + "/stat"));
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      assertThat(fields[3]).isEqualTo(server.pid().orElseThrow().toString());
    }
  }

  @Test
  void a_killed_postmaster_is_started_again() throws Exception {
    EmbeddedPostgres server = start(folder);
    try {
      long pid = PidFile.read(folder.resolve("data")).orElseThrow().pid();
      ProcessHandle.of(pid).orElseThrow().destroyForcibly();
      await()
          .atMost(Duration.ofSeconds(20))
          .until(
              () ->
                  server.check().status() == Health.Status.HEALTHY
                      && PidFile.read(folder.resolve("data"))
                          .filter(f -> f.pid() != pid)
                          .isPresent());
      connect(server, server.password().reveal()).close();
    } finally {
      server.close();
    }
  }

  @Test
  void a_leftover_of_the_same_folder_is_stopped_and_nothing_else() throws Exception {
    start(folder).close();
    Path data = folder.resolve("data");
    // a pid file that names this very process, as after a kill and a reused pid
    Files.writeString(data.resolve("postmaster.pid"), ProcessHandle.current().pid() + "\n");

    EmbeddedPostgres server = start(folder);
    long pid = PidFile.read(data).orElseThrow().pid();
    server.close();

    assertThat(ProcessHandle.current().isAlive()).isTrue();
    assertThat(new PidFile(pid, "").isServing(data)).isFalse();
  }

  @Test
  void as_root_an_unprivileged_user_owns_a_cluster_it_can_reach() throws Exception {
    org.junit.jupiter.api.Assumptions.assumeTrue(RunAs.isRoot(), "needs root");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx--x--x"));
    EmbeddedPostgres server = start(folder);
    server.close();
    assertThat(Files.getOwner(folder.resolve("data")).getName()).isNotEqualTo("root");
  }

  @Test
  void two_servers_do_not_share_a_folder() throws Exception {
    EmbeddedPostgres first = start(folder);
    EmbeddedPostgres second = new EmbeddedPostgres(settings(folder));
    try {
      await()
          .atMost(Duration.ofSeconds(10))
          .untilAsserted(
              () -> assertThat(second.check().reason()).contains("another server is using"));
      assertThat(first.check().status()).isEqualTo(Health.Status.HEALTHY);
    } finally {
      second.close();
      first.close();
    }
  }

  @Test
  void an_installation_without_programs_is_refused_with_its_key() {
    assertThatThrownBy(() -> Installation.check("/nowhere"))
        .hasMessageContaining("installation=/nowhere")
        .hasMessageContaining("initdb");
  }

  @Test
  void platforms_are_named_as_the_archives_are() {
    assertThat(Installation.platform("Linux", "amd64")).isEqualTo("linux-x86_64");
    assertThat(Installation.platform("Mac OS X", "aarch64")).isEqualTo("darwin-arm_64");
  }

  private static EmbeddedPostgres start(Path folder) throws IOException {
    EmbeddedPostgres server = new EmbeddedPostgres(settings(folder));
    awaitHealthy(server);
    return server;
  }

  private static void awaitHealthy(EmbeddedPostgres server) {
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> server.check().status() == Health.Status.HEALTHY);
  }

  private static EmbeddedPostgres.Settings settings(Path folder) {
    return new EmbeddedPostgres.Settings(folder, 0, "", "", 60, Duration.ofSeconds(5), List.of());
  }

  private static int port(EmbeddedPostgres server) {
    return server.endpoints().get(0).port();
  }

  private static Connection connect(EmbeddedPostgres server, String password) throws SQLException {
    return connect(server, server.user(), password);
  }

  private static Connection connect(EmbeddedPostgres server, String user, String password)
      throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", user);
    properties.setProperty("password", password);
    properties.setProperty("connectTimeout", "5");
    return DriverManager.getConnection(
        "jdbc:postgresql://127.0.0.1:" + port(server) + "/" + server.database(), properties);
  }
}
