package io.conexor.api.backplane;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Subscription;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What every {@link Backplane} promises. */
public abstract class BackplaneContract {

  protected static final NodeId A = new NodeId("node-a");
  protected static final NodeId B = new NodeId("node-b");
  private static final NodeId NOBODY = new NodeId("node-nobody");
  private static final Duration SOON = Duration.ofSeconds(20);

  /** The backplane of one of two nodes of one fleet; the same one within a test. */
  protected abstract Backplane node(NodeId id);

  /** False where there is only node A. */
  protected boolean hasTwoNodes() {
    return true;
  }

  /** At most this many events of one partition are kept; at least 10. */
  protected abstract int retained();

  /** Loses all events, as a transport does that was emptied. False when that cannot be done. */
  protected boolean loseEverything() {
    return false;
  }

  private final String test = Long.toString(ThreadLocalRandom.current().nextLong() >>> 1, 36);
  private final Topic topic = new Topic("events." + test);
  private final Channel channel = new Channel("direct." + test);

  @BeforeAll
  static void look_often() {
    Awaitility.setDefaultPollInterval(Duration.ofMillis(10));
    Awaitility.setDefaultPollDelay(Duration.ZERO);
  }

  @AfterAll
  static void look_as_before() {
    Awaitility.reset();
  }

  // Events

  @Test
  void event_reaches_every_subscriber_on_every_node_the_publishers_own_too() {
    Events own = new Events();
    Events second = new Events();
    Events other = new Events();
    node(A).subscribe(topic, Map.of(), own);
    node(A).subscribe(topic, Map.of(), second);
    far().subscribe(topic, Map.of(), other);
    settle(own, second, other);

    Position at = done(node(A).publish(topic, "key", bytes("hello")));

    for (Events seen : List.of(own, second, other)) {
      Event event = seen.awaitEvents(1).get(0);
      assertThat(event.topic()).isEqualTo(topic);
      assertThat(event.key()).isEqualTo("key");
      assertThat(event.from()).isEqualTo(A);
      assertThat(event.payload()).isEqualTo(bytes("hello"));
      assertThat(event.position()).isEqualTo(at);
    }
  }

  @Test
  void event_published_after_subscribing_on_the_same_node_is_delivered() {
    for (int i = 0; i < 10; i++) {
      Topic fresh = new Topic(topic.name() + i);
      Events events = new Events();
      try (Subscription subscription = node(A).subscribe(fresh, Map.of(), events)) {
        node(A).publish(fresh, "key", bytes("x"));
        events.awaitEvents(1);
      }
    }
  }

  @Test
  void events_of_a_key_arrive_once_and_in_order() {
    Events near = new Events();
    Events far = new Events();
    node(A).subscribe(topic, Map.of(), near);
    far().subscribe(topic, Map.of(), far);
    settle(near, far);

    int keys = 7;
    int each = 100;
    for (int i = 0; i < each; i++) {
      for (int k = 0; k < keys; k++) {
        (k % 2 == 0 ? node(A) : far()).publish(topic, "key-" + k, bytes(Integer.toString(i)));
      }
    }

    for (Events seen : List.of(near, far)) {
      seen.awaitEvents(keys * each);
      for (int k = 0; k < keys; k++) {
        assertThat(seen.textsOf("key-" + k))
            .containsExactlyElementsOf(
                IntStream.range(0, each).mapToObj(Integer::toString).toList());
      }
      assertThat(seen.gaps).isEmpty();
    }
  }

  @Test
  void offsets_grow_by_one_per_event_within_a_partition() {
    List<CompletableFuture<Position>> published = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      published.add(node(A).publish(topic, "one key", bytes("x")).toCompletableFuture());
    }

