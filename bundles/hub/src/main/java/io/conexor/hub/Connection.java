package io.conexor.hub;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.http.WebSocketHandler;
import io.conexor.api.http.WebSocketPeer;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.send.CallGate;
import io.conexor.protocol.send.OutboundQueue;
import io.conexor.protocol.send.OutboundQueue.Sent;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One WebSocket of the hub, whatever is spoken on it: sending with a bound, liveness, and one
 * orderly end.
 *
 * <p>A receiver is called by one thread at a time, in order, and {@link Receiver#ended} is the last
 * call, no matter which thread ends the connection: frames and the end go through {@link #gate},
 * which is taken by compare-and-set and never waited for.
 */
final class Connection implements WebSocketHandler {

  /** What is spoken on a connection. */
  interface Receiver {
    void opened(Connection connection);

    /**
     * @throws ProtocolException to close the connection with a protocol error
     */
    void received(byte[] bytes, int offset, int length);

    /** The last message to send for an error, in the protocol spoken at this moment. */
    byte[] farewell(String error, boolean allowReconnect);

    void ended(String reason);
  }

  /** Keeps track of connections; called by the connection itself. */
  interface Keeper {
    void opened(Connection connection);

    void ended(Connection connection);

    void closed(Connection connection);
  }

  static final int NORMAL = 1000;
  static final int GOING_AWAY = 1001;
  static final int PROTOCOL_ERROR = 1002;
  static final int POLICY = 1008;
  static final int BUG = 1011;
  static final int RESTART = 1012;

  private static final Logger log = LoggerFactory.getLogger(Connection.class);

  private record Cause(int code, String reason, byte @Nullable [] farewell) {}

  private final Receiver receiver;
  private final Keeper keeper;
  private final LongSupplier nanoTime;
  private final OutboundQueue outbound;

  private final CallGate gate = new CallGate();

  /** Set once by who ends it first, before the gate is moved. */
  private final AtomicReference<@Nullable Cause> cause = new AtomicReference<>();

  /** Written once when the socket opens; read by any thread that sends or closes. */
  private volatile @Nullable WebSocketPeer peer;

  /** Written by the I/O thread, read by the clock. */
  private volatile long lastHeard;

  /** Set when it has ended and the last message is on its way; read where writes end. */
  private volatile boolean lingering;

  /**
   * Whether something was sent since the clock looked last. Written by senders and the clock
   * without order: a lost update costs one superfluous or one late ping.
   */
  private boolean hasSent;

  Connection(Receiver receiver, Keeper keeper, long maxOutboundBytes, LongSupplier nanoTime) {
    this.receiver = receiver;
    this.keeper = keeper;
    this.nanoTime = nanoTime;
    this.lastHeard = nanoTime.getAsLong();
    this.outbound =
        new OutboundQueue(
            this::write,
            maxOutboundBytes,
            failure -> end(GOING_AWAY, "writing failed: " + failure));
  }

  @Override
  public void opened(WebSocketPeer newPeer) {
    lastHeard = nanoTime.getAsLong();
    peer = newPeer;
    if (!gate.enter()) {
      newPeer.close(RESTART, "closing");
      return;
    }
    try {
      keeper.opened(this);
      receiver.opened(this);
    } finally {
      leave();
    }
  }

  @Override
  public void binary(ByteBuffer message) {
    if (message.hasArray()) {
      receive(message.array(), message.arrayOffset() + message.position(), message.remaining());
    } else {
      byte[] bytes = new byte[message.remaining()];
      message.get(bytes);
      receive(bytes, 0, bytes.length);
    }
  }

  @Override
  public void text(String message) {
    byte[] bytes = message.getBytes(UTF_8);
    receive(bytes, 0, bytes.length);
  }

  @Override
  public void closed(int code, String reason) {
    end(code, reason.isEmpty() ? "the socket closed with " + code : reason);
    keeper.closed(this);
  }

  private void receive(byte[] bytes, int offset, int length) {
    lastHeard = nanoTime.getAsLong();
    if (!gate.enter()) {
      return; // it has ended; what still arrives is for nobody
    }
    try {
      receiver.received(bytes, offset, length);
    } catch (ProtocolException e) {
      String error = "protocol error: " + e.getMessage();
      endWith(PROTOCOL_ERROR, error, receiver.farewell(error, false));
    } catch (RuntimeException e) {
      log.error("a message from {} could not be handled", remoteAddress(), e);
      endWith(BUG, "internal error", receiver.farewell("internal error", true));
    } finally {
      leave();
    }
  }

  private void leave() {
    if (gate.leave()) {
      finish();
    }
  }

  /** Queues bytes; ends the connection if its bound is reached. */
  boolean send(byte[] bytes, int offset, int length) {
    Sent sent = outbound.send(bytes, offset, length);
    if (sent == Sent.FULL) {
      end(
          POLICY,
          "slow consumer: more than " + outbound.maxQueuedBytes() + " bytes wait to be sent");
    }
    hasSent = true;
    return sent == Sent.QUEUED;
  }

  /** Whether something was sent since this was asked last. */
  boolean hasSentSinceAsked() {
    boolean result = hasSent;
    hasSent = false;
    return result;
  }

  /** False once anyone has ended it. */
  boolean isOpen() {
    return cause.get() == null;
  }

  long queuedBytes() {
    return outbound.queuedBytes();
  }

  long silentNanos(long now) {
    return now - lastHeard;
  }

  String remoteAddress() {
    WebSocketPeer current = peer;
    return current == null ? "?" : current.remoteAddress();
  }

  /**
   * Ends it from any thread, telling the other side why in the protocol spoken. Idempotent: the
   * first reason stays.
   */
  void endWith(int code, String reason, byte[] farewell) {
    end(new Cause(code, reason, farewell));
  }

  /** Ends it from any thread without a last message. */
  void end(int code, String reason) {
    end(new Cause(code, reason, null));
  }

  private void end(Cause why) {
    cause.compareAndSet(null, why);
    if (gate.end()) {
      finish();
    }
  }

  private void finish() {
    Cause why = cause.get();
    if (why == null) {
      throw new IllegalStateException("ended without a cause");
    }
    try {
      receiver.ended(why.reason());
    } catch (RuntimeException e) {
      log.error("the end of the connection to {} could not be handled", remoteAddress(), e);
    }
    byte[] farewell = why.farewell();
    if (farewell != null) {
      outbound.send(farewell, 0, farewell.length);
    }
    lingering = true;
    keeper.ended(this);
    if (farewell == null || outbound.queuedBytes() == 0) {
      closeNow();
    }
  }

  /** Closes the socket without waiting for what is queued. Only after the end. */
  void closeNow() {
    Cause why = cause.get();
    WebSocketPeer current = peer;
    outbound.close();
    if (why != null && current != null) {
      // 1006 and 1005 stand for "no close frame" and may not be sent.
      int code = why.code() == 1006 || why.code() == 1005 ? NORMAL : why.code();
      current.close(code, shortened(why.reason()));
    }
  }

  private void write(ByteBuffer message, Consumer<@Nullable Throwable> done) {
    WebSocketPeer current = peer;
    if (current == null) {
      throw new IllegalStateException("nothing can be sent before the socket is open");
    }
    current.sendBinary(
        message,
        failure -> {
          done.accept(failure);
          if (lingering && outbound.queuedBytes() == 0) {
            closeNow();
          }
        });
  }

  /** A close frame has room for 123 bytes of reason. */
  static String shortened(String reason) {
    ByteBuffer room = ByteBuffer.allocate(123);
    CharBuffer rest = CharBuffer.wrap(reason);
    UTF_8.newEncoder().encode(rest, room, true);
    return reason.substring(0, rest.position());
  }
}
