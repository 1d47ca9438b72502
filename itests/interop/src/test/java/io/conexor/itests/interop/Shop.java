package io.conexor.itests.interop;

import io.conexor.api.database.LocalPostgres;
import io.conexor.itests.lab.AgentProcess;
import io.conexor.itests.lab.Backend;
import io.conexor.itests.lab.Tenant;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * One backend, one agent with one database, one MCP server, for all test classes of a run. What a
 * test breaks it mends.
 *
 * <pre>{@code
 * @RegisterExtension static final Shop shop = new Shop();
 * }</pre>
 */
final class Shop implements BeforeAllCallback {

  /** Small on purpose: results have to pass through, not to pile up. */
  private static final String HEAP = "-Xmx256m";

  private Open open;

  Open open() {
    return open;
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    open =
        context
            .getRoot()
            .getStore(Namespace.create(Shop.class))
            .getOrComputeIfAbsent("shop", key -> Open.start(), Open.class);
  }

  /** What is running. */
  record Open(
      LocalPostgres state,
      LocalPostgres goods,
      Backend backend,
      Tenant tenant,
      Tenant.Agent agent,
      AgentProcess process,
      Tenant.McpServer server)
      implements ExtensionContext.Store.CloseableResource {

    static Open start() {
      Deque<AutoCloseable> opened = new ArrayDeque<>();
      try {
        return start(opened);
      } catch (RuntimeException | Error e) {
        for (AutoCloseable each : opened) {
          try {
            each.close();
          } catch (Exception alsoFailed) {
            e.addSuppressed(alsoFailed);
          }
        }
        throw e;
      }
    }

    private static Open start(Deque<AutoCloseable> opened) {
      LocalPostgres state = LocalPostgres.start();
      opened.push(state);
      LocalPostgres goods = LocalPostgres.start();
      opened.push(goods);
      goods.execute(Schema.SQL);
      Backend backend =
          Backend.on(state)
              .jvm(HEAP)
              // Busy machines stand still for seconds; this is not about how soon that is noticed.
              .set("hub.liveness.timeout.ms", "10000")
              .set("mcp.stream.after.ms", "1000")
              .set("mcp.stream.interval.ms", "500")
              .set("agent.registry.heartbeat.interval.ms", "500")
              .start();
      opened.push(backend);
      Tenant tenant = backend.setUp("acme");
      Tenant.Agent agent = tenant.agent("berlin");
      AgentProcess process =
          AgentProcess.of(backend.url(), agent)
              .jvm(HEAP)
              .set("agent.link.liveness.timeout.ms", "10000")
              .source("goods", goods)
              .set("agent.executor.source~goods.schemas", "public, odd")
              .set("agent.executor.source~goods.max.rows", "1000000")
              .set("agent.executor.source~goods.probe.interval.ms", "500")
              .start();
      opened.push(process);
      // Nobody registers the source: the agent announces it.
      backend.awaitSources(tenant, "goods");
      String cheap =
          tenant
              .post(
                  "/tools",
                  Map.of(
                      "name", "cheap_products",
                      "description", "Products below a price",
                      "source", "goods",
                      "sql",
                          "SELECT name, price FROM products WHERE price < :max AND tags @> :tags ORDER BY id",
                      "parameters",
                          List.of(
                              Map.of("name", "max", "type", "DECIMAL"),
                              Map.of(
                                  "name",
                                  "tags",
                                  "type",
                                  "ARRAY",
                                  "required",
                                  false,
                                  "default",
                                  List.of()))))
              .get("id")
              .asString();
      return new Open(
          state,
          goods,
          backend,
          tenant,
          agent,
          process,
          tenant.mcpServer("shop", List.of("goods"), cheap));
    }

    McpClient mcp() {
      return new McpClient(backend.url() + server.path(), server.key());
    }

    /** Statements of the agent that run in the database and contain this text. */
    int statementsWith(String text) {
      try (Connection connection =
              DriverManager.getConnection(
                  "jdbc:postgresql://127.0.0.1:" + goods.port() + "/conexor?user=postgres");
          Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "select count(*) from pg_stat_activity where state <> 'idle'"
                      + " and pid <> pg_backend_pid() and position('"
                      + text
                      + "' in query) > 0")) {
        row.next();
        return row.getInt(1);
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      process.close();
      backend.close();
      goods.close();
      state.close();
    }
  }
}
