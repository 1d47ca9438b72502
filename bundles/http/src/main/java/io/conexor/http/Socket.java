package io.conexor.http;

import io.conexor.api.http.WebSocketHandler;
import io.conexor.api.http.WebSocketPeer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.Scheduler;
import org.eclipse.jetty.websocket.core.CloseStatus;
import org.eclipse.jetty.websocket.core.CoreSession;
import org.eclipse.jetty.websocket.core.Frame;
import org.eclipse.jetty.websocket.core.FrameHandler;
import org.eclipse.jetty.websocket.core.OpCode;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One open WebSocket: Jetty's frames on one side, whole messages on the other. */
final class Socket implements FrameHandler, WebSocketPeer {

  private static final Logger log = LoggerFactory.getLogger(Socket.class);
  private static final byte[] NOTHING = new byte[0];

  private final WebSocketHandler handler;
  private final int maxMessage;
  private final String remoteAddress;
  private final Scheduler scheduler;
  private final Consumer<Socket> onEnd;
  private final AtomicBoolean closing = new AtomicBoolean();
  private final AtomicBoolean ended = new AtomicBoolean();

  /** Set once before the first frame; read by senders. */
  private volatile @Nullable CoreSession session;

  // of the reading thread
  private byte[] parts = NOTHING;
  private int filled;
  private byte kind;

  Socket(
      WebSocketHandler handler,
      int maxMessage,
      String remoteAddress,
      Scheduler scheduler,
      Consumer<Socket> onEnd) {
    this.handler = handler;
    this.maxMessage = maxMessage;
    this.remoteAddress = remoteAddress;
    this.scheduler = scheduler;
    this.onEnd = onEnd;
  }

  @Override
  public void onOpen(CoreSession core, Callback callback) {
    session = core;
    try {
      handler.opened(this);
      callback.succeeded();
      core.demand();
    } catch (RuntimeException e) {
      log.error("a WebSocket handler failed when opened", e);
      callback.failed(e);
    }
  }

  @Override
  public void onFrame(Frame frame, Callback callback) {
    CoreSession core = session;
    if (core == null) {
      callback.succeeded();
      return;
    }
    boolean more = true;
    try {
      switch (frame.getOpCode()) {
        case OpCode.BINARY, OpCode.TEXT, OpCode.CONTINUATION -> more = content(frame);
        case OpCode.PING -> {
          ByteBuffer payload = ByteBuffer.allocate(frame.getPayloadLength());
          payload.put(frame.getPayload().slice()).flip();
          core.sendFrame(new Frame(OpCode.PONG).setPayload(payload), Callback.NOOP, false);
        }
        default -> more = frame.getOpCode() != OpCode.CLOSE;
      }
    } catch (RuntimeException e) {
      log.error("a WebSocket handler failed on a message", e);
      close(1011, "internal error");
      more = false;
    }
    callback.succeeded();
    if (more) {
      core.demand();
    }
  }

  private boolean content(Frame frame) {
    if (frame.getOpCode() != OpCode.CONTINUATION) {
      kind = frame.getOpCode();
    }
    ByteBuffer payload = frame.getPayload();
    int length = payload.remaining();
    if (length > maxMessage - filled) {
      close(1009, "message larger than " + maxMessage + " bytes");
      parts = NOTHING;
      return false;
    }
    if (frame.isFin() && filled == 0) {
      return deliver(payload.slice());
    }
    if (parts.length < filled + length) {
      parts =
          Arrays.copyOf(parts, Math.min(maxMessage, Math.max(filled + length, parts.length * 2)));
    }
    payload.slice().get(parts, filled, length);
    filled += length;
    if (!frame.isFin()) {
      return true;
    }
    ByteBuffer whole = ByteBuffer.wrap(parts, 0, filled);
    parts = NOTHING;
    filled = 0;
    return deliver(whole);
  }

  private boolean deliver(ByteBuffer message) {
    if (closing.get()) {
      return true; // the handler has ended it; only the peer's close frame is awaited
    }
    if (kind == OpCode.BINARY) {
      handler.binary(message);
      return true;
    }
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(message).toString();
    } catch (CharacterCodingException e) {
      close(1007, "not UTF-8");
      return false;
    }
    handler.text(text);
    return true;
  }

  @Override
  public void onError(Throwable cause, Callback callback) {
    log.debug("WebSocket of {} failed", remoteAddress, cause);
    callback.succeeded();
  }

  @Override
  public void onClosed(CloseStatus status, Callback callback) {
    try {
      end(status.getCode(), status.getReason() == null ? "" : status.getReason());
    } finally {
      callback.succeeded();
    }
  }

  private void end(int code, String reason) {
    if (ended.compareAndSet(false, true)) {
      onEnd.accept(this);
      try {
        handler.closed(code, reason);
      } catch (RuntimeException e) {
        log.error("a WebSocket handler failed when closed", e);
      }
    }
  }

  @Override
  public void sendBinary(ByteBuffer message, Consumer<@Nullable Throwable> done) {
    send(new Frame(OpCode.BINARY).setPayload(message), done);
  }

  @Override
  public void sendText(String message, Consumer<@Nullable Throwable> done) {
    ByteBuffer bytes = ByteBuffer.wrap(message.getBytes(StandardCharsets.UTF_8));
    send(new Frame(OpCode.TEXT).setPayload(bytes), done);
  }

  private void send(Frame frame, Consumer<@Nullable Throwable> done) {
    CoreSession core = session;
    if (core == null) {
      done.accept(new IllegalStateException("not open yet"));
      return;
    }
    core.sendFrame(frame, Callback.from(() -> done.accept(null), done), false);
  }

  @Override
  public void close(int code, String reason) {
    CoreSession core = session;
    if (core == null || !closing.compareAndSet(false, true)) {
      return;
    }
    String shown = reason.length() > 100 ? reason.substring(0, 100) : reason;
    core.close(code, shown, Callback.NOOP);
    scheduler.schedule(core::abort, 2, TimeUnit.SECONDS);
  }

  @Override
  public String remoteAddress() {
    return remoteAddress;
  }
}
