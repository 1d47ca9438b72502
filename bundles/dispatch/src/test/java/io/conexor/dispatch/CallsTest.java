package io.conexor.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Deadline;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.QueryIds;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CallsTest {

  private final World world = new World("node-1", new ScriptedDirectory());
  private final Calls calls = new Calls(world.directory, world, world.node, World.settings(200));

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
  void a_query_that_an_agent_has_already_is_asked_of_that_agent() {
    UUID id = UUID.randomUUID();
    for (int i = 1; i <= 3; i++) {
      world.agent(i, (link, query) -> world.answer(link, query.callId()));
    }
    AgentLink holder =
        world.agent(4, UUID.randomUUID(), (link, query) -> world.answer(link, query.callId()));

    world.holds(holder, QueryIds.ofRequest("me", "sales", "select 1", List.of(), 10, 1_000));
    List<String> told = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      told.add(outliving(id, QueryLife.ofRequest("me")).events.get(1));
    }

    assertThat(told).containsOnly("done agent-4");
    world.lose(holder);
    assertThat(outliving(id, QueryLife.ofRequest("me")).events.get(1)).isNotEqualTo("done agent-4");
  }

  @Test
  void a_result_is_looked_for_at_each_agent_the_likeliest_first() {
    List<String> asked = new CopyOnWriteArrayList<>();
    for (int i = 1; i <= 3; i++) {
      world.agent(
          i,
          (link, query) -> {
            asked.add(link.attachment().agentName());
            world.unknown(link, query.callId());
          });
    }
    AgentLink likely =
        world.agent(
            4,
            UUID.randomUUID(),
            (link, query) -> {
              asked.add(link.attachment().agentName());
              world.unknown(link, query.callId());
            });
    QueryLife result =
        new QueryLife(QueryLife.Kind.RESULT, Duration.ZERO, likely.attachment().agent());

    Heard heard = outliving(UUID.randomUUID(), result);

    assertThat(heard.events).containsExactly("failed query_unknown NO");
    assertThat(asked).hasSize(4).doesNotHaveDuplicates().startsWith("agent-4");
  }

  @Test
  void a_call_that_is_left_to_its_agent_is_not_cancelled_and_hears_nothing_more() {
    world.agent(1, (link, query) -> {});
    Heard heard = new Heard();
    AgentCall call =
        calls.start(outlivingCall(UUID.randomUUID(), QueryLife.ofRequest("me")), heard);

    UUID id = UUID.randomUUID();
    Optional<AgentId> agent = call.detach(id, Duration.ofSeconds(9)).toCompletableFuture().join();
    call.cancel("too late");

    assertThat(agent).isPresent();
    assertThat(world.detached).containsExactly(id.toString() + " 9000");
    assertThat(world.cancelled).hasValue(0);
    assertThat(heard.events).isEmpty();
    assertThat(calls.slots().used()).isZero();
    assertThat(call.detach(id, Duration.ZERO).toCompletableFuture().join()).isEmpty();
  }

  private Heard outliving(UUID id, QueryLife life) {
    Heard heard = new Heard();
    calls.start(outlivingCall(id, life), heard);
    heard.awaitEnd();
    return heard;
  }

  private static QueryCall outlivingCall(UUID id, QueryLife life) {
    return new QueryCall(
        id,
        World.ORG,
        "sales",
        "select 1",
        List.of(),
        10,
        1_000,
        Deadline.in(Duration.ofSeconds(5)),
        true,
        null,
        null,
        life);
  }

  /** Otherwise agents under load would be busy with answers that come too late for anybody. */
  @Test
  void what_has_waited_too_long_to_be_answered_in_time_is_not_sent() throws Exception {
    AtomicInteger seen = new AtomicInteger();
    BlockingQueue<Integer> held = new LinkedBlockingQueue<>();
    AgentLink agent =
        world.agent(
            1,
            UUID.randomUUID(),
            (link, query) -> {
              seen.incrementAndGet();
              held.add(query.callId());
            });
    Heard first = started(Duration.ofSeconds(9));
    pass(Duration.ofMillis(1_000)); // this is how long a call takes
    world.answer(agent, held.take());
    first.awaitEnd();
    for (int i = 0; i < 16; i++) {
      started(Duration.ofSeconds(9));
    }
    Heard late = started(Duration.ofMillis(1_800));

    pass(Duration.ofMillis(1_000));
    world.answer(agent, held.take());
    late.awaitEnd();

    assertThat(late.events).containsExactly("failed source_busy NO");
    assertThat(seen).hasValue(17);
  }

  private Heard started(Duration deadline) {
    Heard heard = new Heard();
    calls.start(call(deadline, true), heard);
    return heard;
  }

  private static void pass(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (System.nanoTime() - end < 0) {
      java.util.concurrent.locks.LockSupport.parkNanos(end - System.nanoTime());
    }
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

  @Test
  void an_error_of_the_database_that_another_agent_may_not_have_is_tried_there() {
    world.agent(1, (link, query) -> world.fail(link, query.callId(), "DEPENDENCY", "UNKNOWN"));

    Heard alone = query(Duration.ofSeconds(5), true);
    alone.awaitEnd();
    world.agent(2, (link, query) -> world.answer(link, query.callId()));
    Heard helped = query(Duration.ofSeconds(5), true);
    helped.awaitEnd();

    assertThat(alone.events).containsExactly("failed scripted UNKNOWN");
    assertThat(helped.events).containsExactly("batch 1", "done agent-2");
  }

  @Test
  void a_write_whose_outcome_is_unknown_is_not_tried_elsewhere() {
    AtomicInteger runs = new AtomicInteger();
    for (int agent = 1; agent <= 2; agent++) {
      world.agent(
          agent,
          (link, query) -> {
            runs.incrementAndGet();
            world.fail(link, query.callId(), "DEPENDENCY", "UNKNOWN");
          });
    }

    Heard heard = query(Duration.ofSeconds(5), false);
    heard.awaitEnd();

    assertThat(heard.events).containsExactly("failed scripted UNKNOWN");
    assertThat(runs).hasValue(1);
  }

  @Test
  void what_is_said_to_be_a_read_never_reaches_an_agent_that_allows_changes() {
    AtomicInteger runs = new AtomicInteger();
    world.agent(
        1,
        UUID.randomUUID(),
        false,
        (link, query) -> {
          runs.incrementAndGet();
          world.answer(link, query.callId());
        });

    Heard read = query(Duration.ofSeconds(5), true);
    read.awaitEnd();
    assertThat(read.events).containsExactly("failed write_not_announced NO");
    assertThat(runs).hasValue(0);

    Heard write = query(Duration.ofSeconds(5), false);
    write.awaitEnd();
    assertThat(write.events).contains("done agent-1");
  }

  @Test
  void an_error_of_the_statement_is_told_at_once() {
    for (int agent = 1; agent <= 2; agent++) {
      world.agent(agent, (link, query) -> world.fail(link, query.callId(), "CALLER", "NO"));
    }

    Heard heard = query(Duration.ofSeconds(5), true);
    heard.awaitEnd();

    assertThat(heard.events).containsExactly("failed scripted NO");
  }

  @Test
  void tries_are_bounded() {
    AtomicInteger runs = new AtomicInteger();
    for (int agent = 1; agent <= 8; agent++) {
      world.agent(
          agent,
          (link, query) -> {
            runs.incrementAndGet();
            world.fail(link, query.callId(), "DEPENDENCY", "NO");
          });
    }

    query(Duration.ofSeconds(5), true).awaitEnd();

    assertThat(runs).hasValue(4);
  }

  @Test
  void an_agent_that_fails_again_and_again_is_left_out_and_probed() {
    AtomicInteger runs = new AtomicInteger();
    AtomicBoolean isWell = new AtomicBoolean();
    world.agent(
        1,
        (link, query) -> {
          runs.incrementAndGet();
          if (isWell.get()) {
            world.answer(link, query.callId());
          } else {
            world.fail(link, query.callId(), "DEPENDENCY", "NO");
          }
        });
    for (int i = 0; i < AgentStats.FAILURES; i++) {
      query(Duration.ofSeconds(5), true).awaitEnd();
    }

    Heard refused = query(Duration.ofSeconds(5), true);
    assertThat(refused.events).containsExactly("failed agent_failing NO");
    assertThat(runs).hasValue(AgentStats.FAILURES);

    isWell.set(true);
    await()
        .atMost(Duration.ofSeconds(3))
        .until(
            () -> {
              Heard probe = query(Duration.ofSeconds(5), true);
              probe.awaitEnd();
              return probe.events.contains("done agent-1");
            });
    Heard after = query(Duration.ofSeconds(5), true);
    after.awaitEnd();
    assertThat(after.events).contains("done agent-1");
  }

  @Test
  void short_deadlines_do_not_make_an_agent_look_broken() {
    AtomicBoolean answers = new AtomicBoolean();
    world.agent(
        1,
        (link, query) -> {
          if (answers.get()) {
            world.answer(link, query.callId());
          }
        });
    for (int i = 0; i < 2 * AgentStats.FAILURES; i++) {
      query(Duration.ofMillis(1), true);
    }
    await().until(() -> calls.slots().used() == 0);
    answers.set(true);

    Heard heard = query(Duration.ofSeconds(5), true);
    heard.awaitEnd();
    assertThat(heard.events).contains("done agent-1");
  }

  @Test
  void rows_wait_until_they_are_asked_for() {
    AtomicInteger credit = new AtomicInteger();
    world.agent(
        1,
        new World.Script() {
          @Override
          public void queried(AgentLink link, AgentMessage.Query query) {
            assertThat(query.window()).isEqualTo(4);
            for (int i = 0; i < 4; i++) {
              world.batch(link, query.callId());
            }
          }

          @Override
          public void credited(AgentLink link, AgentMessage.Credit more) {
            credit.addAndGet(more.batches());
            for (int i = 0; i < more.batches(); i++) {
              world.batch(link, more.callId());
            }
            world.end(link, more.callId());
          }
        });
    Heard heard = new Heard();
    AgentCall call = calls.start(call(Duration.ofSeconds(5), true), heard);
    await().until(() -> heard.events.size() == 4);

    call.request(2);

    heard.awaitEnd();
    assertThat(heard.events).hasSize(7).endsWith("done agent-1");
    assertThat(credit).hasValue(2);
  }

  @Test
  void an_agent_that_sends_more_than_it_may_is_cut_short() {
    world.agent(
        1,
        (link, query) -> {
          for (int i = 0; i < 5; i++) {
            world.batch(link, query.callId());
          }
        });

    Heard heard = query(Duration.ofSeconds(5), true);

    heard.awaitEnd();
    assertThat(heard.events).hasSize(5).endsWith("failed agent_protocol UNKNOWN");
    assertThat(world.cancelled).hasValue(1);
  }

  @Test
  void a_cancel_reaches_the_agent_and_is_told_once() {
    world.agent(1, (link, query) -> {});
    Heard heard = new Heard();
    AgentCall call = calls.start(call(Duration.ofSeconds(5), true), heard);

    call.cancel("the client went away");
    call.cancel("again");

    assertThat(heard.events).containsExactly("failed cancelled UNKNOWN");
    assertThat(world.cancelled).hasValue(1);
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void a_waiting_call_that_is_cancelled_gives_its_place_in_the_queue_back() {
    world.agent(1, (link, query) -> {});
    List<AgentCall> running = new ArrayList<>();
    for (int i = 0; i < 16 + 64; i++) {
      running.add(calls.start(call(Duration.ofSeconds(5), true), new Heard()));
    }

    running.get(79).cancel("test");
    await()
        .untilAsserted(
            () -> {
              Heard next = query(Duration.ofSeconds(5), true);
              assertThat(next.events).isEmpty();
            });
  }

  @Test
  void a_schema_is_discovered() {
    world.agent(
        1,
        new World.Script() {
          @Override
          public void queried(AgentLink link, AgentMessage.Query query) {}

          @Override
          public void described(AgentLink link, AgentMessage.Schema schema) {
            world.json(
                link,
                schema.callId(),
                "{\"schema\":\"public\",\"name\":\"b\",\"kind\":\"table\",\"columns\":[]}",
                "{\"schema\":\"public\",\"name\":\"a\",\"kind\":\"view\",\"columns\":"
                    + "[{\"name\":\"id\",\"type\":\"INTEGER\",\"engineType\":\"int4\"}]}");
            world.end(link, schema.callId());
          }
        });

    SourceSchema schema =
        calls
            .discover(World.ORG, "sales", Deadline.in(Duration.ofSeconds(5)))
            .toCompletableFuture()
            .join();

    assertThat(schema.engine()).isEqualTo("h2");
    assertThat(schema.tables()).extracting(SourceSchema.Table::name).containsExactly("a", "b");
    assertThat(schema.tables().get(0).columns()).hasSize(1);
  }

  @Test
  void a_call_that_would_wait_too_long_is_refused_at_once_with_the_time_to_wait() {
    // 16 places at 500 ms each are 32 calls per second.
    world.agent(
        1,
        (link, query) ->
            world.later(Duration.ofMillis(500), () -> world.answer(link, query.callId())));
    List<Heard> first = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      first.add(query(Duration.ofSeconds(5), true));
    }
    first.forEach(Heard::awaitEnd);

    List<Heard> heard = new ArrayList<>();
    for (int i = 0; i < 16 + 64; i++) {
      heard.add(query(Duration.ofMillis(1_500), true));
    }

    List<Heard> refused = heard.stream().filter(h -> h.ends() == 1).toList();
    assertThat(refused).hasSizeGreaterThan(25);
    assertThat(refused)
        .allSatisfy(
            h -> {
              assertThat(h.events).containsExactly("failed source_busy NO");
              assertThat(h.failure.retryAfter()).isPresent();
            });
  }

  @Test
  void a_slow_read_is_asked_of_a_second_agent_and_the_loser_is_cancelled() {
    AtomicInteger asked = new AtomicInteger();
    for (int agent = 1; agent <= 2; agent++) {
      world.agent(
          agent,
          (link, query) -> {
            if (asked.incrementAndGet() == 2) {
              world.answer(link, query.callId());
            }
          });
    }

    Heard hedged = new Heard();
    calls.start(hedged(Duration.ofMillis(50), true), hedged);
    hedged.awaitEnd();

    assertThat(hedged.events).hasSize(2).startsWith("batch 1");
    assertThat(asked).hasValue(2);
    assertThat(world.cancelled).hasValue(1);
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void a_write_is_not_hedged() {
    AtomicInteger asked = new AtomicInteger();
    for (int agent = 1; agent <= 2; agent++) {
      world.agent(
          agent,
          (link, query) -> {
            asked.incrementAndGet();
            world.later(Duration.ofMillis(300), () -> world.answer(link, query.callId()));
          });
    }

    Heard heard = new Heard();
    calls.start(hedged(Duration.ofMillis(20), false), heard);
    heard.awaitEnd();

    assertThat(asked).hasValue(1);
  }

  @Test
  void a_hedged_call_survives_the_loss_of_either_agent() {
    AtomicInteger asked = new AtomicInteger();
    for (int agent = 1; agent <= 2; agent++) {
      world.agent(
          agent,
          (link, query) -> {
            int turn = asked.incrementAndGet();
            if (turn == 1) {
              world.later(Duration.ofMillis(150), () -> world.lose(link));
            } else {
              world.later(Duration.ofMillis(300), () -> world.answer(link, query.callId()));
            }
          });
    }

    Heard heard = new Heard();
    calls.start(hedged(Duration.ofMillis(50), true), heard);
    heard.awaitEnd();

    assertThat(heard.events).hasSize(2).startsWith("batch 1");
    assertThat(asked).hasValue(2);
    assertThat(calls.slots().used()).isZero();
  }

  @Test
  void two_organisations_share_a_full_backend_equally() {
    OrgId other = OrgId.random();
    Calls small =
        new Calls(
            world.directory,
            world,
            world.node,
            new Calls.Settings(1_000, 1_000, 20_000, 20, 4, 200, 0, 1_000, 0));
    try {
      Map<OrgId, AtomicInteger> done =
          Map.of(World.ORG, new AtomicInteger(), other, new AtomicInteger());
      for (int agent = 1; agent <= 4; agent++) {
        world.agent(
            agent,
            (link, query) ->
                world.later(Duration.ofMillis(5), () -> world.answer(link, query.callId())));
      }
      AtomicBoolean stops = new AtomicBoolean();
      // One offers four times as much as the other, both more than their share.
      for (int i = 0; i < 200; i++) {
        OrgId org = i % 5 == 0 ? other : World.ORG;
        again(small, org, done.get(org), stops);
      }

      await().atMost(Duration.ofSeconds(20)).until(() -> done.get(other).get() > 1_000);
      double ratio = (double) done.get(World.ORG).get() / done.get(other).get();
      stops.set(true);

      assertThat(ratio).isBetween(0.9, 1.1);
    } finally {
      small.close();
    }
  }

  private static void again(Calls calls, OrgId org, AtomicInteger done, AtomicBoolean stops) {
    QueryCall call =
        new QueryCall(
            UUID.randomUUID(),
            org,
            "sales",
            "select 1",
            List.of(),
            10,
            1_000,
            Deadline.in(Duration.ofSeconds(30)),
            true,
            null);
    calls.start(
        call,
        new Heard() {
          @Override
          public void done(QuerySummary summary) {
            done.incrementAndGet();
            if (!stops.get()) {
              again(calls, org, done, stops);
            }
          }
        });
  }

  private static QueryCall hedged(Duration after, boolean repeatable) {
    return new QueryCall(
        UUID.randomUUID(),
        World.ORG,
        "sales",
        "select 1",
        List.of(),
        10,
        1_000,
        Deadline.in(Duration.ofSeconds(30)),
        repeatable,
        null,
        after);
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
