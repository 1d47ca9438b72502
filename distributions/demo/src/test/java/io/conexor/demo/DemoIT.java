package io.conexor.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Two runs of the demo on the same data, as a script would use them; each test looks at one fact.
 */
class DemoIT {

  private static final Path DISTRIBUTIONS = Path.of("").toAbsolutePath().getParent();
  private static final Duration LONGEST = Duration.ofMinutes(3);

  @TempDir static Path folder;

  private static final List<Process> processes = new ArrayList<>();
  private static Run first;
  private static Run second;
  private static String intruder;
  private static JsonNode toolAnswer;
  private static JsonNode queryAnswer;
  private static String shellAnswer;

  /**
   * What one run left behind.
   *
   * @param survivors processes of the demo that were still there after it had ended
   */
  private record Run(JsonNode facts, String output, List<Long> survivors, int exitCode) {}

  private record Started(Process process, Path log) {

    /** All it printed, once it has ended. */
    String output() throws IOException, InterruptedException {
      assertThat(process.waitFor(LONGEST.toSeconds(), TimeUnit.SECONDS))
          .as("%s ends", log)
          .isTrue();
      return Files.readString(log);
    }
  }

  private interface Visit {
    void to(JsonNode facts) throws IOException, InterruptedException;
  }

  @BeforeAll
  static void run_it_twice() throws Exception {
    // PostgreSQL's unprivileged user has to get through, when root runs this
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx--x--x"));
    first =
        run(
            "first",
            facts -> {
              Http http = new Http("");
              String key = facts.path("apiKey").asString();
              toolAnswer = initialisedAndCalled(http, facts.path("mcpUrl").asString(), key);
              queryAnswer =
                  http.post(
                          facts.path("restUrl").asString() + "/query",
                          Map.of("X-API-Key", key),
                          Map.of("source", "world", "sql", "select count(*) from cities"))
                      .body();
              shellAnswer = shell("conexor:status; conexor:agents").output();
              intruder = demo("intruder").output();
            });
    second = run("second", facts -> {});
  }

  @AfterAll
  static void end_what_failed() {
    processes.forEach(
        process -> {
          process.descendants().forEach(ProcessHandle::destroyForcibly);
          process.destroyForcibly();
        });
  }

  @Test
  void the_facts_are_complete() {
    JsonNode facts = first.facts();
    assertThat(facts.path("mcpUrl").asString()).matches("http://127.0.0.1:\\d+/mcp/demo/world");
    assertThat(facts.path("restUrl").asString()).matches("http://127.0.0.1:\\d+/api/v1");
    assertThat(facts.path("healthUrl").asString()).matches("http://127.0.0.1:\\d+/health");
    assertThat(facts.path("apiKey").asString()).startsWith("mcp_");
    assertThat(facts.path("adminToken").asString()).startsWith("adm_");
    assertThat(facts.path("readyMs").asLong()).isPositive();
    assertThat(facts.path("pids").properties()).hasSize(4);
  }

  @Test
  void only_the_owner_reads_the_facts() throws IOException {
    assertThat(Files.getPosixFilePermissions(folder.resolve("first.json")))
        .isEqualTo(PosixFilePermissions.fromString("rw-------"));
  }

  @Test
  void it_prints_the_rows_of_both_calls() {
    assertThat(first.output()).containsPattern("Tokyo +Japan +\\d{7}");
    assertThat(first.output()).containsPattern("Asia +\\d{2,3}");
  }

  @Test
  void it_prints_how_to_repeat_them() {
    assertThat(first.output())
        .contains("curl " + first.facts().path("mcpUrl").asString())
        .contains("curl " + first.facts().path("restUrl").asString() + "/query");
  }

  @Test
  void a_generated_tool_of_an_initialised_client_brings_rows() {
    JsonNode result = toolAnswer.path("result").path("structuredContent");
    assertThat(result.path("rowCount").asLong()).as("%s", toolAnswer).isEqualTo(1);
    assertThat(result.toString()).contains("Japan");
  }

