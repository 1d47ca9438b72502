package io.conexor.agent.link;

import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.api.link.BackendLinks.Handler;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.send.CallGate;
import io.conexor.protocol.send.OutboundQueue;
import io.conexor.protocol.send.OutboundQueue.Sent;
import java.nio.ByteBuffer;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One socket's life on a link. Calls go straight to the handler on the I/O thread; everything else
 * is told to the link, which hops to its owner thread.
 */
final class Session implements BackendLink, Socket.Listener {

  /** What the link wants to know; called on any thread. */
  interface Events {
    void welcome(Session session, AgentMessage.Welcome welcome);

    void closing(Session session, String reason);

    void down(Session session, String reason);
  }

  private static final Logger log = LoggerFactory.getLogger(Session.class);

  private final Handler handler;
  private final Events events;
  private final LongSupplier nanoTime;
  private final OutboundQueue outbound;
  private final CallGate gate = new CallGate();
  private final FrameReader frames = new FrameReader();

  /** Written by the owner thread before anything is sent, read by senders. */
  private volatile @Nullable Socket socket;

  /** Written by the I/O thread, read by the owner. */
  private volatile long lastHeard;

  // Of the I/O thread.
  private boolean shookHands;
  private boolean isKnown;

  Session(Handler handler, Events events, long maxOutboundBytes, LongSupplier nanoTime) {
    this.handler = handler;
    this.events = events;
    this.nanoTime = nanoTime;
    this.lastHeard = nanoTime.getAsLong();
    this.outbound =
        new OutboundQueue(
            this::write, maxOutboundBytes, failure -> end("writing failed: " + failure));
  }

  /** The socket is open. */
  void start(Socket newSocket) {
    socket = newSocket;
    lastHeard = nanoTime.getAsLong();
  }

  @Override
  public boolean send(byte[] bytes, int offset, int length) {
    return outbound.send(bytes, offset, length) == Sent.QUEUED;
  }

  @Override
  public long queuedBytes() {
    return outbound.queuedBytes();
  }

  long silentNanos(long now) {
    return now - lastHeard;
  }

  /** Ends it with a closing handshake. Idempotent, any thread. */
  void close(String reason) {
    Socket current = socket;
    end(reason);
    if (current != null) {
      current.close(1000, reason);
    }
  }

  /** Ends it and cuts the connection. Idempotent, any thread. */
  void abort(String reason) {
    Socket current = socket;
    end(reason);
    if (current != null) {
      current.abort();
    }
  }

  @Override
  public void sign() {
    lastHeard = nanoTime.getAsLong();
  }

  @Override
  public void message(byte[] bytes, int offset, int length) {
    if (!gate.enter()) {
      return;
    }
    String failure = null;
    try {
      read(bytes, offset, length);
    } catch (ProtocolException e) {
      failure = "the backend broke the protocol: " + e.getMessage();
    } catch (RuntimeException e) {
      log.error("a message of a backend could not be handled", e);
      failure = "internal error: " + e;
    } finally {
      if (gate.leave()) {
        lastCall();
      }
    }
    if (failure != null) {
      abort(failure);
    }
  }

  @Override
  public void closed(String reason) {
    end(reason);
  }

  private void read(byte[] bytes, int offset, int length) {
    int from = offset;
    int left = length;
    if (!shookHands) {
      Handshake.Response response = Handshake.readResponse(bytes, offset, length);
      if (response.error() != null) {
        throw new ProtocolException("the backend refused the handshake: " + response.error(), 0);
      }
      shookHands = true;
      from += response.length();
      left -= response.length();
    }
    frames.reset(bytes, from, left);
    ByteBuffer view = null;
    while (frames.next()) {
      int start = frames.start();
      int type = frames.type();
      boolean isCall = type == HubMessage.STREAM_INVOCATION || type == HubMessage.CANCEL_INVOCATION;
      AgentMessage.FromBackend message = isCall ? null : AgentDecoder.fromBackend(frames);
      if (isCall
          || message instanceof AgentMessage.Credit
          || message instanceof AgentMessage.Detach) {
        if (view == null) {
          view = ByteBuffer.wrap(bytes);
        }
        view.limit(frames.end()).position(start);
        isKnown = true;
        handler.message(this, view);
      } else if (message != null) {
        tell(message);
      }
    }
  }

  private void tell(AgentMessage.FromBackend message) {
    if (message instanceof AgentMessage.Welcome welcome) {
      events.welcome(this, welcome);
    } else if (message instanceof AgentMessage.Closing closing) {
      events.closing(this, closing.reason());
    } else if (message instanceof AgentMessage.Close close) {
      String error = close.error();
      end(error == null ? "the backend closed the link" : error);
    }
  }

  private void end(String reason) {
    boolean isLast = gate.end();
    outbound.close();
    events.down(this, reason);
    if (isLast) {
      lastCall();
    }
  }

  private void lastCall() {
    if (isKnown) {
      try {
        handler.closed(this);
      } catch (RuntimeException e) {
        log.error("the end of a link could not be handled", e);
      }
    }
  }

  private void write(ByteBuffer message, Consumer<@Nullable Throwable> done) {
    Socket current = socket;
    if (current == null) {
      throw new IllegalStateException("nothing can be sent before the socket is open");
    }
    current.send(message, done);
  }
}
