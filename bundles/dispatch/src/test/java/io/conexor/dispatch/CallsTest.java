package io.conexor.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CallsTest {

  private static final OrgId ORG = OrgId.random();
  private static final NodeId NODE = new NodeId("node-1");

  private final World world = new World();
  private final Calls calls = new Calls(world, world, new Calls.Settings(64, 4, 200));

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
        ORG,
        "sales",
        "select 1",
        List.of(),
        10,
        1_000,
        Deadline.in(limit),
        repeatable,
        null);
  }

  private static final class Heard implements RowSink {
    private final List<String> events = new CopyOnWriteArrayList<>();

    @Override
    public void batch(RowBatch batch) {
      events.add("batch " + batch.rows());
    }

    @Override
    public void done(QuerySummary summary) {
      events.add("done " + summary.agentName());
    }

    @Override
    public void failed(ConexorException cause) {
      events.add("failed " + cause.code() + " " + cause.applied());
    }

    long ends() {
      return events.stream().filter(e -> !e.startsWith("batch")).count();
    }

    void awaitEnd() {
      if (ends() == 0) {
        await().atMost(Duration.ofSeconds(20)).until(() -> ends() > 0);
      }
    }
  }

  private interface Script {
    void queried(AgentLink link, AgentMessage.Query query);
  }

  /** Links whose agents play scripts, and the directory that lists them. */
  private static final class World implements AgentDirectory, LocalLinks {
    final ExecutorService threads = Executors.newFixedThreadPool(4);
    final java.util.concurrent.atomic.AtomicInteger cancelled =
        new java.util.concurrent.atomic.AtomicInteger();
    private final Map<LinkId, AgentLink> links = new ConcurrentHashMap<>();
    private final List<Consumer<OrgId>> changes = new CopyOnWriteArrayList<>();
    private volatile List<Attachment> serving = List.of();
    private volatile Listener listener;

    void agent(long id, Script script) {
      SourceOffer offer =
          new SourceOffer("sales", "h2", "", true, 1_000, 1_000, 4, SourceOffer.State.UP, "");
      Attachment attachment =
          new Attachment(
              ORG,
              AgentId.random(),
              "agent-" + id,
              "0",
              UUID.randomUUID(),
              NODE,
              new LinkId(id),
              1,
              Instant.EPOCH,
              false,
              0,
              List.of(offer));
      links.put(attachment.link(), new ScriptedLink(attachment, script));
      announce(attachment);
    }

    private final class ScriptedLink implements AgentLink {
      private final Attachment attachment;
      private final Script script;

      private ScriptedLink(Attachment attachment, Script script) {
        this.attachment = attachment;
        this.script = script;
      }

      @Override
      public LinkId id() {
        return attachment.link();
      }

      @Override
      public Attachment attachment() {
        return attachment;
      }

      @Override
      public boolean send(byte[] bytes, int offset, int length) {
        if (!links.containsKey(id())) {
          return false;
        }
        FrameReader frame = new FrameReader().reset(bytes, offset, length);
        while (frame.next()) {
          AgentMessage message = AgentDecoder.fromBackend(frame);
          if (message instanceof AgentMessage.Query query) {
            threads.execute(() -> script.queried(this, query));
          } else if (message instanceof AgentMessage.Cancel) {
            cancelled.incrementAndGet();
          }
        }
        return true;
      }

      @Override
      public void close(String reason) {}
    }

    void lose(AgentLink link) {
      links.remove(link.id());
      withdraw(link.id(), "test");
      listener.closed(link, "test");
    }

    void batch(AgentLink link, int callId) {
      ResultWriter writer = rows(callId);
      deliver(link, writer.takeBatch());
    }

    void answer(AgentLink link, int callId) {
      deliver(link, rows(callId).finish(new CallEnd(callId, CallStatus.DONE, 1, false, 5, null)));
    }

    void refuse(AgentLink link, int callId) {
      CallError error = new CallError("overloaded", "CAPACITY", "NO", "full", null);
      deliver(
          link,
          new ResultWriter(callId, 1 << 16)
              .fail(new CallEnd(callId, CallStatus.FAILED, 0, false, 5, error)));
    }

    private static ResultWriter rows(int callId) {
      ResultWriter writer = new ResultWriter(callId, 1 << 16);
      writer.columns(List.of(new AgentMessage.Column("n", "INTEGER", false, null, "int4")));
      writer.rows().row(1);
      writer.rows().integer(1);
      return writer;
    }

    private void deliver(AgentLink link, ByteBuffer frames) {
      FrameReader frame =
          new FrameReader()
              .reset(frames.array(), frames.arrayOffset() + frames.position(), frames.remaining());
      while (frame.next()) {
        listener.message(
            link, ByteBuffer.wrap(frames.array(), frame.start(), frame.end() - frame.start()));
      }
    }

    @Override
    public List<Attachment> serving(OrgId org, String source) {
      return serving;
    }

    @Override
    public List<Attachment> attached(OrgId org) {
      return serving;
    }

    @Override
    public List<Attachment> attached() {
      return serving;
    }

    @Override
    public int fleetSize() {
      return 1;
    }

    @Override
    public synchronized void announce(Attachment attachment) {
      List<Attachment> next = new ArrayList<>(serving);
      next.add(attachment);
      serving = List.copyOf(next);
      changes.forEach(c -> c.accept(ORG));
    }

    @Override
    public synchronized void withdraw(LinkId link, String reason) {
      serving = serving.stream().filter(a -> !a.link().equals(link)).toList();
    }

    @Override
    public Subscription onChange(Consumer<OrgId> consumer) {
      changes.add(consumer);
      return () -> changes.remove(consumer);
    }

    @Override
    public Optional<AgentLink> find(LinkId link) {
      return Optional.ofNullable(links.get(link));
    }

    @Override
    public Collection<AgentLink> links() {
      return links.values();
    }

    @Override
    public Subscription listen(Listener newListener) {
      listener = newListener;
      return () -> {};
    }
  }
}
