package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Queries that run for long, all at one of three backends behind the shipped HAProxy, which is
 * killed midway (SIGKILL). Each is to be answered once and to have run once; a look at
 * pg_stat_activity every 20 ms counts the runs. Three agents serve the source. {@code
 * -Dconexor.full=true} runs 60 s.
 */
class QueryOutlivesItsBackendIT {

  private static final Logger log = LoggerFactory.getLogger(QueryOutlivesItsBackendIT.class);
  private static final double SECONDS = Boolean.getBoolean("conexor.full") ? 60 : 6;
  private static final String MODERN = "2026-07-28";
  private static final String LEGACY = "2025-11-25";

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final List<AutoCloseable> open = new ArrayList<>();
  private static final Map<String, Set<Run>> runs = new ConcurrentHashMap<>();

  /** One of a statement, by one connection. */
  private record Run(int pid, Instant start) {
    boolean isOf(int otherPid, Instant otherStart) {
      return pid == otherPid
          && Duration.between(start, otherStart).abs().compareTo(Duration.ofSeconds(1)) < 0;
    }
  }

  private static Tenant tenant;
  private static Tenant.McpServer server;
  private static Tenant.McpServer otherServer;

  private static CompletableFuture<HttpResponse<String>> rest;
  private static CompletableFuture<HttpResponse<String>> restWithKey;
  private static CompletableFuture<HttpResponse<String>> modern;
  private static CompletableFuture<HttpResponse<String>> legacy;
  private static CompletableFuture<HttpResponse<String>> modernStream;
  private static CompletableFuture<HttpResponse<String>> change;
  private static CompletableFuture<HttpResponse<String>> left;
  private static CompletableFuture<HttpResponse<String>> task;
  private static long answeredAfterMillis;

  @BeforeAll
  static void loseABackend() throws Exception {
    fleet.mend();
    tenant = fleet.tenant();
    try (Connection owner = fleet.database().connect();
        Statement statement = owner.createStatement()) {
      statement.execute("CREATE TABLE IF NOT EXISTS changes (at timestamptz)");
    }
    server = tenant.mcpServer("outliving", List.of(FactLoad.NEAR));
    otherServer = tenant.mcpServer("other", List.of(FactLoad.NEAR));
    watch();
    ask();
    Awaitility.await()
        .pollDelay(Duration.ofMillis((long) (SECONDS * 500)))
        .atMost(Duration.ofMinutes(2))
        .until(() -> true);
    log.info("the backend of all queries is killed");
    long killed = System.nanoTime();
    fleet.backends().get(0).kill();
    CompletableFuture.allOf(rest, restWithKey, modern, legacy).get(150, TimeUnit.SECONDS);
    answeredAfterMillis = (System.nanoTime() - killed) / 1_000_000;
    log.info("answered {} ms after the kill; runs {}", answeredAfterMillis, runs);
  }

