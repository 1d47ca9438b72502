package io.conexor.agent.executor;

import io.conexor.api.Subscription;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentMessage.Life;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.agent.QueryIds;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.metatype.annotations.Designate;
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
    configurationPid = KeeperConfig.PID,
    immediate = true)
@Designate(ocd = KeeperConfig.class)
public final class Executor implements BackendLinks.Handler {
  private static final Logger log = LoggerFactory.getLogger(Executor.class);

  /** What is said about a query whose state is asked for. */
  private static final List<Column> KEPT_COLUMNS =
      List.of(
          new Column("state", "TEXT", false, null, ""),
          new Column("rows", "INTEGER", false, null, ""),
          new Column("elapsed_micros", "INTEGER", false, null, ""),
          new Column("code", "TEXT", false, null, ""));

  private final BackendLinks links;
  private final Subscription serving;
  private final Map<String, Source> sources = new ConcurrentHashMap<>();
  private final Map<BackendLink, LinkCalls> calls = new ConcurrentHashMap<>();
  private final AtomicInteger inFlight = new AtomicInteger();
  private final Keeper keeper;

  /** The calls of one link. */
  private static final class LinkCalls {
    /** Used by the link's own thread only. */
    final FrameReader frame = new FrameReader();

    final Map<Integer, Target> byId = new ConcurrentHashMap<>();
  }

  /** A request that waits to learn whether it is the one that runs already. */
  private static final class Waiting implements Target {
    private final AtomicBoolean isTaken = new AtomicBoolean();

    boolean take() {
      return !isTaken.getAndSet(true);
    }

    @Override
    public void credit(int batches) {}
  }

  @Activate
  public Executor(@Reference(name = "links") BackendLinks links, KeeperConfig config) {
    this(links, Keeper.Limits.checked(config));
  }

  Executor(BackendLinks links, Keeper.Limits limits) {
    this.links = links;
    this.keeper = new Keeper(limits);
    this.serving = links.serve(this);
  }

