package io.conexor.protocol.agent;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentMessage.Source;
import io.conexor.protocol.agent.AgentMessage.SourceState;
import io.conexor.protocol.hub.FrameWriter;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.msgpack.PackWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Appends the messages of a link, framed, to a {@link GrowingBytes}. What does not fit is a {@code
 * ProtocolException} and leaves the output as it was. Reusable; belongs to one thread at a time.
 */
public final class AgentEncoder {
  private static final int RESULT = 3;

  private final GrowingBytes out;
  private final FrameWriter frame;

  public AgentEncoder(GrowingBytes out) {
    this.out = out;
    this.frame = new FrameWriter(out);
  }

  public GrowingBytes out() {
    return out;
  }

  /**
   * Appends any message but {@link AgentMessage.RowBatch}, which {@link ResultWriter} makes in
   * place.
   */
  public void message(AgentMessage message) {
    boolean done = false;
    try {
      write(message);
      done = true;
    } finally {
      if (!done) {
        frame.abort();
      }
    }
  }

  /**
   * A {@link AgentMessage.Query} without making one; {@code parameters} as there, and other boxed
   * numbers.
   */
  public void query(
      int callId,
      String source,
      String sql,
      List<? extends @Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      int deadlineMillis,
      int window,
      String queryId,
      @Nullable String traceparent,
      AgentMessage.Life life,
      int keepMillis,
      String asker) {
    boolean done = false;
    // agents of before know nine items, and need no more for what they can do
    boolean isShort = life == AgentMessage.Life.LINK;
    try {
      PackWriter pack = beginCall(callId, AgentWire.QUERY, isShort ? 9 : 12);
      pack.text(source);
      pack.text(sql);
      pack.array(parameters.size());
      for (Object parameter : parameters) {
        pack.value(parameter);
      }
      pack.integer(maxRows);
      pack.integer(maxBytes);
      pack.integer(deadlineMillis);
      pack.integer(window);
      pack.text(queryId);
      pack.textOrNil(traceparent);
      if (!isShort) {
        pack.integer(life.code());
        pack.integer(keepMillis);
        pack.text(asker);
      }
      frame.endInvocation();
      done = true;
    } finally {
      if (!done) {
        frame.abort();
      }
    }
  }

  private void write(AgentMessage message) {
    if (message instanceof AgentMessage.Query m) {
      query(
          m.callId(),
          m.source(),
          m.sql(),
          m.parameters(),
          m.maxRows(),
          m.maxBytes(),
          m.deadlineMillis(),
          m.window(),
          m.queryId(),
          m.traceparent(),
          m.life(),
          m.keepMillis(),
          m.asker());
    } else if (message instanceof AgentMessage.Schema m) {
      PackWriter pack = beginCall(m.callId(), AgentWire.SCHEMA, 3);
      pack.text(m.source());
      pack.integer(m.deadlineMillis());
      pack.integer(m.window());
      frame.endInvocation();
    } else if (message instanceof AgentMessage.Credit m) {
      PackWriter pack = beginInvocation(AgentWire.CREDIT, 2);
      pack.integer(m.callId());
      pack.integer(m.batches());
      frame.endInvocation();
    } else if (message instanceof AgentMessage.Detach m) {
      PackWriter pack = beginInvocation(AgentWire.DETACH, 3);
      pack.integer(m.callId());
      pack.text(m.queryId());
      pack.integer(m.keepMillis());
      frame.endInvocation();
    } else if (message instanceof AgentMessage.Cancel m) {
      frame.beginWithoutHeaders(HubMessage.CANCEL_INVOCATION, 3).decimalText(m.callId());
      frame.end();
    } else if (message instanceof CallEnd m) {
      callEnd(m);
    } else if (message instanceof AgentMessage.Heartbeat m) {
      heartbeat(m);
    } else if (message instanceof AgentMessage.Hello m) {
      hello(m);
    } else if (message instanceof AgentMessage.Welcome m) {
      PackWriter pack = beginInvocation(AgentWire.WELCOME, 6);
      pack.integer(m.wireVersion());
      pack.text(m.nodeId());
      pack.text(m.linkId());
      pack.integer(m.fleetSize());
      pack.integer(m.heartbeatMillis());
      pack.text(m.agentId());
      frame.endInvocation();
    } else if (message instanceof AgentMessage.Closing m) {
      beginInvocation(AgentWire.CLOSING, 1).text(m.reason());
      frame.endInvocation();
    } else if (message instanceof AgentMessage.Close m) {
      frame.close(m.error(), m.allowReconnect());
    } else if (message instanceof AgentMessage.Ping) {
      frame.ping();
    } else {
      throw new IllegalArgumentException("rows are written by ResultWriter");
    }
  }

