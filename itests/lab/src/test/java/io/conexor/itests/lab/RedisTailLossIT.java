package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.redis.RedisEndpoints.Mode;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What an asynchronous failover does, made exactly: Redis acknowledges events, hands them out, and
 * then knows nothing of them and gives their offsets to others.
 */
class RedisTailLossIT {

  private static final String SAVE =
      "for _, k in ipairs(redis.call('KEYS', '*:events:*')) do redis.call('SET', 'saved:' .. k,"
          + " redis.call('DUMP', k)) end return 'OK'";
  private static final String LOSE =
      "for _, s in ipairs(redis.call('KEYS', 'saved:*')) do local k = string.sub(s, 7)"
          + " redis.call('RESTORE', k, 0, redis.call('GET', s), 'REPLACE')"
          + " redis.call('DEL', s) end return 'OK'";

  @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.STANDALONE);

  @Test
  void events_that_redis_acknowledged_and_lost_arrive_once_all_the_same() throws Exception {
    Topic topic = new Topic("tail");
    RedisServer server = redis.lab().servers().get(0);
    try (RedisFleet fleet = new RedisFleet(redis.lab(), 3, false)) {
      Backplane first = fleet.backend(0).backplane();
      Backplane second = fleet.backend(1).backplane();
      List<String> watching = new CopyOnWriteArrayList<>();
      List<String> gaps = new CopyOnWriteArrayList<>();
      fleet.backend(2).backplane().subscribe(topic, Map.of(), listener(watching, gaps));
      await()
          .atMost(Duration.ofSeconds(10))
          .until(
              () -> {
                publish(second, topic, "b", 0, 1);
                return !watching.isEmpty();
              });
      publish(first, topic, "a", 0, 10);
      await().until(() -> watching.contains("a9"));

      assertThat(server.ask("EVAL", SAVE, "0")).isEqualTo("OK");
      publish(first, topic, "a", 10, 15);
      await().until(() -> watching.contains("a14"));
      assertThat(server.ask("EVAL", LOSE, "0")).isEqualTo("OK");
      publish(second, topic, "b", 1, 8); // takes the offsets of what was lost

      await().atMost(Duration.ofSeconds(10)).until(() -> watching.contains("b7"));
      List<String> late = new CopyOnWriteArrayList<>();
      String epoch = server.ask("HGET", head(server), "e");
      assertThat(epoch).isNotEmpty();
      await()
          .atMost(Duration.ofSeconds(10))
          .until(
              () ->
                  fleet.backend(0).backplane().check().details().get("events.repairs").equals("1"));
      publish(first, topic, "a", 15, 17);
      await().atMost(Duration.ofSeconds(10)).until(() -> watching.contains("a16"));

      assertThat(watching.stream().filter(e -> e.startsWith("a")).toList())
          .containsExactlyElementsOf(IntStream.range(0, 17).mapToObj(i -> "a" + i).toList());
      assertThat(watching.stream().filter(e -> e.startsWith("b")).distinct().toList())
          .containsExactlyElementsOf(IntStream.range(0, 8).mapToObj(i -> "b" + i).toList());
      assertThat(gaps).isEmpty();
      fleet
          .backend(1)
          .backplane()
          .subscribe(topic, all(fleet, topic), listener(late, new CopyOnWriteArrayList<>()));
      await().atMost(Duration.ofSeconds(10)).until(() -> late.contains("a16"));
      assertThat(late).contains("a10", "a14", "b7");
    }
  }

  private static String head(RedisServer server) throws Exception {
    String keys = server.ask("KEYS", "*:events:tail:head");
    return keys.substring(1, keys.length() - 1).split(", ")[0];
  }

  /** A position nobody knows, for each partition: everything that is kept comes. */
  private static Map<Integer, Position> all(RedisFleet fleet, Topic topic) {
    return IntStream.range(0, 12)
        .boxed()
        .collect(java.util.stream.Collectors.toMap(p -> p, p -> new Position("unknown", p, 1)));
  }

  private static void publish(Backplane by, Topic topic, String prefix, int from, int to)
      throws Exception {
    for (int i = from; i < to; i++) {
      by.publish(topic, "one key", (prefix + i).getBytes(UTF_8)).toCompletableFuture().get();
    }
  }

  private static Backplane.EventListener listener(List<String> events, List<String> gaps) {
    return new Backplane.EventListener() {
      @Override
      public void event(Event event) {
        events.add(new String(event.payload(), UTF_8));
      }

      @Override
      public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
        gaps.add(lastSeen + " -> " + resumesAt);
      }
    };
  }
}
