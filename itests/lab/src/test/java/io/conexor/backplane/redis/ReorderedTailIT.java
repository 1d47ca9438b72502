package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.itests.lab.SharedRedis;
import io.conexor.redis.client.ClientSettings;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.redisson.Redisson;
import org.redisson.api.RScript;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.ByteArrayCodec;

/** A failover may lose the end of a stream before its writers heard of it, and reorder it. */
class ReorderedTailIT {

  private static final ByteArrayCodec CODEC = ByteArrayCodec.INSTANCE;
  private static final String NOBODY_LISTENS = "nobody listens";
  private static final NodeId READER = new NodeId("reader");

  @RegisterExtension static final SharedRedis redis = SharedRedis.calm(Mode.SENTINEL);

  private final Topic topic = new Topic("tail." + Long.toString(System.nanoTime(), 36));
  private final Layout layout = new Layout(RedisBackplane.Settings.defaults().prefix(), 1);
  private final List<String> received = new CopyOnWriteArrayList<>();
  private final List<String> gaps = new CopyOnWriteArrayList<>();

  private final class Listener implements Backplane.EventListener {
    @Override
    public void event(Event event) {
      received.add(new String(event.payload(), UTF_8));
    }

    @Override
    public void gap(Topic of, @Nullable Position lastSeen, Position resumesAt) {
      gaps.add(lastSeen + " -> " + resumesAt);
    }
  }

  /**
   * The old primary told the reader of b and went; on the new one the writers repeated what they
   * had no answer for, another's c before b. The reader hears of d next, which follows b.
   */
  @Test
  void what_another_writer_repeated_first_is_not_passed_over() {
    RedissonClient client =
        Redisson.create(ClientSettings.defaults().toRedisson(redis.lab().endpoints()));
    RedisBackplane backplane = new RedisBackplane(READER, client, false, onePartition());
    try (var unused = backplane.subscribe(topic, Map.of(), new Listener())) {
      await()
          .untilAsserted(
              () -> {
                backplane.publish(topic, "key", bytes("start")).toCompletableFuture().join();
                assertThat(received).contains("start");
              });
      append(client, "writer-1", 1, "a", layout.bell(0));
      await().until(() -> received.contains("a"));
      byte[] stream = client.getBucket(layout.stream(topic, 0), CODEC).dump();
      byte[] head = client.getBucket(layout.head(topic, 0), CODEC).dump();
      append(client, "writer-1", 2, "b", layout.bell(0));
      await().until(() -> received.contains("b"));

      client.getBucket(layout.stream(topic, 0), CODEC).restoreAndReplace(stream);
      client.getBucket(layout.head(topic, 0), CODEC).restoreAndReplace(head);
      append(client, "writer-2", 1, "c", NOBODY_LISTENS);
      append(client, "writer-1", 2, "b", NOBODY_LISTENS);
      append(client, "writer-1", 3, "d", layout.bell(0));

      await().atMost(Duration.ofSeconds(20)).until(() -> received.contains("d"));
      assertThat(received.stream().filter(each -> !each.equals("start")))
          .containsExactlyInAnyOrder("a", "b", "c", "d");
      assertThat(gaps).isEmpty();
    } finally {
      backplane.close();
      client.shutdown();
    }
  }

  private void append(
      RedissonClient client, String writer, int sequence, String payload, String bell) {
    Object[] args = {
      bytes("epoch"),
      bytes(writer),
      bytes(Integer.toString(sequence)),
      bytes("1"),
      Batch.encode(List.of(bytes("key")), List.of(bytes(payload))),
      bytes("10000"),
      bytes("10000000"),
      bytes(""),
      bytes(bell),
      bytes("PUBLISH"),
      bytes(topic.name()),
      bytes("32768")
    };
    List<Object> answer =
        client
            .getScript(CODEC)
            .eval(
                RScript.Mode.READ_WRITE,
                Scripts.APPEND,
                RScript.ReturnType.LIST,
                List.of(layout.stream(topic, 0), layout.head(topic, 0)),
                args);
    assertThat(Batch.text(answer.get(0))).isEqualTo("A");
  }

  private static RedisBackplane.Settings onePartition() {
    RedisBackplane.Settings usual = RedisBackplane.Settings.defaults();
    return new RedisBackplane.Settings(
        usual.prefix(),
        1,
        usual.maxEvents(),
        usual.maxBytes(),
        usual.publishTimeout(),
        usual.directTimeout(),
        usual.bufferBytes(),
        usual.repairWindow(),
        usual.pollInterval());
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }
}
