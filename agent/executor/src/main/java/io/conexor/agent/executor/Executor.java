package io.conexor.agent.executor;

import io.conexor.api.Subscription;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes calls from the links and hands them to their sources. Runs on the links' I/O threads and
 * never blocks them; the answers are written by the sources' workers.
 *
 * <p>{@code immediate}: nothing else asks for it; it is where calls come in.
 */
@Component(
    service = {},
    immediate = true)
public final class Executor implements BackendLinks.Handler {
  private static final Logger log = LoggerFactory.getLogger(Executor.class);

  private final BackendLinks links;
  private final Subscription serving;
  private final Map<String, Source> sources = new ConcurrentHashMap<>();
  private final Map<BackendLinks.BackendLink, LinkCalls> calls = new ConcurrentHashMap<>();
  private final AtomicInteger inFlight = new AtomicInteger();

  /** The calls of one link. */
  private static final class LinkCalls {
    /** Used by the link's own thread only. */
    final FrameReader frame = new FrameReader();

    final Map<Integer, Call> byId = new ConcurrentHashMap<>();
  }

  @Activate
  public Executor(@Reference(name = "links") BackendLinks links) {
    this.links = links;
    this.serving = links.serve(this);
  }

  @Deactivate
  void deactivate() {
    serving.close();
    calls.keySet().forEach(this::closed);
  }

  /**
   * 0..n by nature: an agent serves as many sources as are configured, and they come and go one by
   * one.
   */
  @Reference(
      name = "sources",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC)
  void addSource(Source source) {
    sources.put(source.name(), source);
    source.onChange(this::offer);
    offer();
  }

  void removeSource(Source source) {
    if (sources.remove(source.name(), source)) {
      offer();
    }
  }

  private void offer() {
    List<SourceOffer> offers = new ArrayList<>();
    for (Source source : sources.values()) {
      offers.add(source.offer());
    }
    offers.sort(Comparator.comparing(SourceOffer::name));
    links.offer(offers);
  }

  @Override
  public void message(BackendLinks.BackendLink link, ByteBuffer message) {
    LinkCalls of = calls.computeIfAbsent(link, l -> new LinkCalls());
    try {
      AgentMessage.FromBackend received = AgentDecoder.fromBackend(of.frame.message(message));
      if (received instanceof AgentMessage.Query query) {
        start(
            link,
            of,
            query.callId(),
            query.source(),
            query.sql(),
            query.parameters(),
            query.maxRows(),
            query.maxBytes(),
            query.deadlineMillis(),
            query.window());
      } else if (received instanceof AgentMessage.Schema schema) {
        start(
            link,
            of,
            schema.callId(),
            schema.source(),
            null,
            List.of(),
            0,
            Long.MAX_VALUE,
            schema.deadlineMillis(),
            schema.window());
      } else if (received instanceof AgentMessage.Credit credit) {
        Call call = of.byId.get(credit.callId());
        if (call != null) {
          call.credit(credit.batches());
        }
      } else if (received instanceof AgentMessage.Cancel cancel) {
        stop(of, cancel.callId(), Call.Stop.CANCELLED);
      }
    } catch (ProtocolException e) {
      log.warn("a backend sent a message that cannot be read: {}", e.getMessage());
    }
  }

  private void start(
      BackendLinks.BackendLink link,
      LinkCalls of,
      int callId,
      String sourceName,
      @Nullable String sql,
      List<? extends @Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      int deadlineMillis,
      int window) {
    Source source = sources.get(sourceName);
    long ceiling = source == null ? 0 : source.settings().maxTime().toNanos();
    Integer id = callId;
    Call call =
        new Call(
            source,
            link,
            callId,
            sql,
            parameters,
            maxRows,
            maxBytes,
            TimeUnit.MILLISECONDS.toNanos(deadlineMillis),
            ceiling,
            window,
            () -> done(of, id));
    if (source == null) {
      CallError error =
          SqlFailures.of(
              "source_not_here",
              "DEPENDENCY",
              "NO",
              "this agent does not serve '" + sourceName + "'");
      new Answer(call, 0).fail(CallStatus.FAILED, error);
      return;
    }
    if (of.byId.putIfAbsent(id, call) != null) {
      log.warn("call {} came twice on one link; the second is ignored", callId);
      return;
    }
    inFlight.incrementAndGet();
    source.submit(call);
  }

  private void done(LinkCalls of, Integer id) {
    if (of.byId.remove(id) != null) {
      inFlight.decrementAndGet();
    }
  }

  private static void stop(LinkCalls of, Integer id, Call.Stop why) {
    Call call = of.byId.get(id);
    if (call != null && call.source != null) {
      call.source.stop(call, why);
    }
  }

  @Override
  public void closed(BackendLinks.BackendLink link) {
    LinkCalls of = calls.remove(link);
    if (of != null) {
      of.byId.keySet().forEach(id -> stop(of, id, Call.Stop.GONE));
    }
  }

  @Override
  public IntSupplier inFlight() {
    return inFlight::get;
  }
}
