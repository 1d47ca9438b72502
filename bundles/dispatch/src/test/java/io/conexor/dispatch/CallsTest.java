package io.conexor.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Deadline;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.QueryCall;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CallsTest {

  private final World world = new World("node-1", new ScriptedDirectory());
  private final Calls calls =
      new Calls(world.directory, world, world.node, new Calls.Settings(64, 4, 200, 1_000));

  @AfterEach
  void close() {
    calls.close();
    world.threads.shutdownNow();
  }

  @Test
  void rows_reach_the_sink() {
    world.agent(1, (link, query) -> world.answer(link, query.callId()));

    Heard heard = query(Duration.ofSeconds(5), true);

    heard.awaitEnd();
    assertThat(heard.events).containsExactly("batch 1", "done agent-1");
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void without_an_agent_a_call_fails_at_once() {
    Heard heard = query(Duration.ofSeconds(5), true);

    assertThat(heard.events).containsExactly("failed no_agent NO");
  }

  @Test
  void a_link_lost_before_the_first_batch_leads_to_another_agent() {
    world.agent(1, (link, query) -> world.lose(link));
    world.agent(2, (link, query) -> world.lose(link));
    world.agent(3, (link, query) -> world.lose(link));
    Heard first = query(Duration.ofSeconds(5), true);
    world.agent(4, (link, query) -> world.answer(link, query.callId()));

    first.awaitEnd();

    assertThat(first.events).containsExactly("batch 1", "done agent-4");
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void a_link_lost_after_the_first_batch_is_told() {
    world.agent(
        1,
        (link, query) -> {
          world.batch(link, query.callId());
          world.lose(link);
        });

    Heard heard = query(Duration.ofSeconds(5), true);

    heard.awaitEnd();
    assertThat(heard.events).containsExactly("batch 1", "failed agent_lost UNKNOWN");
  }

  @Test
  void a_call_that_must_not_be_repeated_is_not() {
    world.agent(1, (link, query) -> world.lose(link));

    Heard heard = query(Duration.ofSeconds(5), false);

    heard.awaitEnd();
    assertThat(heard.events).containsExactly("failed agent_lost UNKNOWN");
  }

  @Test
  void a_refusal_leads_to_another_agent_and_is_told_when_there_is_none() {
    world.agent(1, (link, query) -> world.refuse(link, query.callId()));

    Heard alone = query(Duration.ofSeconds(5), false);
    alone.awaitEnd();
    world.agent(2, (link, query) -> world.answer(link, query.callId()));
    Heard helped = query(Duration.ofSeconds(5), false);
    helped.awaitEnd();

    assertThat(alone.events).containsExactly("failed overloaded NO");
    assertThat(helped.events).containsExactly("batch 1", "done agent-2");
  }

  @Test
  void an_agent_that_hangs_is_cancelled_at_the_deadline() {
    world.agent(1, (link, query) -> {});

    Heard heard = query(Duration.ofMillis(100), true);

    heard.awaitEnd();
    assertThat(heard.events).containsExactly("failed deadline_exceeded UNKNOWN");
    assertThat(world.cancelled).hasValue(1);
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void beyond_the_places_and_the_queue_a_call_is_refused() {
    world.agent(1, (link, query) -> {});

    List<Heard> heard = new ArrayList<>();
    for (int i = 0; i < 16 + 64 + 1; i++) {
      heard.add(query(Duration.ofMillis(300), true));
    }

    assertThat(heard.get(80).events).containsExactly("failed source_busy NO");
    heard.forEach(Heard::awaitEnd);
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void each_of_many_calls_hears_exactly_one_end() {
    for (int agent = 1; agent <= 3; agent++) {
      world.agent(
          agent,
          (link, query) ->
              world.threads.execute(
                  () -> {
                    int dice = ThreadLocalRandom.current().nextInt(100);
                    if (dice < 80) {
                      world.answer(link, query.callId());
                      world.answer(link, query.callId());
                    } else if (dice < 95) {
                      world.refuse(link, query.callId());
                    }
                  }));
    }

    List<Heard> heard = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      Heard one = new Heard();
      AgentCall call = calls.start(call(Duration.ofMillis(150), true), one);
      if (i % 10 == 0) {
        world.threads.execute(() -> call.cancel("test"));
      }
      heard.add(one);
    }

    heard.forEach(Heard::awaitEnd);
    assertThat(heard).allSatisfy(h -> assertThat(h.ends()).isEqualTo(1));
    await().untilAsserted(() -> assertThat(calls.slots().used()).isZero());
  }

  private Heard query(Duration limit, boolean repeatable) {
    Heard heard = new Heard();
    calls.start(call(limit, repeatable), heard);
    return heard;
  }

  private static QueryCall call(Duration limit, boolean repeatable) {
    return new QueryCall(
        UUID.randomUUID(),
        World.ORG,
        "sales",
        "select 1",
        List.of(),
        10,
        1_000,
        Deadline.in(limit),
        repeatable,
        null);
  }
}
