package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The server's archive as a process, on a PostgreSQL from elsewhere. */
@ExtendWith(LogsOfFailures.class)
class BackendStartsIT {

  private static LocalPostgres state;
  private static Backend backend;

  @BeforeAll
  static void start() {
    state = LocalPostgres.start();
    backend = Backend.on(state).start();
  }

  @AfterAll
  static void stop() {
    if (backend != null) {
      backend.close();
    }
    if (state != null) {
      state.close();
    }
  }

  @Test
  void a_ready_backend_tells_load_balancers_so() {
    assertThat(backend.get("/health").statusCode()).isEqualTo(200);
    assertThat(backend.get("/health").body()).contains("HEALTHY");
  }

  @Test
  void set_up_makes_an_organisation_with_agents_servers_and_keys() {
    Tenant tenant = backend.setUp("acme");

    assertThat(tenant.agent("berlin", "orders").key()).startsWith("pk_");
    assertThat(tenant.mcpServer("shop", List.of()).path()).isEqualTo("/mcp/acme/shop");
  }

  @Test
  void what_a_process_uses_can_be_measured() {
    assertThat(backend.residentKiB()).isGreaterThan(50_000);
    assertThat(backend.liveHeapKiB()).isBetween(5_000L, 256L * 1024);
    assertThat(backend.threads()).isGreaterThan(10);
  }
}
