package io.conexor.dispatch;

import io.conexor.api.Deadline;
import io.conexor.api.call.QueryCall;
import io.conexor.api.catalog.OrgId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import java.time.Duration;

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
      return !call.repeatable() || route.isReadOnly();
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
              call.traceparent());
      return out;
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

  private static GrowingBytes message(int capacity) {
    return new GrowingBytes(
        Math.min(capacity, AgentWire.MAX_MESSAGE_BYTES), AgentWire.MAX_MESSAGE_BYTES);
  }

  private static int millis(Deadline deadline) {
    long millis = (deadline.remainingNanos() + 999_999) / 1_000_000;
    return (int) Math.max(1, Math.min(Integer.MAX_VALUE, millis));
  }
}
