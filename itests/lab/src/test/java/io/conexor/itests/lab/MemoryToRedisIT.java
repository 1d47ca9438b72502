package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.redis.RedisEndpoints.Mode;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One backend on the embedded default gets a Redis while people use it. */
@ExtendWith(LogsOfFailures.class)
class MemoryToRedisIT {

  private static final Logger log = LoggerFactory.getLogger(MemoryToRedisIT.class);
  private static final String SWAP = "feature:swap embedded embedded-postgres redis-sentinel";

  @RegisterExtension static final SharedRedis sentinel = SharedRedis.calm(Mode.SENTINEL);

  @Test
  void sessions_and_messages_survive_the_change_of_a_lone_backend_from_memory_to_redis()
      throws Exception {
    RedisLab redis = sentinel.lab();
    try (Backend backend =
        Backend.embedded()
            .set("redis.sentinel.master", redis.endpoints().master().orElseThrow())
            .set("redis.sentinel.addresses", Fleet.addresses(redis))
            .start()) {
      ChatBundle.install(backend);
      Tenant tenant = backend.setUp("acme");
      Tenant.Agent key = tenant.agent("berlin");
      try (AgentProcess agent =
              AgentProcess.of(backend.url(), key)
                  .features("agent, jdbc-sqlite")
                  .source("facts", "jdbc:sqlite::memory:", "")
                  .start();
          FleetLoad load =
              new FleetLoad(
                  tenant,
                  tenant.mcpServer("facts", List.of("facts")).key(),
                  new FleetLoad.Crowd(4, 2, 2))) {
        Login idle = Login.of(tenant);
        idle.keep("idle", "1");
        backend.awaitSources(tenant, "facts");
        load.start();
        LockSupport.parkNanos(1_000_000_000);

        String plan = backend.shell(SWAP + " --migrate --plan");
        String done = backend.shell(SWAP + " --migrate");
        log.info("{}", done);

        assertThat(plan)
            .contains("start    io.conexor.session.redis", "stop     io.conexor.session.memory")
            .doesNotContain("restart ", "database.embedded");
        assertThat(done).startsWith(plan.strip()).contains("sessions from memory", "done; to keep");
        assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
        LockSupport.parkNanos(1_000_000_000);
        load.stopAndCheck();
        // There is no way back for the state of all backends into the memory of one.
        assertThatThrownBy(() -> backend.shell("feature:swap redis-sentinel memory --migrate"))
            .hasMessageContaining("undone");
        assertThat(idle.attributes().path("idle").asString()).isEqualTo("1");
        assertThat(agent.isAlive()).isTrue();
      }
    }
  }
}
