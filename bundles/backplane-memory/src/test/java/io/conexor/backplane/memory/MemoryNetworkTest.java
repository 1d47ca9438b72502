package io.conexor.backplane.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneContract;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MemoryNetworkTest extends BackplaneContract {

  private final MemoryNetwork network = new MemoryNetwork(1_000, 4 << 20);

  @Override
  protected Backplane node(NodeId id) {
    return network.node(id);
  }

  @Override
  protected int retained() {
    return 1_000;
  }

  @Override
  protected boolean loseEverything() {
    network.lose();
    return true;
  }

  @AfterEach
  void stop() {
    network.close();
  }

  @Test
  void node_that_was_cut_off_catches_up_with_the_events_and_misses_the_messages() {
    Topic topic = new Topic("t");
    Events events = new Events();
    Messages messages = new Messages();
    node(B).subscribe(topic, Map.of(), events);
    node(B).receive(new Channel("c"), messages);

    network.connect(B, false);
    node(A).publish(topic, "k", bytes("1"));
    node(A).send(B, new Channel("c"), bytes("lost"));
    assertThat(node(B).publish(topic, "k", bytes("x")).toCompletableFuture())
        .isCompletedExceptionally();
    network.connect(B, true);
    node(A).send(B, new Channel("c"), bytes("arrives"));

    events.awaitEvents(1);
    await().until(() -> messages.texts.size() == 1);
    assertThat(messages.texts).containsExactly("arrives");
  }

  @Test
  void killed_node_answers_nobody() {
    node(B).answer(new Channel("c"), (from, p) -> CompletableFuture.completedFuture(p));

    network.kill(B);

    assertThat(
            node(A)
                .request(B, new Channel("c"), bytes("x"), Duration.ofSeconds(1))
                .toCompletableFuture())
        .isCompletedExceptionally();
  }

  @Test
  void kept_events_are_bounded_by_their_bytes_too() {
    EventLog log = new EventLog(0, 1_000, 100);
    for (int i = 0; i < 50; i++) {
      log.append(new Topic("t"), "k", A, new byte[40]);
    }

    assertThat(log.extent().last()).isEqualTo(50);
    assertThat(log.extent().first()).isEqualTo(49);
  }
}