    Position first = done(published.get(0));
    for (int i = 0; i < published.size(); i++) {
      assertThat(done(published.get(i)))
          .isEqualTo(new Position(first.epoch(), first.partition(), first.offset() + i));
    }
    assertThat(first.offset()).isEqualTo(1);
    assertThat(first.partition()).isNotNegative();
  }

  @Test
  void subscription_without_positions_starts_at_the_present() {
    done(node(A).publish(topic, "key", bytes("old")));
    Events events = new Events();
    node(A).subscribe(topic, Map.of(), events);
    done(node(A).publish(topic, "key", bytes("new")));

    events.awaitEvents(1);
    assertThat(events.texts()).containsExactly("new");
    assertThat(events.gaps).isEmpty();
  }

  @Test
  void subscription_says_where_it_starts() {
    Position old = done(node(A).publish(topic, "key", bytes("old")));
    Events events = new Events();
    far().subscribe(topic, Map.of(), events);

    await().atMost(SOON).until(() -> events.starts.contains(old));
  }

  @Test
  void subscription_resumes_after_the_position_it_names() {
    Position first = publishAll("key", 0, 10).get(3);
    Events events = new Events();

    far().subscribe(topic, Map.of(first.partition(), first), events);

    events.awaitEvents(6);
    publishAll("key", 10, 12);
    events.awaitEvents(8);
    assertThat(events.texts()).containsExactly("4", "5", "6", "7", "8", "9", "10", "11");
    assertThat(events.gaps).isEmpty();
  }

  @Test
  void offset_zero_is_before_the_first_event() {
    Position first = publishAll("key", 0, 3).get(0);
    Events events = new Events();

    far()
        .subscribe(
            topic,
            Map.of(first.partition(), new Position(first.epoch(), first.partition(), 0)),
            events);

    assertThat(events.awaitEvents(3))
        .extracting(e -> text(e.payload()))
        .containsExactly("0", "1", "2");
    assertThat(events.gaps).isEmpty();
  }

  @Test
  void position_of_an_unknown_epoch_is_a_gap_and_delivery_goes_on() {
    Position last = publishAll("key", 0, 3).get(2);
    Position strange = new Position("another-life", last.partition(), 2);
    Events events = new Events();

    node(A).subscribe(topic, Map.of(last.partition(), strange), events);

    await().atMost(SOON).until(() -> !events.gaps.isEmpty());
    assertThat(events.gaps).hasSize(1);
    assertThat(events.gaps.get(0).lastSeen()).isEqualTo(strange);
    assertThat(events.gaps.get(0).resumesAt().epoch()).isEqualTo(last.epoch());
    publishAll("key", 3, 5);
    await().atMost(SOON).until(() -> events.texts().contains("4"));
    assertThat(events.texts()).endsWith("3", "4");
  }

  @Test
  void position_ahead_of_the_stream_is_a_gap() {
    Position last = publishAll("key", 0, 3).get(2);
    Position ahead = new Position(last.epoch(), last.partition(), last.offset() + 1_000);
    Events events = new Events();

    node(A).subscribe(topic, Map.of(last.partition(), ahead), events);

    await().atMost(SOON).until(() -> !events.gaps.isEmpty());
    assertThat(events.gaps.get(0).lastSeen()).isEqualTo(ahead);
    publishAll("key", 3, 4);
    await().atMost(SOON).until(() -> events.texts().contains("3"));
  }

  @Test
  void trimmed_events_are_a_gap_and_the_rest_arrives() {
    int total = retained() * 3;
    Position first = publishAll("key", 0, total).get(0);
    Events events = new Events();

    far().subscribe(topic, Map.of(first.partition(), first), events);

    await().atMost(SOON).until(() -> events.texts().contains(Integer.toString(total - 1)));
    assertThat(events.gaps).hasSize(1);
    Gap gap = events.gaps.get(0);
    assertThat(gap.topic()).isEqualTo(topic);
    assertThat(gap.lastSeen()).isEqualTo(first);
    assertThat(gap.resumesAt().offset()).isGreaterThan(first.offset());
    assertThat(events.events.get(0).position().offset()).isEqualTo(gap.resumesAt().offset() + 1);
    assertThat(events.events).hasSizeLessThanOrEqualTo(retained() * 2);
    assertThat(events.events.size() + gap.resumesAt().offset()).isEqualTo(total);
  }

  @Test
  void lost_events_are_a_gap_with_a_new_epoch_and_delivery_goes_on() {
    Events events = new Events();
    node(A).subscribe(topic, Map.of(), events);
    Position before = publishAll("key", 0, 3).get(2);
    events.awaitEvents(3);
    assumeTrue(loseEverything(), "events cannot be lost here");

    Position after = publishAll("key", 3, 4).get(0);

    assertThat(after.epoch()).isNotEqualTo(before.epoch());
    await().atMost(SOON).until(() -> events.texts().contains("3"));
    assertThat(events.gaps).extracting(Gap::lastSeen).containsOnlyOnce(before);
    assertThat(events.texts()).containsExactly("0", "1", "2", "3");
  }

  @Test
  void slow_subscriber_gets_everything_in_order_and_holds_up_nobody() {
    CountDownLatch release = new CountDownLatch(1);
    Events slow =
        new Events() {
          @Override
          public void event(Event event) {
            try {
              release.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
            super.event(event);
          }
        };
    Events fast = new Events();
    node(A).subscribe(topic, Map.of(), fast);
    settle(fast);
    node(A).subscribe(topic, Map.of(), slow);
    int count = Math.min(retained(), 500);

    publishAll("key", 0, count);
    fast.awaitEvents(count);
    assertThat(slow.texts()).isEmpty();
    release.countDown();

    slow.awaitEvents(count);
    assertThat(slow.texts())
        .containsExactlyElementsOf(IntStream.range(0, count).mapToObj(Integer::toString).toList());
  }

  @Test
  void listener_is_called_one_at_a_time_and_its_exceptions_are_not_fatal() {
    AtomicInteger inside = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    Events events =
        new Events() {
          @Override
          public void event(Event event) {
            most.accumulateAndGet(inside.incrementAndGet(), Math::max);
            super.event(event);
            inside.decrementAndGet();
            throw new IllegalStateException("a listener that fails, on purpose");
          }
        };
    node(A).subscribe(topic, Map.of(), events);
    settle(events);

    for (int i = 0; i < 200; i++) {
      node(A).publish(topic, "key-" + i, bytes("x"));
    }

    events.awaitEvents(200);
    assertThat(most).hasValue(1);
  }

  @Test
  void closed_subscription_delivers_nothing_more() {
    Events closed = new Events();
    Events open = new Events();
    Subscription subscription = node(A).subscribe(topic, Map.of(), closed);
    node(A).subscribe(topic, Map.of(), open);
    publishAll("key", 0, 1);
    closed.awaitEvents(1);

    subscription.close();
    subscription.close();
    publishAll("key", 1, 5);

    open.awaitEvents(5);
    assertThat(closed.texts()).containsExactly("0");
  }

  @Test
  void topics_do_not_mix() {
    Topic another = new Topic(topic.name() + ".b");
    Events events = new Events();
    node(A).subscribe(topic, Map.of(), events);

    done(node(A).publish(another, "key", bytes("other")));
    done(node(A).publish(topic, "key", bytes("mine")));

    events.awaitEvents(1);
    assertThat(events.texts()).containsExactly("mine");
  }

  @Test
  void payload_up_to_the_maximum_travels_and_beyond_it_is_refused() {
    byte[] largest = new byte[Backplane.MAX_PAYLOAD];
    ThreadLocalRandom.current().nextBytes(largest);
    byte[] tooLarge = new byte[Backplane.MAX_PAYLOAD + 1];
    Events events = new Events();
    far().subscribe(topic, Map.of(), events);
    settle(events);
    farNode(channel, (from, payload) -> CompletableFuture.completedFuture(payload));

    done(node(A).publish(topic, "key", largest));

    assertThat(events.awaitEvents(1).get(0).payload()).isEqualTo(largest);
    assertThat(done(node(A).request(far(node(A)), channel, largest, SOON))).isEqualTo(largest);
    assertThatThrownBy(() -> node(A).publish(topic, "key", tooLarge))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> node(A).send(A, channel, tooLarge))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> node(A).request(A, channel, tooLarge, SOON))
        .isInstanceOf(IllegalArgumentException.class);
  }

  // Direct messages

  @Test
  void message_reaches_the_addressed_node_only_in_order() {
    assumeTrue(hasTwoNodes());
    Messages atA = new Messages();
    Messages atB = new Messages();
    node(A).receive(channel, atA);
    node(B).receive(channel, atB);
    settleDirect(node(A), B);

    for (int i = 0; i < 300; i++) {
      node(A).send(B, channel, bytes(Integer.toString(i)));
    }

    await().atMost(SOON).until(() -> atB.texts.size() == 300);
    assertThat(atB.texts)
        .containsExactlyElementsOf(IntStream.range(0, 300).mapToObj(Integer::toString).toList());
    assertThat(atB.from).containsOnly(A);
    assertThat(atA.texts).isEmpty();
  }

  @Test
  void node_can_send_to_itself_and_ask_itself() {
    Messages messages = new Messages();
    node(A).receive(channel, messages);
    Channel questions = new Channel(channel.name() + ".q");
    node(A).answer(questions, (from, payload) -> CompletableFuture.completedFuture(payload));

    done(node(A).send(A, channel, bytes("to me")));

    await().atMost(SOON).until(() -> messages.texts.size() == 1);
    assertThat(messages.from).containsExactly(A);
    assertThat(done(node(A).request(A, questions, bytes("echo"), SOON))).isEqualTo(bytes("echo"));
  }

  @Test
  void channel_has_at_most_one_receiver_and_one_responder() {
    Subscription first = node(A).receive(channel, new Messages());
    assertThatThrownBy(() -> node(A).receive(channel, new Messages()))
        .isInstanceOf(IllegalStateException.class);
    first.close();
    Messages messages = new Messages();
    node(A).receive(channel, messages);
    first.close();
    done(node(A).send(A, channel, bytes("x")));
    await().atMost(SOON).until(() -> messages.texts.size() == 1);

    Backplane.Responder echo = (from, payload) -> CompletableFuture.completedFuture(payload);
    Subscription responder = node(A).answer(channel, echo);
    assertThatThrownBy(() -> node(A).answer(channel, echo))
        .isInstanceOf(IllegalStateException.class);
    responder.close();
    node(A).answer(channel, echo);
  }

  @Test
  void closed_receiver_gets_nothing_more() {
    Messages messages = new Messages();
    Subscription subscription = node(A).receive(channel, messages);
    Channel other = new Channel(channel.name() + ".2");
    Messages marker = new Messages();
    node(A).receive(other, marker);
    subscription.close();

    done(node(A).send(A, channel, bytes("x")));
    done(node(A).send(A, other, bytes("y")));

    await().atMost(SOON).until(() -> marker.texts.size() == 1);
    assertThat(messages.texts).isEmpty();
  }

  @Test
  void request_is_answered_by_the_node_asked() {
    assumeTrue(hasTwoNodes());
    node(A).answer(channel, (from, payload) -> CompletableFuture.completedFuture(bytes("A")));
    node(B)
        .answer(
            channel,
            (from, payload) ->
                CompletableFuture.completedFuture(bytes("B to " + from + ": " + text(payload))));
    settleDirect(node(A), B);

    assertThat(text(done(node(A).request(B, channel, bytes("hi"), SOON))))
        .isEqualTo("B to " + A + ": hi");
  }

  @Test
  void concurrent_requests_each_get_their_own_answer_in_any_order() {
    List<Runnable> held = new CopyOnWriteArrayList<>();
    farNode(
        channel,
        (from, payload) -> {
          CompletableFuture<byte[]> later = new CompletableFuture<>();
          held.add(() -> later.complete(bytes("re " + text(payload))));
          return later;
        });
    List<CompletableFuture<byte[]>> asked = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      asked.add(
          node(A)
              .request(far(node(A)), channel, bytes(Integer.toString(i)), SOON)
              .toCompletableFuture());
    }
    await().atMost(SOON).until(() -> held.size() == 100);

    for (int i = held.size() - 1; i >= 0; i--) {
      held.get(i).run();
    }

    for (int i = 0; i < asked.size(); i++) {
      assertThat(text(done(asked.get(i)))).isEqualTo("re " + i);
    }
  }

  @Test
  void failed_responder_reaches_the_asker_with_its_message() {
    farNode(
        channel,
        (from, payload) -> {
          if (text(payload).equals("throw")) {
            throw new IllegalStateException("the cellar is flooded");
          }
          return CompletableFuture.failedFuture(new IllegalStateException("the roof leaks"));
        });

    assertThat(failure(node(A).request(far(node(A)), channel, bytes("throw"), SOON)))
        .isInstanceOf(BackplaneException.class)
        .hasMessageContaining("the cellar is flooded");
    assertThat(failure(node(A).request(far(node(A)), channel, bytes("fail"), SOON)))
        .isInstanceOf(BackplaneException.class)
        .hasMessageContaining("the roof leaks");
  }

  @Test
  void request_without_an_answer_fails_at_its_timeout_with_an_unknown_outcome() {
    farNode(channel, (from, payload) -> new CompletableFuture<>());
    long start = System.nanoTime();

    Throwable failure =
        failure(node(A).request(far(node(A)), channel, bytes("x"), Duration.ofMillis(300)));

    assertThat(Duration.ofNanos(System.nanoTime() - start))
        .isBetween(Duration.ofMillis(290), Duration.ofMillis(1_500));
    assertThat(failure)
        .isInstanceOfSatisfying(
            BackplaneException.class, e -> assertThat(e.applied()).isEqualTo(Applied.UNKNOWN));
    assertThatThrownBy(() -> node(A).request(A, channel, bytes("x"), Duration.ZERO))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void request_to_a_node_that_is_not_there_was_certainly_not_applied() {
    Throwable failure =
        failure(node(A).request(NOBODY, channel, bytes("x"), Duration.ofSeconds(5)));

    assertThat(failure)
        .isInstanceOfSatisfying(
            BackplaneException.class, e -> assertThat(e.applied()).isEqualTo(Applied.NO));
  }

  @Test
  void request_that_nobody_answers_on_the_node_was_certainly_not_applied() {
    settleDirect(node(A), far(node(A)));

    Throwable failure =
        failure(node(A).request(far(node(A)), channel, bytes("x"), Duration.ofSeconds(5)));

    assertThat(failure)
        .isInstanceOfSatisfying(
            BackplaneException.class, e -> assertThat(e.applied()).isEqualTo(Applied.NO));
  }

  // What the tests are made of

  private Backplane far() {
    return hasTwoNodes() ? node(B) : node(A);
  }

  private NodeId far(Backplane unused) {
    return hasTwoNodes() ? B : A;
  }

  private void farNode(Channel on, Backplane.Responder responder) {
    far().answer(on, responder);
    settleDirect(node(A), far(node(A)));
  }

  /** Returns when the two nodes can hear each other. */
  private void settleDirect(Backplane asker, NodeId to) {
    Channel ping = new Channel("ping." + test);
    Backplane asked = to.equals(A) ? node(A) : node(B);
    try (Subscription subscription =
        asked.answer(ping, (from, payload) -> CompletableFuture.completedFuture(payload))) {
      await()
          .atMost(SOON)
          .until(
              () ->
                  catchThrowable(
                          () ->
                              asker
                                  .request(to, ping, new byte[0], Duration.ofSeconds(1))
                                  .toCompletableFuture()
                                  .get(2, SECONDS))
                      == null);
    }
  }

  /** Returns when each of the subscribers hears this node; what it heard so far is forgotten. */
  private void settle(Events... subscribers) {
    for (Events each : subscribers) {
      await()
          .atMost(SOON)
          .pollInterval(Duration.ofMillis(20))
          .until(
              () -> {
                done(node(A).publish(topic, "settle", bytes("settle")));
                return !each.events.isEmpty();
              });
    }
    Position end = done(node(A).publish(topic, "settle", bytes("settled")));
    for (Events each : subscribers) {
      await()
          .atMost(SOON)
          .until(() -> each.events.stream().anyMatch(e -> e.position().equals(end)));
    }
    for (Events each : subscribers) {
      each.events.clear();
    }
  }

  private List<Position> publishAll(String key, int from, int to) {
    List<CompletableFuture<Position>> published = new ArrayList<>();
    for (int i = from; i < to; i++) {
      published.add(node(A).publish(topic, key, bytes(Integer.toString(i))).toCompletableFuture());
    }
    return published.stream().map(BackplaneContract::done).toList();
  }

  public static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  public static String text(byte[] bytes) {
    return new String(bytes, UTF_8);
  }

  private static <T> T done(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().get(SOON.toSeconds(), SECONDS);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static Throwable failure(CompletionStage<?> stage) {
    Throwable thrown =
        catchThrowable(() -> stage.toCompletableFuture().get(SOON.toSeconds(), SECONDS));
    assertThat(thrown).isInstanceOf(ExecutionException.class);
    return thrown.getCause();
  }

  /** A gap as it was reported. */
  public record Gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {}

  /** Remembers events and gaps. */
  public static class Events implements Backplane.EventListener {
    public final List<Event> events = new CopyOnWriteArrayList<>();
    public final List<Gap> gaps = new CopyOnWriteArrayList<>();
    public final List<Position> starts = new CopyOnWriteArrayList<>();

    @Override
    public void starts(Position after) {
      starts.add(after);
    }

    @Override
    public void event(Event event) {
      events.add(event);
    }

    @Override
    public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
      gaps.add(new Gap(topic, lastSeen, resumesAt));
    }

    public final List<Event> awaitEvents(int count) {
      await().atMost(SOON).until(() -> events.size() >= count);
      assertThat(events).hasSize(count);
      return events;
    }

    public final List<String> texts() {
      return events.stream().map(e -> text(e.payload())).toList();
    }

    public final List<String> textsOf(String key) {
      return events.stream().filter(e -> e.key().equals(key)).map(e -> text(e.payload())).toList();
    }
  }

  /** Remembers direct messages. */
  public static final class Messages implements Backplane.MessageListener {
    public final List<NodeId> from = new CopyOnWriteArrayList<>();
    public final List<String> texts = new CopyOnWriteArrayList<>();

    @Override
    public void message(NodeId sender, byte[] payload) {
      from.add(sender);
      texts.add(text(payload));
    }
  }
}
