package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.redis.RedisEndpoints.Mode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Three backends from the archive behind a balancer that never sends two requests of a person to
 * the same one on purpose. {@code -Dconexor.full=true} runs the full numbers.
 */
@ExtendWith(LogsOfFailures.class)
class FleetSessionsIT {

  private static final Logger log = LoggerFactory.getLogger(FleetSessionsIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");

  @RegisterExtension static final SharedRedis sentinel = new SharedRedis(Mode.SENTINEL);

  private static Fleet fleet;
  private static Tenant tenant;

  @BeforeAll
  static void start() {
    fleet = Fleet.of(3, sentinel.lab()).start();
    tenant = fleet.setUp("acme");
  }

  @AfterAll
  static void stop() {
    if (fleet != null) {
      fleet.close();
    }
  }

  @Test
  void a_session_is_the_same_on_every_backend_and_loses_no_change() {
    int requests = FULL ? 10_000 : 2_000;
    Login login = Login.of(tenant);
    List<CompletableFuture<Clicks>> writers = new ArrayList<>();
    for (int w = 0; w < 8; w++) {
      Clicks clicks = new Clicks(login, "writer-" + w);
      writers.add(CompletableFuture.supplyAsync(() -> clicks.run(requests / 8, Duration.ZERO)));
    }
    List<Clicks> done = writers.stream().map(CompletableFuture::join).toList();

    log.info("{} requests: {}", requests, done);
    assertThat(done).allSatisfy(each -> assertThat(each.failures()).isEmpty());
    for (Backend backend : fleet.backends()) {
      var kept = login.at(backend.url()).attributes();
      done.forEach(each -> assertThat(kept.path(each.name()).asString()).isEqualTo(each.last()));
    }
  }

  @Test
  void log_out_is_seen_by_all_backends_at_once() {
    Login login = Login.of(tenant);
    Login other = Login.of(tenant);

    login.logOut();

    for (Backend backend : fleet.backends()) {
      assertThat(login.at(backend.url()).status()).isEqualTo(401);
      assertThat(other.at(backend.url()).status()).isEqualTo(200);
    }
  }
}
