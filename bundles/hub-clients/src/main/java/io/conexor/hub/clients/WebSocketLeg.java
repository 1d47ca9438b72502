package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.http.WebSocketHandler;
import io.conexor.api.http.WebSocketPeer;
import io.conexor.protocol.send.OutboundQueue;
import io.conexor.protocol.send.OutboundQueue.Sent;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A WebSocket: one write in flight, a bound on what waits, and an end that lets it be written. */
final class WebSocketLeg implements Leg, WebSocketHandler {
  private static final Duration LINGER = Duration.ofSeconds(1);

  private record Ending(int code, String reason) {}

  private final ClientSession session;
  private final ClientHub home;
  private final OutboundQueue outbound;
  private final AtomicReference<@Nullable Ending> ending = new AtomicReference<>();

  /** Written once when the socket opens; read by any thread. */
  private volatile @Nullable WebSocketPeer peer;

  /** Written by the session before it sends, read by who writes. */
  private volatile boolean binary;

  WebSocketLeg(ClientSession session, ClientHub home) {
    this.session = session;
    this.home = home;
    this.outbound =
        new OutboundQueue(
            this::write,
            home.settings().maxOutboundBytes(),
            failure -> gone("writing failed: " + failure));
  }

  @Override
  public void opened(WebSocketPeer newPeer) {
    peer = newPeer;
    session.attach(this);
  }

  @Override
  public void binary(ByteBuffer message) {
    byte[] bytes = new byte[message.remaining()];
    message.get(bytes);
    session.received(this, bytes);
  }

  @Override
  public void text(String message) {
    session.received(this, message.getBytes(UTF_8));
  }

  @Override
  public void closed(int code, String reason) {
    outbound.close();
    gone(reason.isEmpty() ? "the socket closed with " + code : reason);
  }

  private void gone(String reason) {
    session.legGone(this, reason);
  }

  @Override
  public boolean takesBinary() {
    return true;
  }

  @Override
  public void speak(boolean isBinary) {
    binary = isBinary;
  }

  @Override
  public Sent send(byte[] bytes) {
    return outbound.send(bytes, 0, bytes.length);
  }

  @Override
  public long queuedBytes() {
    return outbound.queuedBytes();
  }

  @Override
  public void close(int code, String reason) {
    if (!ending.compareAndSet(null, new Ending(code, reason))) {
      return;
    }
    if (outbound.queuedBytes() == 0) {
      closeNow();
    } else {
      home.later(this::closeNow, LINGER);
    }
  }

  private void closeNow() {
    Ending how = ending.get();
    WebSocketPeer current = peer;
    outbound.close();
    if (how != null && current != null) {
      current.close(how.code(), shortened(how.reason()));
    }
  }

  private void write(ByteBuffer message, Consumer<@Nullable Throwable> done) {
    WebSocketPeer current = peer;
    if (current == null) {
      throw new IllegalStateException("nothing can be sent before the socket is open");
    }
    Consumer<@Nullable Throwable> after =
        failure -> {
          done.accept(failure);
          if (failure == null) {
            session.drained(this);
          }
          if (ending.get() != null && outbound.queuedBytes() == 0) {
            closeNow();
          }
        };
    if (binary) {
      current.sendBinary(message, after);
    } else {
      current.sendText(
          new String(
              message.array(),
              message.arrayOffset() + message.position(),
              message.remaining(),
              UTF_8),
          after);
    }
  }

  @Override
  public String remoteAddress() {
    WebSocketPeer current = peer;
    return current == null ? "?" : current.remoteAddress();
  }

  /** A close frame has room for 123 bytes of reason. */
  static String shortened(String reason) {
    ByteBuffer room = ByteBuffer.allocate(123);
    CharBuffer rest = CharBuffer.wrap(reason);
    UTF_8.newEncoder().encode(rest, room, true);
    return reason.substring(0, rest.position());
  }
}
