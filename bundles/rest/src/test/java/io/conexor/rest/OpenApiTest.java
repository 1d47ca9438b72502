package io.conexor.rest;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Error;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.catalog.AgentId;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

class OpenApiTest {

  private final World world = new World();
  private final RestApi api =
      RestApiTest.api(world, new World.ScriptedKeys(), new World.ScriptedUsers(), 2, 16);
  private final JsonNode document = ask("GET", "/openapi.json", "").json();

  @AfterEach
  void stop() {
    api.close();
  }

  private ScriptedExchange ask(String method, String path, String body) {
    ScriptedExchange exchange =
        new ScriptedExchange(method, path, body).header("X-API-Key", "admin");
    api.handle(exchange);
    return exchange.await();
  }

  @Test
  void every_operation_is_described_and_every_description_is_an_operation() {
    Set<String> described = new TreeSet<>();
    for (String path : document.get("paths").propertyNames()) {
      for (String method : document.get("paths").get(path).propertyNames()) {
        described.add(
            method.toUpperCase(java.util.Locale.ROOT) + " " + path.replaceAll("\\{[a-z]+}", "{}"));
      }
    }

    assertThat(described).isEqualTo(api.operationNames());
  }

  @Test
  void real_answers_are_as_described() {
    world.agent =
        (call, sink) -> {
          sink.batch(
              new RowBatch(
                  List.of(
                      new Column(
                          "a", ColumnType.ARRAY, true, Optional.of(ColumnType.INTEGER), "_int4")),
                  0,
                  new byte[0],
                  0,
                  0));
          sink.done(new QuerySummary(AgentId.random(), "berlin", 0, false, 1));
        };
    String agent = created("/agents", "{\"name\":\"x\",\"allowedSources\":[\"sales\"]}");
    String tool =
        created(
            "/tools",
            "{\"name\":\"t\",\"source\":\"sales\",\"sql\":\"select :a\",\"parameters\":[{\"name\":\"a\","
                + "\"type\":\"INTEGER\",\"default\":5}]}");
    String server = created("/mcp-servers", "{\"name\":\"m\",\"tools\":[\"" + tool + "\"]}");
    created("/sources", "{\"name\":\"new\",\"engine\":\"h2\"}");
    created("/keys", "{\"kind\":\"ADMIN\",\"name\":\"ci\",\"expiresAt\":\"2100-01-01T00:00:00Z\"}");
    created("/users", "{\"email\":\"a@b.c\",\"password\":\"long enough\"}");
    check("POST", "/query", "{\"source\":\"sales\",\"sql\":\"select 1\"}", "Result");
    check("POST", "/sources/sales/schema/refresh", "", "Schema");
    check("GET", "/sources/sales/schema", "", "Schema");
    check("GET", "/agents/" + agent, "", "Agent");
    check("PUT", "/tools/" + tool, "{\"name\":\"t\",\"source\":\"sales\",\"sql\":\"s\"}", "Tool");
    check("PUT", "/mcp-servers/" + server, "{\"name\":\"m\"}", "McpServer");
    check("GET", "/organisation", "", "Organisation");
    check("GET", "/session", "", "Session");
    check("GET", "/setup", "", "SetupState");
    check("GET", "/agents", "", "AgentPage");
    check("GET", "/sources", "", "SourcePage");
    check("GET", "/tools", "", "ToolPage");
    check("GET", "/mcp-servers", "", "McpServerPage");
    check("GET", "/keys", "", "KeyPage");
    check("GET", "/users", "", "UserPage");
    check("GET", "/audit", "", "AuditRecordPage");
    check("POST", "/login", "{\"email\":\"a@b\",\"password\":\"right\"}", "Session");
    check("POST", "/login", "{\"email\":\"a@b\",\"password\":\"wrong\"}", "Problem");
    check("POST", "/sources", "{}", "Problem");
    check("GET", "/nothing", "", "Problem");
  }

  private String created(String path, String body) {
    ScriptedExchange answer = ask("POST", path, body);
    assertThat(answer.status).as(answer.text()).isEqualTo(201);
    String ref =
        document
            .at("/paths/" + path.replace("/", "~1") + "/post/responses/201/content")
            .get("application/json")
            .get("schema")
            .get("$ref")
            .stringValue();
    assertThat(problems(answer.json(), ref)).as("%s", answer.text()).isEmpty();
    JsonNode id = answer.json().get("id");
    return id == null ? "" : id.stringValue();
  }

  private void check(String method, String path, String body, String schema) {
    ScriptedExchange answer = ask(method, path, body);
    assertThat(problems(answer.json(), "#/components/schemas/" + schema))
        .as("%s %s: %s", method, path, answer.text())
        .isEmpty();
  }

  private List<Error> problems(JsonNode answer, String ref) {
    ObjectNode schema = Json.object();
    schema.set("components", document.get("components"));
    schema.put("$ref", ref);
    return SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
        .getSchema(schema)
        .validate(answer);
  }
}
