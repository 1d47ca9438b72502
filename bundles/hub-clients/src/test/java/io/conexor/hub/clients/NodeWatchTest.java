package io.conexor.hub.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Position;
import io.conexor.api.node.NodeId;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class NodeWatchTest {
  private static final NodeId OTHER = new NodeId("n-other");
  private static final Duration NEVER = Duration.ofMinutes(5);

  private HubFleet fleet;
  private ClientHub home;
  private volatile CompletionStage<byte[]> answer;
  private volatile CompletionStage<Position> taken;

  @BeforeEach
  void start() throws Exception {
    fleet = new HubFleet(1, false, Map.of());
    home = fleet.backend(0).hub;
    home.unbindBackplane(home.bus().backplane());
    home.bindBackplane(scripted());
  }

  @AfterEach
  void stop() throws Exception {
    fleet.close();
  }

  private Backplane scripted() {
    return (Backplane)
        Proxy.newProxyInstance(
            Backplane.class.getClassLoader(),
            new Class<?>[] {Backplane.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "request" -> answer;
                  case "publish" -> taken;
                  case "subscribe", "answer" -> (io.conexor.api.Subscription) () -> {};
                  case "equals" -> proxy == arguments[0];
                  default -> 0;
                });
  }

  private static <T> CompletionStage<T> failure(Applied applied) {
    return CompletableFuture.failedFuture(new BackplaneException(applied, "scripted", null));
  }

  private static NodeWatch.Pace pace(Duration absent, Duration silent, Duration patience) {
    return new NodeWatch.Pace(
        Duration.ofMillis(50),
        Duration.ofSeconds(2),
        Duration.ofMillis(5),
        absent,
        silent,
        patience);
  }

  private void until(NodeWatch watch, BooleanSupplier condition) {
    await()
        .pollInterval(Duration.ofMillis(5))
        .atMost(Duration.ofSeconds(10))
        .until(
            () -> {
              watch.tick(home.now(), home.bus().backplane());
              return condition.getAsBoolean();
            });
  }

  @Test
  void a_node_that_is_absent_for_a_while_is_gone_and_who_waits_is_told() {
    NodeWatch watch = new NodeWatch(home, pace(Duration.ofMillis(100), NEVER, NEVER));
    answer = failure(Applied.NO);
    CompletableFuture<String> waiting = new CompletableFuture<>();

    watch.whenGone(OTHER, waiting, "gone");

    until(watch, waiting::isDone);
    assertThat(watch.isGone(OTHER)).isTrue();
  }

  @Test
  void a_node_that_answers_again_is_there_again() {
    NodeWatch watch = new NodeWatch(home, pace(Duration.ofMillis(50), NEVER, NEVER));
    answer = failure(Applied.NO);
    assertThat(watch.isGone(OTHER)).isFalse();
    until(watch, () -> watch.isGone(OTHER));

    answer = CompletableFuture.completedFuture(NodeWatch.PING);

    until(watch, () -> !watch.isGone(OTHER));
  }

  @Test
  void a_short_absence_means_nothing() {
    NodeWatch watch = new NodeWatch(home, pace(NEVER, NEVER, NEVER));
    answer = failure(Applied.NO);

    assertThat(watch.isGone(OTHER)).isFalse();
    watch.tick(home.now(), home.bus().backplane());

    assertThat(watch.isGone(OTHER)).isFalse();
  }

  @Test
  void a_frozen_node_is_gone_early_while_the_backplane_takes_events() {
    NodeWatch watch = new NodeWatch(home, pace(NEVER, Duration.ofMillis(100), NEVER));
    answer = failure(Applied.UNKNOWN);
    taken = CompletableFuture.completedFuture(new Position("e", 0, 1));

    until(watch, () -> watch.isGone(OTHER));
  }

  @Test
  void while_the_backplane_takes_nothing_a_silent_node_is_given_more_time() {
    NodeWatch watch =
        new NodeWatch(home, pace(NEVER, Duration.ofMillis(10), Duration.ofMillis(500)));
    answer = failure(Applied.UNKNOWN);
    taken = failure(Applied.UNKNOWN);
    long since = home.now();

    until(watch, () -> watch.isGone(OTHER));

    assertThat(home.now() - since).isGreaterThan(500_000_000L);
  }
}