  @AfterAll
  static void stop() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
  }

  private static String sql(String marker) {
    return "SELECT '" + marker + "' AS marker, pg_sleep(" + SECONDS + ")::text AS slept";
  }

  /**
   * Counts the runs of each marker: a run is a statement with its start. PostgreSQL moves the start
   * a little between the messages of one run.
   */
  private static void watch() throws SQLException {
    Connection connection = fleet.database().connect();
    open.add(connection);
    Thread watcher =
        new Thread(
            () -> {
              try (Statement statement = connection.createStatement()) {
                while (true) {
                  try (ResultSet rows =
                      statement.executeQuery(
                          "SELECT substring(query from 'run-[a-z]+'), pid, query_start"
                              + " FROM pg_stat_activity WHERE state = 'active'"
                              + " AND application_name = 'conexor-agent' AND query LIKE '%run-%'")) {
                    while (rows.next()) {
                      count(rows.getString(1), rows.getInt(2), rows.getTimestamp(3).toInstant());
                    }
                  }
                  statement.execute("SELECT pg_sleep(0.02)");
                }
              } catch (SQLException e) {
                log.debug("the watch is over: {}", e.getMessage());
              }
            },
            "watcher");
    watcher.setDaemon(true);
    watcher.start();
  }

  private static void count(String marker, int pid, Instant start) {
    Set<Run> known = runs.computeIfAbsent(marker, k -> ConcurrentHashMap.newKeySet());
    if (known.stream().noneMatch(run -> run.isOf(pid, start))) {
      known.add(new Run(pid, start));
    }
  }

  private static void ask() {
    rest = send(query("run-rest"));
    restWithKey = send(query("run-restkey").header("Idempotency-Key", "k-1"));
    change =
        send(
            changing()
                .header(AgentFleet.FIRST, "0")
                .header("Idempotency-Key", "c-1")
                .header("Conexor-Write", "true"));
    modern = send(mcp(server, MODERN, tool("run-modern"), false).header(AgentFleet.FIRST, "0"));
    modernStream =
        send(mcp(server, MODERN, tool("run-stream"), true).header(AgentFleet.FIRST, "0"));
    legacy = send(mcp(server, LEGACY, tool("run-legacy"), false).header(AgentFleet.FIRST, "0"));
    left = send(query("run-left").header("Prefer", "respond-async"));
    task = send(taskable("run-task").header(AgentFleet.FIRST, "0"));
  }

  private static HttpRequest.Builder query(String marker) {
    return post("/api/v1/query", tenant.token())
        .header(AgentFleet.FIRST, "0")
        .POST(
            BodyPublishers.ofString(
                Tenant.json(
                    Map.of("source", FactLoad.NEAR, "sql", sql(marker), "timeoutMs", 110_000))));
  }

  private static HttpRequest.Builder changing() {
    return post("/api/v1/query", tenant.token())
        .POST(
            BodyPublishers.ofString(
                Tenant.json(
                    Map.of(
                        "source",
                        "ledger",
                        "sql",
                        "INSERT INTO changes SELECT now() FROM pg_sleep("
                            + SECONDS
                            + ") -- run-change",
                        "timeoutMs",
                        110_000))));
  }

  private static HttpRequest.Builder post(String path, String key) {
    return HttpRequest.newBuilder(URI.create(tenant.url() + path))
        .timeout(Duration.ofSeconds(120))
        .header("X-API-Key", key)
        .header("Content-Type", "application/json");
  }

  private static Map<String, Object> tool(String marker) {
    return new LinkedHashMap<>(Map.of("name", "query", "arguments", Map.of("sql", sql(marker))));
  }

  private static HttpRequest.Builder mcp(
      Tenant.McpServer at, String version, Map<String, Object> params, boolean mayStream) {
    return rpc(at, version, "tools/call", params, "query", mayStream, Map.of());
  }

  private static HttpRequest.Builder taskable(String marker) {
    return rpc(server, MODERN, "tools/call", tool(marker), "query", false, TASKS);
  }

  private static final Map<String, Object> TASKS =
      Map.of("extensions", Map.of("io.modelcontextprotocol/tasks", Map.of()));

  private static HttpRequest.Builder rpc(
      Tenant.McpServer at,
      String version,
      String method,
      Map<String, Object> params,
      String name,
      boolean mayStream,
      Map<String, Object> capabilities) {
    Map<String, Object> all = new LinkedHashMap<>(params);
    if (version.equals(MODERN)) {
      all.put(
          "_meta",
          Map.of(
              "io.modelcontextprotocol/protocolVersion",
              MODERN,
              "io.modelcontextprotocol/clientCapabilities",
              capabilities));
    }
    HttpRequest.Builder request =
        post(at.path(), at.key())
            .header("MCP-Protocol-Version", version)
            .header(
                "Accept", mayStream ? "application/json, text/event-stream" : "application/json")
            .POST(
                BodyPublishers.ofString(
                    Tenant.json(
                        Map.of("jsonrpc", "2.0", "id", 7, "method", method, "params", all))));
    return version.equals(MODERN)
        ? request.header("Mcp-Method", method).header("Mcp-Name", name)
        : request;
  }

  private static CompletableFuture<HttpResponse<String>> send(HttpRequest.Builder request) {
    return HTTP.sendAsync(request.build(), BodyHandlers.ofString());
  }

  private static void answeredOnce(HttpResponse<String> answer, String marker) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).contains(marker).doesNotContain("\"isError\":true");
    assertThat(runs.get(marker)).as("runs of " + marker).hasSize(1);
    assertThat(answeredAfterMillis).isLessThan((long) (SECONDS * 500) + 1_500);
  }

  @Test
  void a_rest_query_is_answered_once_and_runs_once() throws Exception {
    answeredOnce(rest.get(), "run-rest");
    answeredOnce(restWithKey.get(), "run-restkey");
  }

  @Test
  void a_tool_call_of_the_stateless_revision_is_answered_once_and_runs_once() throws Exception {
    answeredOnce(modern.get(), "run-modern");
  }

  @Test
  void a_tool_call_of_the_revisions_before_is_answered_once_and_runs_once() throws Exception {
    answeredOnce(legacy.get(), "run-legacy");
  }

  /** What was streamed already breaks; who asks again gets the result of the first run. */
  @Test
  void a_tool_call_whose_stream_broke_is_repeated_by_its_client_and_runs_once() throws Exception {
    try {
      assertThat(modernStream.get(60, TimeUnit.SECONDS).body()).doesNotContain("\"result\"");
    } catch (java.util.concurrent.ExecutionException e) {
      assertThat(e).hasCauseInstanceOf(IOException.class);
    }
    HttpResponse<String> again =
        send(mcp(server, MODERN, tool("run-stream"), true)).get(60, TimeUnit.SECONDS);

    answeredOnce(again, "run-stream");
  }

  @Test
  void a_change_is_not_repeated_by_the_balancer_and_found_by_who_repeats_it() throws Exception {
    try {
      assertThat(change.get(60, TimeUnit.SECONDS).statusCode()).isGreaterThanOrEqualTo(500);
    } catch (java.util.concurrent.ExecutionException e) {
      assertThat(e).hasCauseInstanceOf(IOException.class);
    }
    for (int i = 0; i < 2; i++) {
      HttpResponse<String> again =
          send(changing().header("Idempotency-Key", "c-1").header("Conexor-Write", "true"))
              .get(60, TimeUnit.SECONDS);
      assertThat(again.statusCode()).as(again.body()).isEqualTo(200);
      assertThat(again.headers().firstValue("Idempotency-Replayed")).contains("true");
      assertThat(again.body()).contains("\"changed_rows\"").contains("[[1]]");
    }
    try (Connection owner = fleet.database().connect();
        Statement statement = owner.createStatement();
        ResultSet row = statement.executeQuery("SELECT count(*) FROM changes")) {
      row.next();
      assertThat(row.getInt(1)).isEqualTo(1);
    }
    HttpResponse<String> other =
        send(post("/api/v1/query", tenant.token())
                .header("Idempotency-Key", "c-1")
                .header("Conexor-Write", "true")
                .POST(BodyPublishers.ofString("{\"source\":\"ledger\",\"sql\":\"SELECT 1\"}")))
            .get();
    assertThat(other.statusCode()).isEqualTo(409);
  }

  @Test
  void a_query_left_to_its_agent_is_read_from_any_backend_by_its_owner_alone() throws Exception {
    HttpResponse<String> promise = left.get();
    assertThat(promise.statusCode()).as(promise.body()).isEqualTo(202);
    assertThat(promise.headers().firstValue("Retry-After")).isPresent();
    String location = promise.headers().firstValue("Location").orElseThrow();
    Awaitility.await()
        .atMost(Duration.ofSeconds(70))
        .until(() -> get(location, tenant.token()).body().contains("\"DONE\""));
    for (Backend backend : fleet.backends().subList(1, 3)) {
      HttpResponse<String> result =
          send(get(backend.url(), location + "/result", tenant.token())).get();
      answeredOnce(result, "run-left");
    }
    assertThat(get(location, server.key()).statusCode()).isEqualTo(404);
    assertThat(get(location + "/result", server.key()).statusCode()).isEqualTo(404);

    HttpResponse<String> removed = send(get(tenant.url(), location, tenant.token()).DELETE()).get();
    assertThat(removed.statusCode()).isEqualTo(204);
    assertThat(get(location, tenant.token()).statusCode()).isEqualTo(404);
  }

  private static HttpRequest.Builder get(String url, String path, String key) {
    return HttpRequest.newBuilder(URI.create(url + path)).header("X-API-Key", key).GET();
  }

  private static HttpResponse<String> get(String path, String key) {
    return send(get(tenant.url(), path, key)).join();
  }

  @Test
  void a_task_is_read_from_any_backend_by_its_owner_alone() throws Exception {
    HttpResponse<String> handle = task.get();
    JsonNode made = Tenant.parse(handle.body()).path("result");
    assertThat(made.path("resultType").asString()).as(handle.body()).isEqualTo("task");
    assertThat(made.path("status").asString()).isEqualTo("working");
    String id = made.path("taskId").asString();
    Awaitility.await()
        .atMost(Duration.ofSeconds(70))
        .until(
            () -> state(server, id).path("result").path("status").asString(""),
            "completed"::equals);

    JsonNode done = state(server, id).path("result");
    assertThat(done.path("resultType").asString()).isEqualTo("complete");
    assertThat(done.path("result").path("structuredContent").path("rows").toString())
        .contains("run-task");
    assertThat(runs.get("run-task")).hasSize(1);
    assertThat(state(otherServer, id).path("error").path("code").asInt()).isEqualTo(-32602);
    HttpResponse<String> unwilling =
        send(rpc(server, MODERN, "tasks/get", Map.of("taskId", id), id, false, Map.of())).get();
    assertThat(Tenant.parse(unwilling.body()).path("error").path("code").asInt()).isEqualTo(-32021);
  }

  @Test
  void a_cancelled_task_ends_its_statement() throws Exception {
    String id =
        Tenant.parse(send(taskable("run-cancelled")).get().body())
            .path("result")
            .path("taskId")
            .asString();
    HttpResponse<String> cancelled =
        send(rpc(server, MODERN, "tasks/cancel", Map.of("taskId", id), id, false, TASKS)).get();
    assertThat(cancelled.statusCode()).as(cancelled.body()).isEqualTo(200);
    try (Connection owner = fleet.database().connect();
        Statement statement = owner.createStatement()) {
      Awaitility.await()
          .atMost(Duration.ofSeconds(2))
          .until(
              () -> {
                try (ResultSet row =
                    statement.executeQuery(
                        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                            + " AND application_name = 'conexor-agent'"
                            + " AND query LIKE '%run-cancelled%'")) {
                  row.next();
                  return row.getInt(1) == 0;
                }
              });
    }
    Awaitility.await()
        .atMost(Duration.ofSeconds(5))
        .until(
            () -> state(server, id).path("result").path("status").asString(""),
            "cancelled"::equals);
  }

  private static JsonNode state(Tenant.McpServer at, String id) {
    return Tenant.parse(
        send(rpc(at, MODERN, "tasks/get", Map.of("taskId", id), id, false, TASKS)).join().body());
  }
}
