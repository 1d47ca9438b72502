package io.conexor.http;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.util.BufferUtil;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.Scheduler;
import org.eclipse.jetty.websocket.core.WebSocketConnection;
import org.jspecify.annotations.Nullable;

/**
 * A socket that can be looked at from the side. Jetty does not read while an HTTP/1.1 request is
 * being worked on, so nobody would notice that the client has gone. {@link #peek} reads what is
 * there into a small store of its own, below TLS, and {@link #fill} hands that store out before it
 * reads on: whatever the interleaving, no byte is lost, doubled or reordered.
 */
final class WatchedEndPoint extends SocketChannelEndPoint {

  /**
   * Bytes a client may send ahead before peeking stops; it then goes unnoticed until it is read.
   */
  private static final int AHEAD = 4096;

  private final Object reading = new Object();
  private @Nullable ByteBuffer ahead; // guarded by reading; flipped for get
  private @Nullable Reading known; // of the one thread that reads

  WatchedEndPoint(
      SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler) {
    super(channel, selector, key, scheduler);
  }

  @Override
  public int fill(ByteBuffer buffer) throws IOException {
    synchronized (reading) { // the channel is non-blocking: this lock is held for one system call
      ByteBuffer stored = ahead;
      if (stored == null) {
        return super.fill(buffer);
      }
      int before = stored.remaining();
      BufferUtil.append(buffer, stored);
      if (!stored.hasRemaining()) {
        ahead = null;
      }
      return before - (ahead == null ? 0 : stored.remaining());
    }
  }

  @Override
  public void fillInterested(Callback callback) {
    super.fillInterested(reading(callback));
  }

  @Override
  public boolean tryFillInterested(Callback callback) {
    return super.tryFillInterested(reading(callback));
  }

  private Reading reading(Callback callback) {
    Reading last = known;
    boolean isFrames = getConnection() instanceof WebSocketConnection;
    if (last == null || last.getCallback() != callback || last.isFrames != isFrames) {
      last = new Reading(callback, isFrames);
      known = last;
    }
    return last;
  }

  /** Each time there is something to read is a turn of its own. */
  private static final class Reading extends Callback.Nested {
    final boolean isFrames;

    Reading(Callback callback, boolean isFrames) {
      super(callback);
      this.isFrames = isFrames;
    }

    @Override
    public void succeeded() {
      Turn.take(super::succeeded);
    }

    @Override
    public void failed(Throwable cause) {
      Turn.take(() -> super.failed(cause));
    }

    /**
     * Frames are handled on the selector's thread, as requests are: handlers never block. Jetty
     * would take the callback for one that might, and give the selector to another thread first.
     */
    @Override
    public InvocationType getInvocationType() {
      return isFrames ? InvocationType.NON_BLOCKING : super.getInvocationType();
    }
  }

  /** Returns true when the client has closed its side. Never blocks; any thread. */
  boolean peek() {
    synchronized (reading) {
      if (isInputShutdown() || !isOpen()) {
        return true;
      }
      ByteBuffer stored = ahead;
      if (stored != null && stored.remaining() >= AHEAD) {
        return false;
      }
      ByteBuffer room = ByteBuffer.allocate(stored == null ? 512 : AHEAD);
      if (stored != null) {
        room.put(stored.duplicate());
      }
      int kept = room.position();
      int read;
      try {
        read = getChannel().read(room);
      } catch (IOException e) {
        return true; // reset by peer
      }
      if (read < 0) {
        return true; // sticky: Jetty's own next read says the same
      }
      if (room.position() > kept) {
        ahead = room.flip();
      } else {
        return false;
      }
    }
    // Jetty may have begun to wait for the selector, which will not tell of bytes already taken.
    if (getFillInterest().isInterested()) {
      getFillInterest().fillable();
    }
    return false;
  }

  @Override
  protected void needsFillInterest() {
    boolean stored;
    synchronized (reading) {
      stored = ahead != null;
    }
    if (stored) {
      getFillInterest().fillable();
    } else {
      super.needsFillInterest();
    }
  }
}
