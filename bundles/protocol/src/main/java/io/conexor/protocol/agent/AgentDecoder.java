package io.conexor.protocol.agent;

import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentMessage.FromAgent;
import io.conexor.protocol.agent.AgentMessage.FromBackend;
import io.conexor.protocol.agent.AgentMessage.RowBatch;
import io.conexor.protocol.agent.AgentMessage.Source;
import io.conexor.protocol.agent.AgentMessage.SourceState;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.msgpack.PackReader;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads the message a {@link FrameReader} stands on. Messages that this version does not know are
 * null, for the caller to ignore.
 */
public final class AgentDecoder {
  private static final int RESULT = 3;

  private AgentDecoder() {}

  /** The call a message of type 2, 3, 4 or 5 belongs to; leaves the reader behind it. */
  public static int callId(FrameReader frame) {
    return frame.body().decimalText();
  }

  /** What an agent sent, or null if this version does not know it. */
  public static @Nullable FromAgent fromAgent(FrameReader frame) {
    return switch (frame.type()) {
      case HubMessage.STREAM_ITEM -> rowBatch(frame);
      case HubMessage.COMPLETION -> callEnd(frame);
      case HubMessage.INVOCATION -> invocationFromAgent(frame);
      case HubMessage.PING -> AgentMessage.Ping.INSTANCE;
      case HubMessage.CLOSE -> close(frame);
      default -> null;
    };
  }

  private static @Nullable FromAgent invocationFromAgent(FrameReader frame) {
    PackReader body = invocation(frame);
    if (body.nextTextIs(AgentWire.HEARTBEAT)) {
      int items = arguments(body, 4);
      return new AgentMessage.Heartbeat(
          count(body),
          count(body),
          sourceStates(body),
          body.nonNegative(),
          items > 4 ? held(body) : List.of());
    }
    if (body.nextTextIs(AgentWire.HELLO)) {
      arguments(body, 6);
      return new AgentMessage.Hello(
          count(body), text(body), text(body), text(body), sources(body), body.nonNegative());
    }
    if (body.nextTextIs(AgentWire.CLOSING)) {
      arguments(body, 1);
      return new AgentMessage.Closing(text(body));
    }
    return null;
  }

  /** What a backend sent, or null if this version does not know it. */
  public static @Nullable FromBackend fromBackend(FrameReader frame) {
    return switch (frame.type()) {
      case HubMessage.STREAM_INVOCATION -> callFromBackend(frame);
      case HubMessage.CANCEL_INVOCATION -> new AgentMessage.Cancel(frame.body().decimalText());
      case HubMessage.INVOCATION -> invocationFromBackend(frame);
      case HubMessage.PING -> AgentMessage.Ping.INSTANCE;
      case HubMessage.CLOSE -> close(frame);
      default -> null;
    };
  }

  private static @Nullable FromBackend callFromBackend(FrameReader frame) {
    frame.need(4);
    PackReader body = frame.body();
    int callId = body.decimalText();
    if (body.nextTextIs(AgentWire.QUERY)) {
      int items = arguments(body, 9);
      return query(body, callId, items);
    }
    if (body.nextTextIs(AgentWire.SCHEMA)) {
      arguments(body, 3);
      return new AgentMessage.Schema(callId, text(body), count(body), count(body));
    }
    return null;
  }

  private static @Nullable FromBackend invocationFromBackend(FrameReader frame) {
    PackReader body = invocation(frame);
    if (body.nextTextIs(AgentWire.CREDIT)) {
      arguments(body, 2);
      return new AgentMessage.Credit(count(body), body.integer(1, Integer.MAX_VALUE));
    }
    if (body.nextTextIs(AgentWire.DETACH)) {
      arguments(body, 3);
      return new AgentMessage.Detach(count(body), body.text(64), count(body));
    }
    if (body.nextTextIs(AgentWire.WELCOME)) {
      arguments(body, 6);
      return new AgentMessage.Welcome(
          count(body), text(body), text(body), count(body), count(body), text(body));
    }
    if (body.nextTextIs(AgentWire.CLOSING)) {
      arguments(body, 1);
      return new AgentMessage.Closing(text(body));
    }
    return null;
  }

  /** Passes the invocation id, which nobody answers; the target is next. */
  private static PackReader invocation(FrameReader frame) {
    frame.need(4);
    frame.body().textOrNil(32);
    return frame.body();
  }

  /** The batch of rows in a message of type 2. */
  public static RowBatch rowBatch(FrameReader frame) {
    frame.need(3);
    PackReader body = frame.body();
    int callId = body.decimalText();
    int items = atLeast(body, 3);
    List<Column> columns = body.nextNil() ? null : columns(body);
    int rowCount = count(body);
    int length = body.bytesHead(Integer.MAX_VALUE);
    if (rowCount > length) { // an empty row takes a byte
      throw body.error("a batch of " + length + " bytes can not hold " + rowCount + " rows");
    }
    int offset = body.index();
    body.advance(length);
    skip(body, items - 3);
    return new RowBatch(callId, columns, rowCount, body.array(), offset, length);
  }

