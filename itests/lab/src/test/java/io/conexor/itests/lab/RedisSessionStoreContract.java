package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.session.SessionStore;
import io.conexor.api.session.SessionStoreContract;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** The contract on real servers, seen by two backends. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RedisSessionStoreContract extends SessionStoreContract {

  private static final Pattern CALLS =
      Pattern.compile("cmdstat_(hgetall|evalsha|eval):calls=(\\d+)");

  private RedissonClient first;
  private RedissonClient second;
  private SessionStore near;
  private SessionStore far;

  abstract RedisLab lab();

  @BeforeAll
  void connect() {
    first = Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints()));
    second = Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints()));
    near = new RedisSessionStore(first, true, RedisSessionStore.Settings.defaults());
    far = new RedisSessionStore(second, true, RedisSessionStore.Settings.defaults());
  }

  @AfterAll
  void disconnect() {
    first.shutdown();
    second.shutdown();
  }

  @Test
  void a_find_is_one_plain_read_and_an_update_one_script() throws IOException {
    var session = near.create("counted", Map.of("a", "0"), Duration.ofHours(1));
    Map<String, Long> before = callsAtRest();

    for (int i = 0; i < 20; i++) {
      assertThat(far.find(session.id())).isPresent();
    }
    Map<String, Long> found = calls();
    for (int i = 0; i < 20; i++) {
      near.update(session.id(), Map.of("a", Integer.toString(i)), List.of());
    }
    Map<String, Long> updated = calls();

    assertThat(more(before, found, "hgetall")).isEqualTo(20);
    assertThat(more(before, found, "evalsha")).isZero();
    assertThat(more(found, updated, "evalsha")).isEqualTo(20);
    // Within the script, which is no round trip.
    assertThat(more(found, updated, "hgetall")).isEqualTo(20);
    assertThat(more(found, updated, "eval")).isZero();
  }

  /** Once renewals of sessions of other tests, for which nobody waits, are through. */
  private Map<String, Long> callsAtRest() {
    AtomicReference<Map<String, Long>> last = new AtomicReference<>(Map.of());
    await()
        .atMost(Duration.ofSeconds(10))
        .until(
            () -> {
              Map<String, Long> now = calls();
              return now.equals(last.getAndSet(now));
            });
    return last.get();
  }

  private static long more(Map<String, Long> before, Map<String, Long> after, String command) {
    return after.getOrDefault(command, 0L) - before.getOrDefault(command, 0L);
  }

  /** How often each command was called on all primaries. */
  private Map<String, Long> calls() throws IOException {
    Map<String, Long> calls = new HashMap<>();
    for (RedisServer each : lab().primaries()) {
      Matcher counted = CALLS.matcher(each.ask("INFO", "commandstats"));
      while (counted.find()) {
        calls.merge(counted.group(1), Long.parseLong(counted.group(2)), Long::sum);
      }
    }
    return calls;
  }

  @Override
  protected SessionStore store() {
    return near;
  }

  @Override
  protected SessionStore elsewhere() {
    return far;
  }
}
