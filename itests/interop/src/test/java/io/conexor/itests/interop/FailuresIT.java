package io.conexor.itests.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.itests.lab.LogsOfFailures;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import tools.jackson.databind.JsonNode;

/** What callers of MCP and REST see when the only agent or its database breaks in the middle. */
@ExtendWith(LogsOfFailures.class)
class FailuresIT {

  private static final String LONG = "SELECT count(*) FROM numbers a, numbers b, numbers c";

  @RegisterExtension static final Shop shop = new Shop();

  private Shop.Open open;

  @BeforeEach
  void everything_runs() {
    open = shop.open();
  }

  @AfterEach
  void mend() {
    if (!open.process().isAlive()) {
      open.process().start();
    }
    await()
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(250))
        .until(
            () ->
                !open.mcp().result("query", "sql", "SELECT 1").path("isError").asBoolean()
                    && open.statementsWith("numbers a, numbers b, numbers c") == 0);
  }

  /** The same query twice: as a tool call and through REST. */
  private record Asked(
      CompletableFuture<HttpResponse<InputStream>> mcp,
      CompletableFuture<HttpResponse<String>> rest) {

    JsonNode tool() throws Exception {
      HttpResponse<InputStream> answer = mcp.get(60, TimeUnit.SECONDS);
      assertThat(answer.statusCode()).isEqualTo(200);
      String body =
          new String(answer.body().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
      return Tenant.parse(
              body.substring(body.lastIndexOf("data: ") < 0 ? 0 : body.lastIndexOf("data: ") + 6))
          .get("result");
    }

    HttpResponse<String> problem() throws Exception {
      return rest.get(60, TimeUnit.SECONDS);
    }
  }

  private Asked ask() {
    Asked asked =
        new Asked(
            McpClient.begin(
                open.mcp()
                    .request("tools/call", McpClient.call("query", Map.of("sql", LONG)), "query")),
            CompletableFuture.supplyAsync(
                () ->
                    open.tenant().call("POST", "/query", Map.of("source", "goods", "sql", LONG))));
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> open.statementsWith("numbers a, numbers b, numbers c") == 2);
    return asked;
  }

  private static void isError(JsonNode tool, String code, String blame, boolean safeToRetry) {
    assertThat(tool.get("isError").asBoolean()).as(tool.toString()).isTrue();
    JsonNode facts = tool.get("_meta").get("io.conexor/error");
    assertThat(facts.get("code").asString()).as(tool.toString()).isEqualTo(code);
    assertThat(facts.get("blame").asString()).isEqualTo(blame);
    assertThat(facts.get("safeToRetry").asBoolean()).isEqualTo(safeToRetry);
  }

  private static void isProblem(
      HttpResponse<String> answer, int status, String code, String applied) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    JsonNode problem = Tenant.parse(answer.body());
    assertThat(problem.get("code").asString()).isEqualTo(code);
    assertThat(problem.get("applied").asString()).isEqualTo(applied);
    if (status == 503) {
      assertThat(answer.headers().firstValue("Retry-After")).isPresent();
    }
  }

  @Test
  void the_only_agent_is_killed_in_the_middle() throws Exception {
    Asked asked = ask();
    long since = System.nanoTime();
    open.process().kill();

    JsonNode tool = asked.tool();
    HttpResponse<String> problem = asked.problem();
    System.out.println(
        "killed agent: told after "
            + Duration.ofNanos(System.nanoTime() - since).toMillis()
            + " ms "
            + tool
            + problem.body());

    // Nobody was there to run it again. A tool on a source that only reads may be called again.
    isError(tool, "agent_lost", "DEPENDENCY", true);
    isProblem(problem, 504, "agent_lost", "UNKNOWN");
    // And who asks now is told at once.
    HttpResponse<String> next =
        open.tenant().call("POST", "/query", Map.of("source", "goods", "sql", "SELECT 1"));
    isProblem(next, 503, "no_agent", "NO");
  }

  @Test
  void the_agents_database_is_killed_in_the_middle() throws Exception {
    Asked asked = ask();
    open.goods().pause();
    try {
      JsonNode tool = asked.tool();
      HttpResponse<String> problem = asked.problem();
      System.out.println("killed database: " + tool + problem.body());
      // The agent tried again on a new connection, and there was none.
      isError(tool, "source_unreachable", "DEPENDENCY", true);
      isProblem(problem, 503, "source_unreachable", "NO");
    } finally {
      open.goods().resume();
    }
  }

  @Test
  void the_only_agent_freezes_in_the_middle() throws Exception {
    Asked asked = ask();
    long since = System.nanoTime();
    open.process().pause();
    try {
      JsonNode tool = asked.tool();
      HttpResponse<String> problem = asked.problem();
      System.out.println(
          "frozen agent: told after "
              + Duration.ofNanos(System.nanoTime() - since).toMillis()
              + " ms "
              + tool
              + problem.body());
      isError(tool, "agent_lost", "DEPENDENCY", true);
      isProblem(problem, 504, "agent_lost", "UNKNOWN");
      assertThat(Duration.ofNanos(System.nanoTime() - since)).isLessThan(Duration.ofSeconds(30));
    } finally {
      open.process().resume();
    }
  }

  @Test
  void a_client_that_closes_its_stream_ends_its_query_in_the_database() throws IOException {
    for (boolean afterFirstEvent : new boolean[] {false, true}) {
      CompletableFuture<HttpResponse<InputStream>> call =
          McpClient.begin(
              open.mcp()
                  .request("tools/call", McpClient.call("query", Map.of("sql", LONG)), "query"));
      await()
          .atMost(Duration.ofSeconds(60))
          .until(() -> open.statementsWith("numbers a, numbers b, numbers c") == 1);
      if (afterFirstEvent) {
        HttpResponse<InputStream> answer = call.join();
        assertThat(answer.headers().firstValue("Content-Type")).contains("text/event-stream");
        assertThat(answer.body().read()).isEqualTo(':');
        answer.body().close();
      } else {
        call.cancel(true);
      }

      await()
          .atMost(Duration.ofSeconds(60))
          .until(() -> open.statementsWith("numbers a, numbers b, numbers c") == 0);
    }
  }
}
