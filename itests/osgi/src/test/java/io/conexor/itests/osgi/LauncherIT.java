package io.conexor.itests.osgi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.conexor.api.database.LocalPostgres;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The script of the archive, as an operator or an orchestrator meets it. */
class LauncherIT {

  private static final Path SERVER =
      Path.of("../../distributions/server/target/conexor-server/bin/conexor-server")
          .toAbsolutePath()
          .normalize();

  private static LocalPostgres postgres;

  @TempDir Path data;

  private Process process;

  @BeforeAll
  static void start_postgresql() {
    postgres = LocalPostgres.start();
  }

  @AfterAll
  static void stop_postgresql() {
    postgres.close();
  }

  @AfterEach
  void end() {
    if (process != null) {
      process.destroyForcibly().onExit().join();
    }
  }

  @Test
  void everything_that_is_wrong_with_the_configuration_is_said_at_once() throws Exception {
    String said =
        check(
            1,
            "--set",
            "http.prot=8080",
            "--set",
            "dispatch.attempts.max=17",
            "--set",
            "hub.links.max=many");

    assertThat(said)
        .contains("http.prot", "did you mean 'http.port'")
        .contains("dispatch.attempts.max", "between 1 and 16")
        .contains("hub.links.max", "many")
        .doesNotContain("\tat ");
  }

  @Test
  void a_feature_that_does_not_exist_is_named_with_those_that_do() throws Exception {
    assertThat(check(1, "--set", "runtime.features=server-cor"))
        .contains("no feature 'server-cor'", "did you mean 'server-core'");
  }

  @Test
  void a_usable_configuration_is_told_to_be_one() throws Exception {
    assertThat(check(0)).contains("ok: ", "the configuration is valid");
  }

  @Test
  void a_port_that_is_taken_is_named_in_the_log() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      run("--set", "http.port=" + taken.getLocalPort(), "--set", "runtime.ready.timeout.ms=2000");

      await()
          .atMost(Duration.ofSeconds(60))
          .untilAsserted(
              () ->
                  assertThat(log())
                      .contains("not ready after")
                      .contains("JettyServer failed to activate")
                      .contains("" + taken.getLocalPort()));
    }
  }

  @Test
  void json_lines_are_json_from_the_first_to_the_last() throws Exception {
    run("--set", "runtime.log.format=json", "--set", "http.port=0");
    awaitLog("ready ");
    process.destroy();

    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isZero();
    List<String> lines = log().lines().toList();
    assertThat(lines).hasSizeGreaterThan(5);
    assertThat(lines)
        .allSatisfy(
            line -> {
              JsonNode entry = Tenant.parse(line);
              assertThat(entry.hasNonNull("formattedMessage")).isTrue();
              assertThat(entry.hasNonNull("level")).isTrue();
              assertThat(entry.hasNonNull("timestamp")).isTrue();
            });
    assertThat(lines.get(lines.size() - 1)).contains("stopped");
  }

  @Test
  void a_second_signal_ends_the_process_at_once() throws Exception {
    run("--set", "http.port=0", "--set", "http.drain.notice.ms=15000");
    awaitLog("ready ");

    process.destroy();
    awaitLog("draining for at most");
    assertThat(process.isAlive()).isTrue();
    process.destroy();

    assertThat(process.waitFor(5, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(1);
  }

  @Test
  void a_server_runs_on_java_25() throws Exception {
    Optional<Path> java = jdk("25");
    assumeTrue(java.isPresent(), "no JDK 25 below /usr/lib/jvm");

    run(java.orElseThrow(), "--set", "http.port=0");
    awaitLog("ready ");
    process.destroy();

    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isZero();
    assertThat(log().lines())
        .noneMatch(
            line ->
                line.contains("Unsupported class file")
                    || line.contains("ClassFormatError")
                    || line.contains(" ERROR "));
  }

  private static Optional<Path> jdk(String major) throws IOException {
    Path homes = Path.of("/usr/lib/jvm");
    if (!Files.isDirectory(homes)) {
      return Optional.empty();
    }
    try (Stream<Path> jdks = Files.list(homes)) {
      return jdks.filter(jdk -> isVersion(jdk.resolve("release"), major)).findFirst();
    }
  }

  private static boolean isVersion(Path release, String major) {
    try {
      return Files.exists(release) && Files.readString(release).contains("JAVA_VERSION=\"" + major);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String check(int status, String... arguments) throws Exception {
    process = start(Optional.empty(), "check", arguments);

    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(log()).isEqualTo(status);
    return log();
  }

  private void run(String... arguments) throws IOException {
    process = start(Optional.empty(), "run", arguments);
  }

  private void run(Path java, String... arguments) throws IOException {
    process = start(Optional.of(java), "run", arguments);
  }

  private Process start(Optional<Path> java, String command, String... arguments)
      throws IOException {
    List<String> line = new ArrayList<>(List.of(SERVER.toString(), command));
    line.addAll(
        List.of(
            "--set",
            "runtime.data.dir=" + data.resolve("data"),
            "--set",
            "runtime.log.to=console",
            "--set",
            "http.host=127.0.0.1",
            "--set",
            "database.endpoints.servers=127.0.0.1:" + postgres.port()));
    List<String> given = List.of(arguments);
    if (given.stream().noneMatch(a -> a.startsWith("runtime.features="))) {
      line.addAll(List.of("--set", "runtime.features=server-core, memory, postgres"));
    }
    line.addAll(given);
    ProcessBuilder builder =
        new ProcessBuilder(line)
            .redirectErrorStream(true)
            .redirectOutput(data.resolve("output").toFile());
    java.ifPresent(home -> builder.environment().put("JAVA_HOME", home.toString()));
    return builder.start();
  }

  private String log() throws IOException {
    return Files.readString(data.resolve("output"));
  }

  private void awaitLog(String text) {
    await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> assertThat(log()).contains(text));
  }
}
