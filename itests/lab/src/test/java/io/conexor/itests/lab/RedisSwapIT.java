package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.api.session.Session;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Backends move from one installation to another, one after the other, while events flow. */
class RedisSwapIT {

  private static final Logger log = LoggerFactory.getLogger(RedisSwapIT.class);

  @RegisterExtension static final SharedRedis sentinel = SharedRedis.calm(Mode.SENTINEL);
  @RegisterExtension static final SharedRedis cluster = SharedRedis.calm(Mode.CLUSTER);

  @Test
  void events_are_neither_lost_nor_doubled_by_a_swap_there_and_back() {
    List<RedissonClient> clients = new ArrayList<>();
    try (RedisFleet fleet = new RedisFleet(sentinel.lab(), 3);
        EventLoad events = new EventLoad(fleet, 4_000, 500)) {
      events.start();
      for (Mode mode : List.of(Mode.CLUSTER, Mode.SENTINEL)) {
        RedisLab to = mode == Mode.CLUSTER ? cluster.lab() : sentinel.lab();
        LockSupport.parkNanos(1_500_000_000);
        for (RedisFleet.Backend each : fleet.backends()) {
          RedissonClient client =
              Redisson.create(ClientSettings.defaults().toRedisson(to.endpoints()));
          clients.add(client);
          each.backplane().moveTo(client, mode == Mode.CLUSTER);
          LockSupport.parkNanos(300_000_000);
        }
      }
      try {
        await().atMost(Duration.ofSeconds(20)).until(events::isComplete);
      } finally {
        log.info("swap: {}", events);
      }
      LockSupport.parkNanos(1_500_000_000);

      assertThat(List.of(events.failed(), events.missing(), events.doubled(), events.disordered()))
          .as("failed, missing, doubled, out of order of %s", events)
          .containsOnly(0);
    } finally {
      clients.forEach(RedissonClient::shutdown);
    }
  }

  @Test
  void nobody_is_logged_out_and_nothing_is_forgotten_by_a_move_there_and_back() throws Exception {
    List<RedissonClient> clients = new ArrayList<>();
    try (RedisFleet fleet = new RedisFleet(sentinel.lab(), 3, false);
        SessionLoad sessions = new SessionLoad(fleet, 8, Duration.ofMillis(10))) {
      List<RedisSessionStore> stores =
          fleet.backends().stream().map(RedisFleet.Backend::sessions).toList();
      Session early = stores.get(0).create("nobody asks", Map.of(), Duration.ofHours(1));
      for (Mode mode : List.of(Mode.CLUSTER, Mode.SENTINEL)) {
        RedisLab to = mode == Mode.CLUSTER ? cluster.lab() : sentinel.lab();
        LockSupport.parkNanos(500_000_000);
        for (RedisSessionStore each : stores) {
          RedissonClient client =
              Redisson.create(ClientSettings.defaults().toRedisson(to.endpoints()));
          clients.add(client);
          each.join(client, true);
        }
        for (RedisSessionStore each : stores) {
          each.leave();
          LockSupport.parkNanos(200_000_000);
        }
        log.info("move: {}; {}", stores.get(0).bringAlong(), sessions);
        stores.forEach(RedisSessionStore::forget);
      }
      LockSupport.parkNanos(500_000_000);
      sessions.stop();

      assertThat(List.of(sessions.loggedOut.get(), sessions.unavailable.get(), sessions.lost()))
          .as("logged out, unavailable, lost of %s", sessions)
          .containsOnly(0);
      assertThat(stores.get(1).find(early.id())).isPresent();
      assertThat(stores.get(2).removeAll("nobody asks", Optional.empty())).isEqualTo(1);
      assertThat(stores.get(1).find(early.id())).isEmpty();
    } finally {
      clients.forEach(RedissonClient::shutdown);
    }
  }
}
