package io.conexor.dispatch;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.RowSink;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Calls to agents, over links of this backend and, relayed, over those of others. */
@Component(
    service = {AgentCalls.class, Callable.class},
    configurationPid = Calls.PID,
    property = "conexor.drain:Boolean=true")
@Designate(ocd = Calls.Config.class)
public final class Calls implements AgentCalls, Callable<Boolean> {

  static final String PID = "io.conexor.dispatch";

  private static final long SWEEP_MILLIS = 10;
  private static final int SLOTS = 1 << 16;

  /** The agent watches the deadline too and knows better what happened, so its word may come. */
  private static final long GRACE_NANOS = 100_000_000L;

  /** The launcher's own limit is usually shorter. */
  private static final Duration DRAIN = Duration.ofSeconds(60);

  /** The hub tells of a lost link at once; this is for one that was lost while a call went out. */
  private static final long MISSED_NANOS = 1_000_000_000L;

  @ObjectClassDefinition(name = "Dispatch", description = "Calls to agents")
  @interface Config {
    @AttributeDefinition(
        name = "Queue size",
        description = "Calls that may wait per source, 0..100000; beyond it they are refused",
        min = "0",
        max = "100000")
    int queue_max() default 256;

    @AttributeDefinition(
        name = "Attempts",
        description = "Agents tried for one call, 1..16",
        min = "1",
        max = "16")
    int attempts_max() default 4;

    @AttributeDefinition(
        name = "Wait for an agent",
        description = "Milliseconds a call waits for an agent of a source that had one, 0..60000",
        min = "0",
        max = "60000")
    long agent_wait_ms() default 2_000;

    @AttributeDefinition(
        name = "Calls",
        description =
            "Calls of this backend under way at agents, 16..60000; beyond it organisations that"
                + " have more than an equal share wait",
        min = "16",
        max = "60000")
    int calls_max() default 2_000;

    @AttributeDefinition(
        name = "Queue size of an organisation",
        description = "Calls that may wait per organisation, 0..100000; beyond it they are refused",
        min = "0",
        max = "100000")
    int org_queue_max() default 1_024;

    @AttributeDefinition(
        name = "Wait for a place",
        description =
            "Milliseconds a call waits for a place at an agent, 10..600000; it is refused at once"
                + " when it would have to wait longer",
        min = "10",
        max = "600000")
    long queue_wait_ms() default 5_000;

    @AttributeDefinition(
        name = "Hedge",
        description =
            "Milliseconds after which a read that was not answered is sent to a second agent too,"
                + " 0..60000; 0 = never, unless a call asks for it",
        min = "0",
        max = "60000")
    long hedge_after_ms() default 0;

    @AttributeDefinition(
        name = "Silence between backends",
        description =
            "Milliseconds after which a backend that relays a call and does not answer counts as"
                + " gone, 200..60000; calls that may not run twice wait three times as long",
        min = "200",
        max = "60000")
    long relay_silence_ms() default 1_000;

    @AttributeDefinition(
        name = "Wait for other backends",
        description =
            "Milliseconds after which a call whose agents are all at other backends fails when none"
                + " of these answers, as while a primary of Redis is replaced, 0..60000",
        min = "0",
        max = "60000")
    long relay_wait_ms() default 8_000;
  }