  @Deactivate
  void deactivate() {
    serving.close();
    calls.keySet().forEach(this::closed);
    keeper.close();
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
  public void message(BackendLink link, ByteBuffer message) {
    LinkCalls of = calls.computeIfAbsent(link, l -> new LinkCalls());
    try {
      AgentMessage.FromBackend received = AgentDecoder.fromBackend(of.frame.message(message));
      if (received instanceof AgentMessage.Query query) {
        if (query.life() == Life.LINK) {
          start(link, of, query);
        } else {
          outliving(link, of, query);
        }
      } else if (received instanceof AgentMessage.Schema schema) {
        Call call =
            call(
                link,
                schema.callId(),
                schema.source(),
                null,
                List.of(),
                0,
                Long.MAX_VALUE,
                schema.deadlineMillis(),
                schema.window());
        submit(of, call, schema.source());
      } else if (received instanceof AgentMessage.Credit credit) {
        Target target = of.byId.get(credit.callId());
        if (target != null) {
          target.credit(credit.batches());
        }
      } else if (received instanceof AgentMessage.Cancel cancel) {
        cancel(link, of, cancel.callId());
      } else if (received instanceof AgentMessage.Detach detach) {
        detach(link, of, detach);
      }
    } catch (ProtocolException e) {
      log.warn("a backend sent a message that cannot be read: {}", e.getMessage());
    }
  }

  private void start(BackendLink link, LinkCalls of, AgentMessage.Query query) {
    submit(of, call(link, query, query.maxBytes()), query.source());
  }

  private Call call(BackendLink link, AgentMessage.Query query, long maxBytes) {
    return call(
        link,
        query.callId(),
        query.source(),
        query.sql(),
        query.parameters(),
        query.maxRows(),
        maxBytes,
        query.deadlineMillis(),
        query.window());
  }

  private Call call(
      BackendLink link,
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
    return new Call(
        source,
        link,
        callId,
        sql,
        parameters,
        maxRows,
        maxBytes,
        TimeUnit.MILLISECONDS.toNanos(deadlineMillis),
        ceiling,
        window);
  }

  private void submit(LinkCalls of, Call call, String sourceName) {
    Source source = call.source;
    if (source == null) {
      refuse(
          call, "source_not_here", "DEPENDENCY", "this agent does not serve '" + sourceName + "'");
      return;
    }
    call.whenDone(() -> done(of, call.id, call));
    if (add(of, call.id, call)) {
      source.submit(call);
    }
  }

  private boolean add(LinkCalls of, Integer id, Target target) {
    if (of.byId.putIfAbsent(id, target) != null) {
      log.warn("call {} came twice on one link; the second is ignored", id);
      return false;
    }
    inFlight.incrementAndGet();
    return true;
  }

  private static void refuse(Call call, String code, String blame, String message) {
    new Answer(call, 0).fail(CallStatus.FAILED, SqlFailures.of(code, blame, "NO", message));
  }

  /** A query whose id means something beyond its link. */
  private void outliving(BackendLink link, LinkCalls of, AgentMessage.Query query) {
    Kept known = find(query);
    switch (query.life()) {
      case REQUEST -> {
        if (known == null) {
          startRequest(link, of, query);
        } else if (!attach(known, link, of, query)) {
          // Perhaps its backend has died, and the link does not show it yet.
          Waiting waiting = new Waiting();
          Runnable again = () -> again(link, of, query, waiting);
          if (add(of, query.callId(), waiting)) {
            if (known.isRunningFor(link, again)) {
              keeper.later(Keeper.TWIN_MILLIS, again);
            } else {
              again.run();
            }
          }
        }
      }
      case ONCE -> {
        if (known == null || !attach(known, link, of, query)) {
          startOnce(link, of, query);
        }
      }
      case RESULT -> {
        if (known == null || !attach(known, link, of, query)) {
          unknown(link, query);
        }
      }
      case STATE -> {
        if (known == null) {
          unknown(link, query);
        } else {
          state(link, query, known);
        }
      }
      case DISCARD -> {
        if (known == null) {
          unknown(link, query);
        } else if (known.end() == null && known.call.source != null) {
          known.call.source.stop(known.call, Call.Stop.CANCELLED);
          state(link, query, known);
        } else {
          state(link, query, known);
          keeper.remove(known);
        }
      }
      default -> throw new IllegalStateException(query.life().name());
    }
  }

  /** Most of the time nothing is kept, and then it costs a look. */
  private @Nullable Kept find(AgentMessage.Query query) {
    if (keeper.isEmpty()) {
      return null;
    }
    String id =
        query.life() == Life.REQUEST
            ? QueryIds.ofRequest(
                    query.asker(),
                    query.source(),
                    query.sql(),
                    query.parameters(),
                    query.maxRows(),
                    query.maxBytes())
                .toString()
            : query.queryId();
    return keeper.find(id, query.source());
  }

  private void again(BackendLink link, LinkCalls of, AgentMessage.Query query, Waiting waiting) {
    if (!waiting.take()) {
      return;
    }
    done(of, query.callId(), waiting);
    Kept known = find(query);
    if (known == null || !attach(known, link, of, query)) {
      startRequest(link, of, query);
    }
  }

  private void startRequest(BackendLink link, LinkCalls of, AgentMessage.Query query) {
    Call call = call(link, query, query.maxBytes());
    call.outlivesAsRequest(keeper, query.asker());
    submit(of, call, query.source());
  }

  private void startOnce(BackendLink link, LinkCalls of, AgentMessage.Query query) {
    long most = keeper.resultBytes() / 2; // what columns, heads and the last row add
    Call call = call(link, query, query.maxBytes() <= 0 ? most : Math.min(most, query.maxBytes()));
    Source source = call.source;
    if (source == null) {
      submit(of, call, query.source());
      return;
    }
    call.outlivesOnce(keeper, query.queryId(), keeper.keepNanos(query.keepMillis()));
    Kept made = keeper.keep(call, false);
    if (made == null) {
      Kept other = find(query);
      if (other == null || !attach(other, link, of, query)) {
        refuse(
            call(link, query, 0),
            "keep_full",
            "CAPACITY",
            "the agent keeps as many results as it may; try again in a while");
      }
      return;
    }
    call.recordedBy(made);
    if (attach(made, link, of, query)) {
      source.submit(call);
    } else {
      keeper.remove(made);
    }
  }

  /** False when it is not for this reader. */
  private boolean attach(Kept known, BackendLink link, LinkCalls of, AgentMessage.Query query) {
    Integer id = query.callId();
    Reading reading = known.attach(link, id, query.window(), read -> done(of, id, read));
    if (reading == null) {
      return false;
    }
    if (add(of, id, reading)) {
      known.pump(reading);
    }
    return true;
  }

  private void unknown(BackendLink link, AgentMessage.Query query) {
    refuse(
        call(link, query, 0),
        "query_unknown",
        "CALLER",
        "no agent has this query, or its result, any more");
  }

  private void state(BackendLink link, AgentMessage.Query query, Kept known) {
    Call call = call(link, query, 0);
    CallEnd end = known.end();
    String state = end == null ? "RUNNING" : end.status().name();
    CallError error = end == null ? null : end.error();
    Answer answer = new Answer(call, Long.MAX_VALUE);
    answer.columns(KEPT_COLUMNS);
    try {
      answer.row(
          out -> {
            out.row(KEPT_COLUMNS.size());
            out.text(state);
            out.integer(end == null ? 0 : end.rowCount());
            out.integer(end == null ? known.call.elapsedMicros() : end.elapsedMicros());
            out.text(error == null ? "" : error.code());
          });
      answer.finish();
    } catch (SQLException | Call.StoppedException | Answer.RowTooLargeException e) {
      throw new IllegalStateException("a row of a few words", e);
    }
  }

  /** The id may stand for another call by now. */
  private void done(LinkCalls of, Integer id, Target target) {
    if (of.byId.remove(id, target)) {
      inFlight.decrementAndGet();
    }
  }

  private void cancel(BackendLink link, LinkCalls of, Integer id) {
    Target target = of.byId.get(id);
    if (target instanceof Call call && call.source != null) {
      call.source.stop(call, Call.Stop.CANCELLED);
      Kept kept = call.kept();
      if (kept != null) {
        keeper.remove(kept); // the same request again is not the one that was cancelled
      }
    } else if (target instanceof Reading reading) {
      Call read = reading.kept.call;
      boolean isLast = reading.kept.cancel(reading);
      done(of, id, reading);
      cancelled(link, id);
      if (isLast && read.source != null) {
        if (read.isHarmless()) {
          keeper.remove(reading.kept);
        }
        read.source.stop(read, Call.Stop.CANCELLED);
      }
    } else if (target instanceof Waiting waiting && waiting.take()) {
      done(of, id, waiting);
      cancelled(link, id);
    }
  }

  private static void cancelled(BackendLink link, int id) {
    CallError error = SqlFailures.of("cancelled", "CALLER", "UNKNOWN", "the call was cancelled");
    CallEnd end = new CallEnd(id, CallStatus.CANCELLED, 0, false, 0, error);
    ByteBuffer message = new ResultWriter(id, AgentWire.MAX_MESSAGE_BYTES).fail(end);
    link.send(message.array(), message.arrayOffset() + message.position(), message.remaining());
  }

  /** Nobody reads on here. */
  private void detach(BackendLink link, LinkCalls of, AgentMessage.Detach detach) {
    Integer id = detach.callId();
    Target target = of.byId.get(id);
    Kept kept =
        target instanceof Call call
            ? call.record()
            : target instanceof Reading reading ? reading.kept : null;
    if (kept != null && !detach.queryId().isEmpty()) {
      keeper.rename(kept, detach.queryId(), keeper.keepNanos(detach.keepMillis()));
    }
    if (target instanceof Call call) {
      leave(link, of, call);
    } else if (target instanceof Reading reading) {
      done(of, id, reading);
      reading.kept.detach(reading);
    } else if (target instanceof Waiting waiting && waiting.take()) {
      done(of, id, waiting);
    }
  }

  private void leave(BackendLink link, LinkCalls of, Call call) {
    Kept kept = call.record();
    if (kept != null && !kept.isDropped()) {
      done(of, call.id, call);
      kept.left(link);
    } else if (call.source != null) {
      call.source.stop(call, Call.Stop.GONE);
    }
  }

  @Override
  public void closed(BackendLink link) {
    LinkCalls of = calls.remove(link);
    if (of != null) {
      of.byId
          .values()
          .forEach(
              target -> {
                if (target instanceof Call call) {
                  leave(link, of, call);
                } else if (target instanceof Reading reading) {
                  done(of, reading.callId, reading);
                } else if (target instanceof Waiting waiting && waiting.take()) {
                  of.byId.values().remove(waiting);
                  inFlight.decrementAndGet();
                }
              });
      keeper.lost(link);
    }
  }

  @Override
  public IntSupplier inFlight() {
    return () -> inFlight.get() + keeper.unread();
  }

  @Override
  public List<String> held() {
    return keeper.ids();
  }
}
