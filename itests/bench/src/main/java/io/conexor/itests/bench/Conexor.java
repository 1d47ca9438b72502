package io.conexor.itests.bench;

import io.conexor.itests.lab.AgentProcess;
import io.conexor.itests.lab.Backend;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/** A server and an agent from the distributions, on their defaults, with one tool. */
final class Conexor implements AutoCloseable {

  private static final String TOOL = "account";
  private static final String SQL = "SELECT id, balance FROM accounts WHERE id = ";

  private final Backend server;
  private final AgentProcess agent;
  private final Tenant.McpServer mcp;

  private Conexor(Backend server, AgentProcess agent, Tenant.McpServer mcp) {
    this.server = server;
    this.agent = agent;
    this.mcp = mcp;
  }

  static Conexor start(AccountsDatabase database) throws IOException {
    Backend server = Backend.embedded().jvm(System.getProperty("bench.server.java", "")).start();
    try {
      Tenant tenant = server.setUp("bench");
      tenant.post("/sources", Map.of("name", "bench", "engine", "postgresql"));
      String tool =
          tenant
              .post(
                  "/tools",
                  Map.of(
                      "name",
                      TOOL,
                      "source",
                      "bench",
                      "sql",
                      SQL + ":id",
                      "parameters",
                      List.of(Map.of("name", "id", "type", "INTEGER"))))
              .get("id")
              .asString();
      AgentProcess agent =
          AgentProcess.of(server.url(), tenant.agent("bench", "bench"))
              .source("bench", database.url(), AccountsDatabase.READER)
              .set("agent.executor.source~bench.password", database.password())
              .jvm(System.getProperty("bench.agent.java", ""))
              .start();
      try {
        Conexor started =
            new Conexor(server, agent, tenant.mcpServer("bench", List.of("bench"), tool));
        server.awaitSources(tenant, "bench");
        return started;
      } catch (RuntimeException | Error e) {
        agent.close();
        throw e;
      }
    } catch (RuntimeException | Error e) {
      server.close();
      throw e;
    }
  }

  /** A prepared statement with a bound parameter, as somebody who runs a server offers it. */
  HttpLoad.Target tool() {
    return target(id -> "{\"name\":\"" + TOOL + "\",\"arguments\":{\"id\":" + id + "}}");
  }

  /** The caller's own SQL with a bound parameter. */
  HttpLoad.Target query() {
    return target(
        id ->
            "{\"name\":\"query\",\"arguments\":{\"sql\":\""
                + SQL
                + "?\",\"parameters\":["
                + id
                + "]}}");
  }

  private HttpLoad.Target target(IntFunction<String> params) {
    String headers = "X-API-Key: " + mcp.key() + "\r\n";
    return new HttpLoad.Target(
        server.port(),
        id -> ToolCall.request(mcp.path(), headers, params.apply(id)),
        id ->
            ("\"rows\":[{\"id\":" + id + ",\"balance\":" + AccountsDatabase.balance(id) + "}]")
                .getBytes(StandardCharsets.US_ASCII));
  }

  /** Processor time of the two JVMs so far; the server's PostgreSQL is a child of the first. */
  double cpuMicros() {
    return Processes.cpuMicros(server.pid()) + Processes.cpuMicros(agent.pid());
  }

  @Override
  public void close() {
    try (server;
        agent) {
      agent.terminate();
      server.terminate(); // it stops its PostgreSQL, whose files would be in use otherwise
    }
  }
}