  @Test
  void a_query_by_rest_brings_rows() {
    assertThat(queryAnswer.path("rows").path(0).path(0).asLong())
        .as("%s", queryAnswer)
        .isEqualTo(24_323);
  }

  @Test
  void the_shell_reaches_the_server() {
    assertThat(shellAnswer).contains("node ", "AGENT", "world");
  }

  @Test
  void a_second_demo_on_the_same_data_is_refused() {
    assertThat(intruder).contains("a demo is running with this data already");
  }

  @Test
  void sigterm_ends_it_and_all_it_started() {
    assertThat(first.survivors()).isEmpty();
    assertThat(first.exitCode()).isEqualTo(143);
    assertThat(second.survivors()).isEmpty();
  }

  @Test
  void the_second_run_uses_the_same_keys_and_loads_nothing() {
    assertThat(second.facts().path("apiKey")).isEqualTo(first.facts().path("apiKey"));
    assertThat(first.output()).contains("rows in five tables loaded");
    assertThat(second.output()).doesNotContain("loaded");
  }

  private static Run run(String name, Visit visit) throws Exception {
    Path json = folder.resolve(name + ".json");
    Started demo = demo(name);
    await()
        .atMost(LONGEST)
        .pollInterval(Duration.ofMillis(100))
        .failFast(
            () -> assertThat(demo.process().isAlive()).as(Files.readString(demo.log())).isTrue())
        .until(() -> Files.exists(json));
    JsonNode facts = Http.JSON.readTree(Files.readString(json));
    visit.to(facts);
    List<ProcessHandle> started = demo.process().descendants().toList();
    demo.process().destroy();
    String output = demo.output();
    List<Long> survivors = new ArrayList<>();
    for (ProcessHandle each : started) {
      try {
        // whoever is left without a parent goes when init has looked
        each.onExit().get(5, TimeUnit.SECONDS);
      } catch (TimeoutException alive) {
        survivors.add(each.pid());
      }
    }
    return new Run(facts, output, survivors, demo.process().exitValue());
  }

  private static Started demo(String name) throws IOException {
    Path target = DISTRIBUTIONS.resolve("demo/target");
    return start(
        name,
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Dconexor.distributions=" + DISTRIBUTIONS,
        "-cp",
        target.resolve("classes") + File.pathSeparator + target.resolve("lib/*"),
        Main.class.getName(),
        "--data",
        folder.resolve("data").toString(),
        "--json",
        folder.resolve(name + ".json").toString());
  }

  private static Started shell(String command) throws IOException {
    return start(
        "shell",
        DISTRIBUTIONS.resolve("server/target/conexor-server/bin/conexor-server").toString(),
        "shell",
        "-c",
        command,
        "--set",
        "runtime.data.dir=" + folder.resolve("data/server"));
  }

  private static Started start(String name, String... command) throws IOException {
    Path log = folder.resolve(name + ".log");
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    processes.add(process);
    return new Started(process, log);
  }

  private static JsonNode initialisedAndCalled(Http http, String url, String key)
      throws IOException, InterruptedException {
    Map<String, String> headers =
        Map.of("X-API-Key", key, "Accept", "application/json, text/event-stream");
    Http.Answer hello =
        http.post(
            url,
            headers,
            rpc(
                "initialize",
                Map.of(
                    "protocolVersion", "2025-11-25",
                    "capabilities", Map.of(),
                    "clientInfo", Map.of("name", "demo-test", "version", "1"))));
    Map<String, String> session =
        Map.of(
            "X-API-Key",
            key,
            "Accept",
            "application/json, text/event-stream",
            "MCP-Protocol-Version",
            "2025-11-25",
            "Mcp-Session-Id",
            hello.headers().firstValue("Mcp-Session-Id").orElseThrow());
    return http.post(
            url,
            session,
            rpc(
                "tools/call",
                Map.of("name", "query_countries_by_id", "arguments", Map.of("id", "JP"))))
        .body();
  }

  private static Map<String, Object> rpc(String method, Map<String, Object> params) {
    return Map.of("jsonrpc", "2.0", "id", 1, "method", method, "params", params);
  }
}