  /** The checked configuration. */
  record Settings(
      int queueMax,
      int orgQueueMax,
      long queueWaitMillis,
      int callsMax,
      int attemptsMax,
      long agentWaitMillis,
      long hedgeAfterMillis,
      long relaySilenceMillis,
      long relayWaitMillis) {

    static Settings checked(Config config) {
      within("queue.max", config.queue_max(), 0, 100_000);
      within("org.queue.max", config.org_queue_max(), 0, 100_000);
      within("queue.wait.ms", config.queue_wait_ms(), 10, 600_000);
      within("calls.max", config.calls_max(), 16, 60_000);
      within("attempts.max", config.attempts_max(), 1, 16);
      within("agent.wait.ms", config.agent_wait_ms(), 0, 60_000);
      within("hedge.after.ms", config.hedge_after_ms(), 0, 60_000);
      within("relay.silence.ms", config.relay_silence_ms(), 200, 60_000);
      within("relay.wait.ms", config.relay_wait_ms(), 0, 60_000);
      return new Settings(
          config.queue_max(),
          config.org_queue_max(),
          config.queue_wait_ms(),
          config.calls_max(),
          config.attempts_max(),
          config.agent_wait_ms(),
          config.hedge_after_ms(),
          config.relay_silence_ms(),
          config.relay_wait_ms());
    }

    private static void within(String key, long value, long min, long max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            PID + ": " + key + "=" + value + " is outside " + min + ".." + max);
      }
    }
  }

  private static final Logger log = LoggerFactory.getLogger(Calls.class);

  private final AgentDirectory directory;
  private final LocalLinks links;
  private final NodeId self;
  private final Settings settings;
  private final SlotTable slots = new SlotTable(SLOTS);
  private final ConcurrentHashMap<Source.Key, Source> sources = new ConcurrentHashMap<>();
  private final Holders holders = new Holders();
  private final Shares shares;
  private final Relay relay = new Relay(this::frame);
  private final RelayOrigin origin;
  private final RelayHost host;
  private final ScheduledExecutorService sweep;
  private final Subscription listening;
  private final Subscription changes;

  @Activate
  public Calls(
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "links") LocalLinks links,
      @Reference(name = "node") Node node,
      Config config) {
    this(directory, links, node.id(), Settings.checked(config));
  }

  Calls(AgentDirectory directory, LocalLinks links, NodeId self, Settings settings) {
    this.directory = directory;
    this.links = links;
    this.self = self;
    this.settings = settings;
    this.shares = new Shares(settings.callsMax(), settings.orgQueueMax());
    long silence = settings.relaySilenceMillis() * 1_000_000;
    this.origin = new RelayOrigin(relay, slots, silence, now());
    this.host = new RelayHost(relay, slots, links, 3 * silence, now());
    this.sweep =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "conexor-dispatch-sweep");
              thread.setDaemon(true);
              return thread;
            });
    this.listening = links.listen(new Ear());
    this.changes = directory.onChange(this::changed);
    var unused =
        sweep.scheduleWithFixedDelay(
            this::sweep, SWEEP_MILLIS, SWEEP_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** A swap binds the new one before it unbinds the old one. */
  @Reference(
      name = "backplane",
      cardinality = ReferenceCardinality.MANDATORY,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane backplane) {
    relay.attach(backplane);
  }

  void unbindBackplane(Backplane backplane) {
    relay.detach(backplane);
  }

  /** The drain: calls that other backends sent here end; new ones of theirs go another way. */
  @Override
  public Boolean call() {
    return host.detach(DRAIN);
  }

  @Deactivate
  void close() {
    changes.close();
    listening.close();
    sweep.shutdownNow();
    slots.forEach(
        slot -> {
          if (slot instanceof Attempt attempt) {
            attempt.call.cancel("this backend stops");
          }
        });
    host.close();
    relay.close();
    sources.values().forEach(s -> s.close(Failures.backendFull()));
  }

  @Override
  public AgentCall start(QueryCall query, RowSink sink) {
    return start(new Request.Query(query), sink);
  }

  @Override
  public CompletionStage<SourceSchema> discover(OrgId org, String source, Deadline deadline) {
    CompletableFuture<SourceSchema> answer = new CompletableFuture<>();
    String engine =
        directory.serving(org, source).stream()
            .flatMap(a -> a.sources().stream())
            .filter(o -> o.name().equals(source))
            .map(SourceOffer::engine)
            .findFirst()
            .orElse("");
    SchemaSink sink = new SchemaSink(source, engine, answer);
    sink.started(start(new Request.Schema(org, source, deadline), sink));
    return answer;
  }

  private AgentCall start(Request request, RowSink sink) {
    Call call = new Call(this, request, sink);
    call.post(() -> admit(call));
    return call;
  }

  void admit(Call call) {
    Source.Key key = new Source.Key(call.request.org(), call.request.source());
    Source source = sources.get(key);
    if (source == null) {
      if (directory.serving(key.org(), key.name()).isEmpty()) {
        call.onNobody(false);
        return;
      }
      source = sources.computeIfAbsent(key, k -> new Source(this, k, now()));
    }
    source.admit(call);
  }

  /** The ways to a source, and whether they stay so until the directory's list is another one. */
  record Routes(List<Route> routes, boolean isLasting) {}

  /**
   * Those of one run of an agent stand together, the best first: its link to this backend, then
   * those to others in an order that differs from backend to backend, so that relaying is shared.
   */
  Routes routes(List<Attachment> attachments, String source, Function<UUID, AgentStats> stats) {
    List<Route> routes = new ArrayList<>(attachments.size());
    boolean isLasting = true;
    for (Attachment attachment : attachments) {
      if (attachment.isClosing()) {
        continue;
      }
      Path path;
      boolean isLocal = attachment.node().equals(self);
      if (isLocal) {
        Optional<AgentLink> link = links.find(attachment.link());
        if (link.isEmpty()) {
          isLasting = false;
          continue;
        }
        path = new Path.Local(link.get());
      } else {
        path = new Path.Remote(origin, attachment.node(), attachment.link());
      }
      for (SourceOffer offer : attachment.sources()) {
        if (offer.name().equals(source)) {
          int limit = Math.max(16, 4 * offer.maxConcurrent());
          AgentStats known = stats.apply(attachment.process());
          known.told(offer.state());
          routes.add(
              new Route(
                  attachment, path, isLocal, offer.state(), offer.isReadOnly(), limit, known));
          break;
        }
      }
    }
    routes.sort(
        Comparator.<Route, UUID>comparing(r -> r.attachment().process())
            .thenComparing(r -> !r.isLocal())
            .thenComparing(r -> spread(r.attachment())));
    return new Routes(List.copyOf(routes), isLasting);
  }

  private int spread(Attachment attachment) {
    return Objects.hash(self, attachment.process(), attachment.node());
  }

  AgentDirectory directory() {
    return directory;
  }

  SlotTable slots() {
    return slots;
  }

  long now() {
    return System.nanoTime();
  }

  int maxQueued() {
    return settings.queueMax();
  }

  int maxAttempts() {
    return settings.attemptsMax();
  }

  long agentWaitNanos() {
    return settings.agentWaitMillis() * 1_000_000;
  }

  long relayWaitNanos() {
    return settings.relayWaitMillis() * 1_000_000;
  }

  Shares shares() {
    return shares;
  }

  long queueWaitNanos() {
    return settings.queueWaitMillis() * 1_000_000;
  }

  long hedgeNanos() {
    return settings.hedgeAfterMillis() * 1_000_000;
  }

  Holders holders() {
    return holders;
  }

  /** Asks a second agent, if one has room. */
  void hedge(Call call) {
    Source source = sources.get(new Source.Key(call.request.org(), call.request.source()));
    if (source != null) {
      source.hedge(call);
    }
  }

  /** A place at an agent became free. */
  void released(Call call) {
    Source source = sources.get(new Source.Key(call.request.org(), call.request.source()));
    if (source != null) {
      source.pump();
    }
  }

  private void changed(OrgId org) {
    for (Source source : sources.values()) {
      if (source.key.org().equals(org)) {
        source.pump();
      }
    }
  }

  private void sweep() {
    try {
      long now = now();
      shares.sweep();
      slots.forEach(slot -> sweep(slot, now));
      sources.values().forEach(source -> source.sweep(now));
      origin.sweep(now);
      host.sweep(now);
      relay.sweep(now);
    } catch (RuntimeException e) {
      log.error("a sweep failed; the next one goes on", e);
    }
  }

  private void sweep(Slot slot, long now) {
    if (slot instanceof Attempt attempt) {
      Call call = attempt.call;
      if (now - call.request.deadline().nanoTime() > GRACE_NANOS) {
        call.post(call::onDeadline);
      } else if (now - attempt.startedNanos > MISSED_NANOS
          && attempt.path() instanceof Path.Local local
          && links.find(local.link().id()).isEmpty()) {
        call.post(() -> call.onLost(attempt, Applied.UNKNOWN, true, "the link is gone"));
      } else {
        long hedge = call.hedgeNanos();
        if (hedge > 0 && now - attempt.startedNanos > hedge) {
          call.post(() -> call.onSlow(attempt));
        }
      }
    }
  }

  /** A frame of another backend; those of one come one at a time. */
  private void frame(NodeId from, byte type, ByteBuffer body) {
    origin.heard(from);
    switch (type) {
      case RelayFrame.OPEN -> host.open(from, body, now());
      case RelayFrame.GRANT -> host.grant(from, body, now());
      case RelayFrame.CANCEL -> host.cancel(from, body, now());
      case RelayFrame.DETACH -> host.detach(from, body, now());
      case RelayFrame.PING -> host.ping(from, body, now());
      case RelayFrame.PONG -> origin.pong(from, body);
      case RelayFrame.DATA -> origin.data(from, body);
      case RelayFrame.LOST -> origin.lost(from, body);
      default -> log.debug("node {} sent a frame of the unknown type {}", from, type);
    }
  }

  private final class Ear implements LocalLinks.Listener {

    @Override
    public void opened(AgentLink link) {}

    @Override
    public void message(AgentLink link, ByteBuffer message) {
      try {
        FrameReader frame = new FrameReader().message(message);
        int type = frame.type();
        if (type != HubMessage.STREAM_ITEM && type != HubMessage.COMPLETION) {
          return;
        }
        Slot slot = slots.find(AgentDecoder.callId(frame));
        if (slot instanceof Relayed relayed && relayed.link == link) {
          host.message(relayed, message, type == HubMessage.COMPLETION);
        } else if (slot instanceof Attempt attempt
            && attempt.path() instanceof Path.Local local
            && local.link() == link) {
          hand(attempt, message);
        }
      } catch (ProtocolException e) {
        link.close("a message that is not of the protocol: " + e.getMessage());
      }
    }

    /** On this thread when nobody is inside, which saves a copy. */
    private void hand(Attempt attempt, ByteBuffer message) {
      Call call = attempt.call;
      if (call.tryEnter()) {
        try {
          call.onMessage(attempt, message);
        } catch (ProtocolException e) {
          throw e;
        } catch (RuntimeException e) {
          call.onDefect(e);
        } finally {
          call.exit();
        }
        return;
      }
      byte[] bytes = new byte[message.remaining()];
      message.get(message.position(), bytes);
      call.post(
          () -> {
            try {
              call.onMessage(attempt, ByteBuffer.wrap(bytes));
            } catch (ProtocolException e) {
              call.onGarbage(attempt, e);
            }
          });
    }

    @Override
    public void held(AgentLink link, List<UUID> queries) {
      holders.told(link, queries);
    }

    @Override
    public void idle(AgentLink link) {
      relay.flush();
    }

    @Override
    public void closed(AgentLink link, String reason) {
      holders.told(link, List.of());
      slots.forEach(
          slot -> {
            if (slot instanceof Relayed relayed && relayed.link == link) {
              host.lost(relayed, reason);
            } else if (slot instanceof Attempt attempt
                && attempt.path() instanceof Path.Local local
                && local.link() == link) {
              attempt.call.post(() -> attempt.call.onLost(attempt, Applied.UNKNOWN, true, reason));
            }
          });
    }
  }
}
