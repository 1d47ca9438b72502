package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a link costs its backend that nobody uses. Needs 10,000 file handles in each process. */
@ExtendWith(LogsOfFailures.class)
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class ManyLinksIT {

  private static final Logger log = LoggerFactory.getLogger(ManyLinksIT.class);

  private static final int LINKS = Integer.getInteger("conexor.links", 10_000);
  private static final int HEARTBEAT_MS = Integer.getInteger("conexor.heartbeat", 1_000);
  private static final String SOURCE = "state";

  @Test
  void ten_thousand_idle_links_cost_20_kib_each_at_most_and_slow_no_query_down() {
    try (LocalPostgres state = LocalPostgres.start();
        Backend backend =
            Backend.on(state)
                .set("hub.agent.links.max", "10000")
                .set("hub.heartbeat.interval.ms", Integer.toString(HEARTBEAT_MS))
                .set("hub.liveness.timeout.ms", Integer.toString(3 * HEARTBEAT_MS))
                .jvm("-Xmx512m -XX:+UseSerialGC")
                .start()) {
      Tenant tenant = backend.setUp("acme");
      try (AgentProcess agent =
              AgentProcess.of(backend.url(), tenant.agent("berlin"))
                  .source(SOURCE, state)
                  .set("agent.link.liveness.timeout.ms", Integer.toString(3 * HEARTBEAT_MS))
                  .start();
          IdleLinks first = links(backend, tenant, "few");
          IdleLinks links = links(backend, tenant, "crowd")) {
        assertThat(agent.isAlive()).isTrue();
        backend.awaitSources(tenant, SOURCE);
        burst(tenant, 10);
        first.open(100, Duration.ofSeconds(10)); // what a first link needs is not counted
        Burst before = burst(tenant, 5);
        long heap = backend.liveHeapKiB();
        long resident = backend.residentKiB();
        links.open(LINKS, Duration.ofMinutes(2));
        long heapWith = backend.liveHeapKiB();
        burst(tenant, 3);
        Burst with = burst(tenant, 5);
        long residentWith = backend.residentKiB();

        double heapEach = (double) (heapWith - heap) / LINKS;
        double residentEach = (double) (residentWith - resident) / LINKS;
        log.info(
            "{} links, a heartbeat every {} ms: {} KiB of heap, {} KiB resident each;"
                + " alone {}, with them {}; {} lost",
            LINKS,
            HEARTBEAT_MS,
            heapEach,
            residentEach,
            before,
            with,
            links.lost());
        assertThat(links.lost()).isZero();
        assertThat(with.failures()).isEmpty();
        assertThat(residentEach).isLessThan(20);
        assertThat(with.quantile(0.5))
            .isLessThan(before.quantile(0.5).multipliedBy(6).dividedBy(5));
      }
    }
  }

  private static IdleLinks links(Backend backend, Tenant tenant, String agent) {
    return new IdleLinks(
        backend.port(), tenant.agent(agent).key(), Duration.ofMillis(HEARTBEAT_MS));
  }

  private static Burst burst(Tenant tenant, int seconds) {
    return Burst.of(tenant, SOURCE, "select 1", 1, Duration.ofSeconds(seconds));
  }
}
