package io.conexor.dispatch;

import io.conexor.api.Deadline;
import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.RowSink;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.OrgId;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.RowBatch;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Calls to agents over the links of this backend. */
@Component(service = AgentCalls.class, configurationPid = Calls.PID)
@Designate(ocd = Calls.Config.class)
public final class Calls implements AgentCalls {

  static final String PID = "io.conexor.dispatch";

  private static final long SWEEP_MILLIS = 10;
  private static final int SLOTS = 1 << 16;

  /** The agent watches the deadline too and knows better what happened, so its word may come. */
  private static final long GRACE_NANOS = 100_000_000L;

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
  }

  /** The checked configuration. */
  record Settings(int queueMax, int attemptsMax, long agentWaitMillis) {

    static Settings checked(Config config) {
      within("queue.max", config.queue_max(), 0, 100_000);
      within("attempts.max", config.attempts_max(), 1, 16);
      within("agent.wait.ms", config.agent_wait_ms(), 0, 60_000);
      return new Settings(config.queue_max(), config.attempts_max(), config.agent_wait_ms());
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
  private final Settings settings;
  private final SlotTable slots = new SlotTable(SLOTS);
  private final ConcurrentHashMap<Source.Key, Source> sources = new ConcurrentHashMap<>();
  private final ScheduledExecutorService sweep;
  private final Subscription listening;
  private final Subscription changes;

  @Activate
  public Calls(
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "links") LocalLinks links,
      Config config) {
    this(directory, links, Settings.checked(config));
  }

  Calls(AgentDirectory directory, LocalLinks links, Settings settings) {
    this.directory = directory;
    this.links = links;
    this.settings = settings;
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

  @Deactivate
  void close() {
    changes.close();
    listening.close();
    sweep.shutdownNow();
    slots.forEach(a -> a.call.post(() -> a.call.cancel("this backend stops")));
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
        call.onNobody();
        return;
      }
      source = sources.computeIfAbsent(key, k -> new Source(this, k, now()));
    }
    source.admit(call);
  }

  List<Route> routes(
      List<Attachment> attachments, String source, Function<UUID, AgentStats> stats) {
    List<Route> routes = new ArrayList<>(attachments.size());
    for (Attachment attachment : attachments) {
      Optional<AgentLink> link = links.find(attachment.link());
      if (attachment.isClosing()
          || link.isEmpty()
          || !link.get().attachment().node().equals(attachment.node())) {
        continue;
      }
      for (SourceOffer offer : attachment.sources()) {
        if (offer.name().equals(source)) {
          int limit = Math.max(16, 4 * offer.maxConcurrent());
          routes.add(
              new Route(
                  attachment,
                  link.get(),
                  true,
                  offer.state(),
                  limit,
                  stats.apply(attachment.process())));
          break;
        }
      }
    }
    return routes;
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
      slots.forEach(
          attempt -> {
            Call call = attempt.call;
            if (now - call.request.deadline().nanoTime() > GRACE_NANOS) {
              call.post(call::onDeadline);
            } else if (now - attempt.startedNanos > 1_000_000_000L
                && links.find(attempt.link.id()).isEmpty()) {
              call.post(() -> call.onLost(attempt, "the link is gone"));
            }
          });
      sources.values().forEach(source -> source.sweep(now));
    } catch (RuntimeException e) {
      log.error("a sweep failed; the next one goes on", e);
    }
  }

  private final class Ear implements LocalLinks.Listener {

    @Override
    public void opened(AgentLink link) {}

    @Override
    public void message(AgentLink link, ByteBuffer message) {
      try {
        FrameReader frame = new FrameReader().message(message);
        if (frame.type() == HubMessage.STREAM_ITEM) {
          batch(link, AgentDecoder.rowBatch(frame));
        } else if (frame.type() == HubMessage.COMPLETION) {
          end(link, AgentDecoder.callEnd(frame));
        }
      } catch (ProtocolException e) {
        link.close("a message that is not of the protocol: " + e.getMessage());
      }
    }

    @Override
    public void closed(AgentLink link, String reason) {
      slots.forEach(
          attempt -> {
            if (attempt.link.id().equals(link.id())) {
              attempt.call.post(() -> attempt.call.onLost(attempt, reason));
            }
          });
    }

    private void batch(AgentLink link, RowBatch batch) {
      Attempt attempt = slots.find(batch.callId());
      if (attempt == null || !attempt.link.id().equals(link.id())) {
        return;
      }
      List<Column> columns = columns(batch.columns());
      Call call = attempt.call;
      int offset = batch.rowsOffset();
      int length = batch.rowsLength();
      // Whoever is inside now runs this after the reader has gone on, so the bytes are kept.
      byte[] kept = Arrays.copyOfRange(batch.bytes(), offset, offset + length);
      call.post(() -> call.onBatch(attempt, columns, batch.rowCount(), kept, 0, length));
    }

    private void end(AgentLink link, CallEnd end) {
      Attempt attempt = slots.find(end.callId());
      if (attempt != null && attempt.link.id().equals(link.id())) {
        attempt.call.post(() -> attempt.call.onEnd(attempt, end));
      }
    }
  }

  private static @Nullable List<Column> columns(
      @Nullable List<io.conexor.protocol.agent.AgentMessage.Column> wire) {
    if (wire == null) {
      return null;
    }
    List<Column> columns = new ArrayList<>(wire.size());
    for (var column : wire) {
      String element = column.elementType();
      columns.add(
          new Column(
              column.name(),
              type(column.type()),
              column.nullable(),
              element == null ? Optional.empty() : Optional.of(type(element)),
              column.engineType()));
    }
    return List.copyOf(columns);
  }

  /** A type that a newer agent may know is one that is printed. */
  static ColumnType type(String name) {
    try {
      return ColumnType.valueOf(name);
    } catch (IllegalArgumentException e) {
      return ColumnType.OTHER;
    }
  }
}
