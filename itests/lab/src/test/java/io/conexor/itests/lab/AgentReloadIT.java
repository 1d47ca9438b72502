package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** What an operator changes at an agent while it runs: its file, and its drivers. */
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
@ExtendWith(LogsOfFailures.class)
class AgentReloadIT {

  private static final String ONE = "agent.executor.source~hot-one.";
  private static final String TWO = "agent.executor.source~hot-two.";

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  @Test
  void a_dropped_driver_and_a_changed_file_are_taken_over_while_it_runs(@TempDir Path drivers)
      throws Exception {
    Tenant tenant = fleet.tenant();
    Tenant.Agent key = tenant.agent("changing");
    String url = "jdbc:postgresql://127.0.0.1:" + fleet.database().port() + "/conexor";
    try (AgentProcess agent =
        AgentProcess.of(tenant.url(), key)
            .features("agent")
            .set("runtime.reload.ms", "200")
            .set("runtime.drivers.dir", drivers.toString())
            .source("hot-one", url, "conexor")
            .set(ONE + "functions.allowed", "pg_sleep")
            .jvm(AgentFleet.JVM)
            .start()) {
      await(key, one -> one.path("reason").asString("").contains("no JDBC driver"));

      Files.copy(driver(), drivers.resolve("postgresql.jar"));
      await(key, one -> one.path("state").asString("").equals("UP"));

      CompletableFuture<HttpResponse<String>> running =
          CompletableFuture.supplyAsync(
              () -> ask(tenant, "hot-one", "select pg_sleep(2)::text || 'slept'"));
      agent.reconfigure(Map.of(TWO + "url", url, TWO + "user", "conexor", TWO + "max.rows", "3"));
      fleet.backends().forEach(each -> each.awaitSources(tenant, "hot-two"));
      assertThat(running.join().body()).contains("slept");

      // what the agent sets as its limit holds, whatever is asked for
      JsonNode two = source(key, "hot-two");
      assertThat(two.path("maxRows").asLong()).isEqualTo(3);
      assertThat(two.path("maxConcurrent").asInt()).isPositive();
      assertThat(
              ask(tenant, "hot-two", "select n from (values (1), (2), (3), (4), (5)) as t(n)")
                  .body())
          .contains("\"rowCount\":3")
          .contains("\"truncated\":true");

      agent.reconfigure(Map.of(TWO + "max.rows", "many"));
      agent.awaitOutput("is not used");
      assertThat(ask(tenant, "hot-two", "select 1").statusCode()).isEqualTo(200);
      agent.reconfigure(Map.of(TWO + "max.rows", "5"));
      Awaitility.await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> source(key, "hot-two").path("maxRows").asLong() == 5);
    }
  }

  private static void await(Tenant.Agent key, Predicate<JsonNode> condition) {
    Awaitility.await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> condition.test(source(key, "hot-one")));
  }

  private static JsonNode source(Tenant.Agent key, String name) {
    for (JsonNode link : fleet.tenant().get("/agents/" + key.id()).path("links")) {
      for (JsonNode each : link.path("sources")) {
        if (each.path("name").asString("").equals(name)) {
          return each;
        }
      }
    }
    return Tenant.parse("{}");
  }

  private static HttpResponse<String> ask(Tenant tenant, String source, String sql) {
    return tenant.call("POST", "/query", Map.of("source", source, "sql", sql, "limit", 100));
  }

  /** PostgreSQL's, out of the archive. */
  private static Path driver() throws IOException {
    try (Stream<Path> files = Files.walk(Distribution.AGENT.home().resolve("bundles"))) {
      return files
          .filter(file -> file.getFileName().toString().matches("postgresql-.*\\.jar"))
          .findFirst()
          .orElseThrow();
    }
  }
}