  /**
   * The end of a call in a message of type 3; one with an error of SignalR's own kind is a failure
   * of the agent.
   */
  public static CallEnd callEnd(FrameReader frame) {
    frame.need(3);
    PackReader body = frame.body();
    int callId = body.decimalText();
    int kind = body.integer(1, RESULT);
    if (kind != RESULT) {
      String message = "the agent ended the call without a result";
      if (kind == 1) {
        frame.need(4);
        message = body.text(AgentWire.MAX_TEXT);
      }
      return new CallEnd(
          callId,
          CallStatus.FAILED,
          0,
          false,
          0,
          new CallError("agent_error", "BUG", "UNKNOWN", message, null));
    }
    frame.need(4);
    int items = atLeast(body, 5);
    CallStatus status =
        switch (body.integer(0, 2)) {
          case 0 -> CallStatus.DONE;
          case 1 -> CallStatus.FAILED;
          default -> CallStatus.CANCELLED;
        };
    long rowCount = body.nonNegative();
    boolean truncated = body.bool();
    long elapsedMicros = body.nonNegative();
    CallError error = null;
    if (!body.nextNil()) {
      int errorItems = atLeast(body, 5);
      error =
          new CallError(
              text(body), text(body), text(body), text(body), body.textOrNil(AgentWire.MAX_TEXT));
      skip(body, errorItems - 5);
    }
    if ((error == null) != (status == CallStatus.DONE)) {
      throw body.error("status and error of a completion contradict each other");
    }
    skip(body, items - 5);
    return new CallEnd(callId, status, rowCount, truncated, elapsedMicros, error);
  }

  private static AgentMessage.Query query(PackReader body, int callId, int items) {
    String source = text(body);
    String sql = body.text(Integer.MAX_VALUE);
    int length = body.array(AgentWire.MAX_PARAMETERS);
    List<@Nullable Object> parameters = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      parameters.add(body.value());
    }
    long maxRows = body.nonNegative();
    long maxBytes = body.nonNegative();
    int deadlineMillis = count(body);
    int window = count(body);
    String queryId = text(body);
    String traceparent = body.textOrNil(AgentWire.MAX_TEXT);
    AgentMessage.Life life = AgentMessage.Life.LINK;
    int keepMillis = 0;
    String asker = "";
    if (items >= 12) {
      life = AgentMessage.Life.of(count(body));
      if (life == null) {
        throw body.error("a kind of query that this version does not know");
      }
      keepMillis = count(body);
      asker = text(body);
    }
    return new AgentMessage.Query(
        callId,
        source,
        sql,
        parameters,
        maxRows,
        maxBytes,
        deadlineMillis,
        window,
        queryId,
        traceparent,
        life,
        keepMillis,
        asker);
  }

  private static AgentMessage.Close close(FrameReader frame) {
    frame.need(1);
    String error = frame.body().textOrNil(AgentWire.MAX_TEXT);
    return new AgentMessage.Close(error, frame.items() > 1 && frame.body().bool());
  }

  private static List<Source> sources(PackReader body) {
    int length = body.array(AgentWire.MAX_SOURCES);
    List<Source> sources = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      int items = atLeast(body, 9);
      sources.add(
          new Source(
              text(body),
              text(body),
              text(body),
              body.bool(),
              body.nonNegative(),
              body.nonNegative(),
              count(body),
              text(body),
              body.textOrNil(AgentWire.MAX_TEXT)));
      skip(body, items - 9);
    }
    return sources;
  }

  private static List<SourceState> sourceStates(PackReader body) {
    int length = body.array(AgentWire.MAX_SOURCES);
    List<SourceState> states = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      int items = atLeast(body, 3);
      states.add(new SourceState(text(body), text(body), body.textOrNil(AgentWire.MAX_TEXT)));
      skip(body, items - 3);
    }
    return states;
  }

  private static List<Column> columns(PackReader body) {
    int length = body.array(AgentWire.MAX_COLUMNS);
    List<Column> columns = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      int items = atLeast(body, 5);
      columns.add(
          new Column(
              text(body), text(body), body.bool(), body.textOrNil(AgentWire.MAX_TEXT), text(body)));
      skip(body, items - 5);
    }
    return columns;
  }

  /** Passes the target, which was looked at, and the head of the arguments. */
  private static int arguments(PackReader body, int least) {
    body.skip();
    return atLeast(body, least);
  }

  private static List<String> held(PackReader body) {
    int length = body.array(AgentWire.MAX_HELD);
    List<String> held = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      held.add(body.text(64));
    }
    return held;
  }

  private static int atLeast(PackReader body, int least) {
    int items = body.array(Integer.MAX_VALUE);
    if (items < least) {
      throw body.error("an array of " + items + " where " + least + " is the least");
    }
    return items;
  }

  private static void skip(PackReader body, int values) {
    for (int i = 0; i < values; i++) {
      body.skip();
    }
  }

  private static int count(PackReader body) {
    return body.integer(0, Integer.MAX_VALUE);
  }

  private static String text(PackReader body) {
    return body.text(AgentWire.MAX_TEXT);
  }
}
