package io.conexor.dispatch;

import io.conexor.api.Deadline;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.catalog.OrgId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.Life;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.agent.QueryIds;
import java.time.Duration;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What is asked of an agent. */
sealed interface Request {

  OrgId org();

  String source();

  Deadline deadline();

  boolean repeatable();

  /** False where it could do what whoever asked did not mean to allow. */
  default boolean mayRunOn(Route route) {
    return true;
  }

  /**
   * When another agent is asked too, though the first has not failed.
   *
   * @param usual what is configured; 0 = never
   */
  long hedgeNanos(long usual);

  /** What becomes of it when this backend goes. */
  default QueryLife life() {
    return QueryLife.OF_LINK;
  }

  /**
   * What some agent may have already; null when that does not matter. Not cheap: asked only where
   * some agent has something.
   */
  default @Nullable UUID queryId() {
    return null;
  }

  /** The framed message that starts it. */
  GrowingBytes encode(int callId, int window);

  /** A query. */
  record Query(QueryCall call) implements Request {

    @Override
    public OrgId org() {
      return call.org();
    }

    @Override
    public String source() {
      return call.source();
    }

    @Override
    public Deadline deadline() {
      return call.deadline();
    }

    @Override
    public boolean repeatable() {
      return call.repeatable();
    }

    /**
     * Who says that a call may run twice says that it only reads; where changes are allowed nobody
     * could hold him to it.
     */
    @Override
    public boolean mayRunOn(Route route) {
      return !call.repeatable() || route.isReadOnly() || call.life().runsNothing();
    }

    @Override
    public long hedgeNanos(long usual) {
      Duration own = call.hedgeAfter();
      return own == null ? usual : own.toNanos();
    }

    @Override
    public GrowingBytes encode(int callId, int window) {
      GrowingBytes out = message(160 + call.sql().length());
      new AgentEncoder(out)
          .query(
              callId,
              call.source(),
              call.sql(),
              call.parameters(),
              call.maxRows(),
              call.maxBytes(),
              millis(call.deadline()),
              window,
              call.queryId().toString(),
              call.traceparent(),
              wire(call.life().kind()),
              (int) Math.min(Integer.MAX_VALUE, call.life().keep().toMillis()),
              call.life().asker());
      return out;
    }

    private static Life wire(QueryLife.Kind kind) {
      return switch (kind) {
        case LINK -> Life.LINK;
        case REQUEST -> Life.REQUEST;
        case ONCE -> Life.ONCE;
        case RESULT -> Life.RESULT;
        case STATE -> Life.STATE;
        case DISCARD -> Life.DISCARD;
      };
    }

    @Override
    public QueryLife life() {
      return call.life();
    }

    @Override
    public @Nullable UUID queryId() {
      return switch (call.life().kind()) {
        case LINK -> null;
        case REQUEST ->
            QueryIds.ofRequest(
                call.life().asker(),
                call.source(),
                call.sql(),
                call.parameters(),
                call.maxRows(),
                call.maxBytes());
        default -> call.queryId();
      };
    }
  }

  /** Schema discovery. */
  record Schema(OrgId org, String source, Deadline deadline) implements Request {

    @Override
    public boolean repeatable() {
      return true;
    }

    @Override
    public long hedgeNanos(long usual) {
      return 0;
    }

    @Override
    public GrowingBytes encode(int callId, int window) {
      GrowingBytes out = message(64);
      new AgentEncoder(out)
          .message(new AgentMessage.Schema(callId, source, millis(deadline), window));
      return out;
    }
  }

  static GrowingBytes cancel(int callId) {
    GrowingBytes out = message(32);
    new AgentEncoder(out).message(new AgentMessage.Cancel(callId));
    return out;
  }

  static GrowingBytes credit(int callId, int batches) {
    GrowingBytes out = message(32);
    new AgentEncoder(out).message(new AgentMessage.Credit(callId, batches));
    return out;
  }

  static GrowingBytes detach(AgentMessage.Detach detach) {
    GrowingBytes out = message(96);
    new AgentEncoder(out).message(detach);
    return out;
  }

  private static GrowingBytes message(int capacity) {
    return new GrowingBytes(
        Math.min(capacity, AgentWire.MAX_MESSAGE_BYTES), AgentWire.MAX_MESSAGE_BYTES);
  }

  private static int millis(Deadline deadline) {
    long millis = (deadline.remainingNanos() + 999_999) / 1_000_000;
    return (int) Math.max(1, Math.min(Integer.MAX_VALUE, millis));
  }
}
