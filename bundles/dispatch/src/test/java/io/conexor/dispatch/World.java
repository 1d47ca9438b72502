package io.conexor.dispatch;

import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
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
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Links of one node whose agents play scripts. */
final class World implements LocalLinks {

  /** What an agent does. */
  interface Script {
    void queried(AgentLink link, AgentMessage.Query query);

    default void described(AgentLink link, AgentMessage.Schema schema) {}

    default void credited(AgentLink link, AgentMessage.Credit credit) {}
  }

  static final OrgId ORG = OrgId.random();

  final ExecutorService threads = Executors.newFixedThreadPool(4);
  final AtomicInteger cancelled = new AtomicInteger();
  final List<String> detached = new CopyOnWriteArrayList<>();
  private final Map<LinkId, AgentLink> links = new ConcurrentHashMap<>();
  final NodeId node;
  final ScriptedDirectory directory;
  private volatile Listener listener;

  static Calls.Settings settings(long agentWaitMillis) {
    return settings(agentWaitMillis, 1_000);
  }

  static Calls.Settings settings(long agentWaitMillis, long relaySilenceMillis) {
    return new Calls.Settings(64, 128, 5_000, 2_000, 4, agentWaitMillis, 0, relaySilenceMillis, 0);
  }

  World(String node, ScriptedDirectory directory) {
    this.node = new NodeId(node);
    this.directory = directory;
  }

  void agent(long id, Script script) {
    agent(id, UUID.randomUUID(), script);
  }

  AgentLink agent(long id, UUID process, Script script) {
    return agent(id, process, true, script);
  }

  AgentLink agent(long id, UUID process, boolean isReadOnly, Script script) {
    SourceOffer offer =
        new SourceOffer("sales", "h2", "", isReadOnly, 1_000, 1_000, 4, SourceOffer.State.UP, "");
    Attachment attachment =
        new Attachment(
            ORG,
            AgentId.random(),
            "agent-" + id,
            "0",
            process,
            node,
            new LinkId(id),
            1,
            Instant.EPOCH,
            false,
            0,
            List.of(offer));
    AgentLink link = new ScriptedLink(attachment, script);
    links.put(attachment.link(), link);
    directory.announce(attachment);
    return link;
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
        } else if (message instanceof AgentMessage.Detach detach) {
          detached.add(detach.queryId() + " " + detach.keepMillis());
        } else if (message instanceof AgentMessage.Schema schema) {
          threads.execute(() -> script.described(this, schema));
        } else if (message instanceof AgentMessage.Credit credit) {
          threads.execute(() -> script.credited(this, credit));
        }
      }
      return true;
    }

    @Override
    public void close(String reason) {}
  }

  /** The directory has not heard yet that the link is gone. */
  void forget(AgentLink link) {
    links.remove(link.id());
  }

  void lose(AgentLink link) {
    links.remove(link.id());
    directory.withdraw(link.id(), "test");
    listener.closed(link, "test");
  }

  void holds(AgentLink link, UUID... queries) {
    listener.held(link, List.of(queries));
  }

  void unknown(AgentLink link, int callId) {
    fail(link, callId, new CallError("query_unknown", "CALLER", "NO", "not here", null));
  }

  void batch(AgentLink link, int callId) {
    ResultWriter writer = rows(callId);
    deliver(link, writer.takeBatch());
  }

  /** One row with one text, so long. */
  void batch(AgentLink link, int callId, int length) {
    ResultWriter writer = new ResultWriter(callId, 4 << 20);
    writer.columns(List.of(new AgentMessage.Column("t", "TEXT", false, null, "text")));
    writer.rows().row(1);
    writer.rows().text("x".repeat(length));
    deliver(link, writer.takeBatch());
  }

  void end(AgentLink link, int callId) {
    deliver(
        link,
        new ResultWriter(callId, 1 << 16)
            .finish(new CallEnd(callId, CallStatus.DONE, 1, false, 5, null)));
  }

  void answer(AgentLink link, int callId) {
    deliver(link, rows(callId).finish(new CallEnd(callId, CallStatus.DONE, 1, false, 5, null)));
  }

  void later(Duration delay, Runnable action) {
    CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS, threads)
        .execute(action);
  }

  /** One batch of documents, as discovery answers. */
  void json(AgentLink link, int callId, String... documents) {
    ResultWriter writer = new ResultWriter(callId, 1 << 16);
    writer.columns(List.of(new AgentMessage.Column("table", "JSON", false, null, "json")));
    for (String document : documents) {
      writer.rows().row(1);
      writer.rows().text(document);
    }
    deliver(link, writer.takeBatch());
  }

  void refuse(AgentLink link, int callId) {
    fail(link, callId, new CallError("overloaded", "CAPACITY", "NO", "full", null));
  }

  void fail(AgentLink link, int callId, String blame, String applied) {
    fail(link, callId, new CallError("scripted", blame, applied, "as told", null));
  }

  private void fail(AgentLink link, int callId, CallError error) {
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
    listener.idle(link);
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
