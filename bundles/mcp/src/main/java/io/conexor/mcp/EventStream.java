package io.conexor.mcp;

import io.conexor.api.http.HttpStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * An answer as server-sent events. While a client does not take what was sent before, nothing but
 * the end is queued.
 */
final class EventStream {

  private static final byte[] COMMENT = ":\n\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] BEFORE = "event: message\ndata: ".getBytes(StandardCharsets.US_ASCII);

  private final HttpStream stream;

  /** Guarded by this, as is what follows. */
  private final ArrayDeque<byte[]> waiting = new ArrayDeque<>();

  private boolean writing;
  private boolean last;
  private boolean over;

  EventStream(HttpStream stream) {
    this.stream = stream;
  }

  /** Keeps the connection from looking idle. */
  void comment() {
    offer(COMMENT);
  }

  void message(byte[] json) {
    offer(event(json, 0, json.length));
  }

  /** The response itself; the stream ends with it. */
  void end(byte[] json, int offset, int length) {
    synchronized (this) {
      if (last) {
        return;
      }
      last = true;
      waiting.add(event(json, offset, length));
      if (writing) {
        return;
      }
      writing = true;
    }
    pump();
  }

  private void offer(byte[] piece) {
    synchronized (this) {
      if (writing || last) {
        return;
      }
      writing = true;
      waiting.add(piece);
    }
    pump();
  }

  /** JSON as it is written here has no line breaks, so one data line holds it. */
  private static byte[] event(byte[] json, int offset, int length) {
    byte[] event = new byte[BEFORE.length + length + 2];
    System.arraycopy(BEFORE, 0, event, 0, BEFORE.length);
    System.arraycopy(json, offset, event, BEFORE.length, length);
    event[event.length - 2] = '\n';
    event[event.length - 1] = '\n';
    return event;
  }

  private void pump() {
    while (true) {
      byte[] piece = next();
      if (piece == null) {
        return;
      }
      CompletableFuture<Void> written = stream.write(piece, 0, piece.length).toCompletableFuture();
      if (!written.isDone() || written.isCompletedExceptionally()) {
        // The exchange tells a client that has gone; there is nobody left to write to then.
        var unused = written.thenRun(this::pump);
        return;
      }
    }
  }

  private byte @Nullable [] next() {
    synchronized (this) {
      byte[] piece = waiting.poll();
      if (piece != null) {
        return piece;
      }
      writing = false;
      if (!last || over) {
        return null;
      }
      over = true;
    }
    stream.end();
    return null;
  }
}