  private void callEnd(CallEnd m) {
    PackWriter pack = frame.beginWithoutHeaders(HubMessage.COMPLETION, 5);
    pack.decimalText(m.callId());
    pack.integer(RESULT);
    pack.array(5);
    pack.integer(m.status().code());
    pack.integer(m.rowCount());
    pack.bool(m.truncated());
    pack.integer(m.elapsedMicros());
    CallError error = m.error();
    if (error == null) {
      pack.nil();
    } else {
      pack.array(5);
      pack.text(error.code());
      pack.text(error.blame());
      pack.text(error.applied());
      pack.text(error.message());
      pack.textOrNil(error.sqlState());
    }
    frame.end();
  }

  private void heartbeat(AgentMessage.Heartbeat m) {
    PackWriter pack = beginInvocation(AgentWire.HEARTBEAT, m.held().isEmpty() ? 4 : 5);
    pack.integer(m.inFlight());
    pack.integer(m.queued());
    pack.array(m.sources().size());
    for (SourceState state : m.sources()) {
      pack.array(3);
      pack.text(state.name());
      pack.text(state.state());
      pack.textOrNil(state.reason());
    }
    pack.integer(m.sequence());
    if (!m.held().isEmpty()) {
      pack.array(m.held().size());
      m.held().forEach(pack::text);
    }
    frame.endInvocation();
  }

  private void hello(AgentMessage.Hello m) {
    PackWriter pack = beginInvocation(AgentWire.HELLO, 6);
    pack.integer(m.wireVersion());
    pack.text(m.agentVersion());
    pack.text(m.processId());
    pack.text(m.agentName());
    pack.array(m.sources().size());
    for (Source source : m.sources()) {
      pack.array(9);
      pack.text(source.name());
      pack.text(source.engine());
      pack.text(source.productVersion());
      pack.bool(source.readOnly());
      pack.integer(source.maxRows());
      pack.integer(source.maxBytes());
      pack.integer(source.maxConcurrent());
      pack.text(source.state());
      pack.textOrNil(source.stateReason());
    }
    pack.integer(m.epoch());
    frame.endInvocation();
  }

  private PackWriter beginInvocation(byte[] target, int arguments) {
    PackWriter pack = frame.beginWithoutHeaders(HubMessage.INVOCATION, 6);
    pack.nil();
    pack.text(target, 0, target.length);
    pack.array(arguments);
    return pack;
  }

  private PackWriter beginCall(int callId, byte[] target, int arguments) {
    PackWriter pack = frame.beginWithoutHeaders(HubMessage.STREAM_INVOCATION, 6);
    pack.decimalText(callId);
    pack.text(target, 0, target.length);
    pack.array(arguments);
    return pack;
  }

  static void columns(PackWriter pack, List<Column> columns) {
    pack.array(columns.size());
    for (Column column : columns) {
      pack.array(5);
      pack.text(column.name());
      pack.text(column.type());
      pack.bool(column.nullable());
      pack.textOrNil(column.elementType());
      pack.text(column.engineType());
    }
  }
}
