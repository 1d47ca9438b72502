package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Two backends and an agent with one link, so that half of all calls go through Redis. Once per
 * topology.
 */
@ExtendWith(LogsOfFailures.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RelayContract {

  private static final Logger log = LoggerFactory.getLogger(RelayContract.class);

  private static final String SOURCE = "state";
  private static final Duration REBUILT = Duration.ofSeconds(2);

  abstract RedisLab redis();

  private Fleet fleet;
  private Tenant tenant;
  private Tenant.Agent key;
  private AgentProcess agent;

  @BeforeAll
  void start() {
    fleet = Fleet.of(2, redis()).jvm(AgentFleet.JVM).shippedBalancer(lines -> lines).start();
    tenant = fleet.setUp("acme");
    key = tenant.agent("berlin");
    agent =
        AgentProcess.of(fleet.url(), key)
            .set("agent.link.links.max", "1")
            .source(SOURCE, fleet.state())
            .jvm(AgentFleet.JVM)
            .start();
    fleet.backends().forEach(each -> each.awaitSources(tenant, SOURCE));
  }

  @AfterAll
  void stop() {
    if (agent != null) {
      agent.close();
    }
    if (fleet != null) {
      fleet.close();
    }
  }

  private Burst burst(Tenant asked, Duration time) {
    return Burst.of(asked, SOURCE, "select count(*) from organisations", 4, time);
  }

  @Test
  void both_backends_answer_though_one_has_no_link() {
    for (Backend backend : fleet.backends()) {
      Burst burst = burst(tenant.at(backend.url()), Duration.ofSeconds(1));
      log.info("{}: {}", backend, burst);
      assertThat(burst.failures()).isEmpty();
      assertThat(burst.nanos()).isNotEmpty();
    }
  }

  @Test
  void the_directory_is_rebuilt_soon_after_redis_is_back() {
    redis().servers().forEach(each -> each.process().kill());
    // Until the others are forgotten.
    for (Backend backend : fleet.backends()) {
      backend.await(
          "a directory of its own", Duration.ofSeconds(20), () -> fleetSize(backend) == 1);
    }
    redis().mend(Duration.ofSeconds(40));
    long back = System.nanoTime();
    for (Backend backend : fleet.backends()) {
      backend.awaitLinks(tenant, key.id(), 1);
    }
    Duration took = Duration.ofNanos(System.nanoTime() - back);

    log.info("directory rebuilt {} ms after Redis was back", took.toMillis());
    assertThat(took).isLessThan(REBUILT);
    both_backends_answer_though_one_has_no_link();
  }

  @Test
  void a_new_backend_knows_all_links_soon() {
    Backend unlinked =
        fleet.backends().stream().filter(each -> !hasLink(each)).findFirst().orElseThrow();
    unlinked.kill();
    unlinked.start();
    long ready = System.nanoTime();
    unlinked.awaitLinks(tenant, key.id(), 1);
    Duration took = Duration.ofNanos(System.nanoTime() - ready);

    log.info("a new backend knew the link {} ms after it was ready", took.toMillis());
    assertThat(took).isLessThan(REBUILT);
    assertThat(ask(tenant.at(unlinked.url())).statusCode()).isEqualTo(200);
  }

  private boolean hasLink(Backend backend) {
    String node = Tenant.parse(health(backend)).path("node").asString();
    return tenant.get("/agents/" + key.id()).get("links").get(0).toString().contains(node);
  }

  private int fleetSize(Backend backend) {
    String facts = health(backend);
    int at = facts.indexOf("\"backends\":\"");
    return at < 0 ? 0 : Integer.parseInt(facts.substring(at + 12, facts.indexOf('"', at + 12)));
  }

  private String health(Backend backend) {
    return Backend.send(
            java.net.http.HttpRequest.newBuilder(java.net.URI.create(backend.url() + "/health"))
                .header("X-API-Key", tenant.token()))
        .body();
  }

  private static HttpResponse<String> ask(Tenant asked) {
    return asked.call("POST", "/query", Map.of("source", SOURCE, "sql", "select 1"));
  }
}
