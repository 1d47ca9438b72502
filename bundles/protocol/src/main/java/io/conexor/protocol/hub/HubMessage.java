package io.conexor.protocol.hub;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One message of the SignalR hub protocol, as a tree. For hubs at large; calls to agents are read
 * and written without trees by {@code io.conexor.protocol.agent}.
 *
 * <p>Values (arguments, items, results) are null, Boolean, Long, Double, String, byte[]
 * (MessagePack only), List or Map with String keys. Encoding also takes the other boxed numbers,
 * BigInteger and BigDecimal.
 */
public sealed interface HubMessage {
  int INVOCATION = 1;
  int STREAM_ITEM = 2;
  int COMPLETION = 3;
  int STREAM_INVOCATION = 4;
  int CANCEL_INVOCATION = 5;
  int PING = 6;
  int CLOSE = 7;
  int ACK = 8;
  int SEQUENCE = 9;

  /** A call; without an invocation id nobody answers it. */
  record Invocation(
      Map<String, String> headers,
      @Nullable String invocationId,
      String target,
      List<@Nullable Object> arguments,
      List<String> streamIds)
      implements HubMessage {
    public Invocation(
        @Nullable String invocationId, String target, List<@Nullable Object> arguments) {
      this(Map.of(), invocationId, target, arguments, List.of());
    }
  }

  record StreamItem(Map<String, String> headers, String invocationId, @Nullable Object item)
      implements HubMessage {
    public StreamItem(String invocationId, @Nullable Object item) {
      this(Map.of(), invocationId, item);
    }
  }

  /**
   * The end of a call: an error, or a result (which may be null), or neither for a call that
   * returns nothing.
   */
  record Completion(
      Map<String, String> headers,
      String invocationId,
      @Nullable String error,
      boolean hasResult,
      @Nullable Object result)
      implements HubMessage {
    public Completion {
      if (error != null && hasResult) {
        throw new IllegalArgumentException("a completion holds an error or a result, not both");
      }
    }

    public static Completion nothing(String invocationId) {
      return new Completion(Map.of(), invocationId, null, false, null);
    }

    public static Completion result(String invocationId, @Nullable Object result) {
      return new Completion(Map.of(), invocationId, null, true, result);
    }

    public static Completion failure(String invocationId, String error) {
      return new Completion(Map.of(), invocationId, error, false, null);
    }
  }

  record StreamInvocation(
      Map<String, String> headers,
      String invocationId,
      String target,
      List<@Nullable Object> arguments,
      List<String> streamIds)
      implements HubMessage {}

  record CancelInvocation(Map<String, String> headers, String invocationId) implements HubMessage {}

  record Ping() implements HubMessage {
    public static final Ping INSTANCE = new Ping();
  }

  /** The sender closes the connection; an error says why. */
  record Close(@Nullable String error, boolean allowReconnect) implements HubMessage {}

  /** All messages up to this sequence id have been processed. */
  record Ack(long sequenceId) implements HubMessage {}

  /** The next message will have this sequence id. */
  record Sequence(long sequenceId) implements HubMessage {}
}
