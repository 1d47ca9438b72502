package io.conexor.dispatch;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Channel;
import io.conexor.api.node.NodeId;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Frames to and from other backends, over whichever backplane there is. */
final class Relay {

  static final Channel CHANNEL = new Channel("dispatch");

  private static final Logger log = LoggerFactory.getLogger(Relay.class);
  private static final long IDLE_NANOS = 60_000_000_000L;

  /** Receives frames; one at a time and in order for one node. */
  interface Receiver {
    void frame(NodeId from, byte type, ByteBuffer body);
  }

  private final ConcurrentHashMap<NodeId, Outbox> outboxes = new ConcurrentHashMap<>();
  private final Receiver receiver;

  /** Written under this object's lock, read by anyone. */
  private volatile @Nullable Backplane backplane;

  private @Nullable Subscription receiving;

  Relay(Receiver receiver) {
    this.receiver = receiver;
  }

  /** A swap attaches the new one before it detaches the old one. */
  synchronized void attach(Backplane next) {
    Subscription old = receiving;
    receiving = null;
    if (old != null) {
      old.close();
    }
    receiving = next.receive(CHANNEL, this::received);
    backplane = next;
  }

  synchronized void detach(Backplane gone) {
    if (backplane == gone) {
      close();
    }
  }

  synchronized void close() {
    Subscription old = receiving;
    receiving = null;
    backplane = null;
    if (old != null) {
      old.close();
    }
  }

  boolean isAttached() {
    return backplane != null;
  }

  Outbox to(NodeId node) {
    Outbox outbox = outboxes.get(node);
    return outbox != null
        ? outbox
        : outboxes.computeIfAbsent(node, n -> new Outbox(n, () -> backplane));
  }

  void send(NodeId node, byte[] frame, Consumer<Applied> onFailure) {
    Outbox outbox = to(node);
    outbox.add(frame, onFailure);
    outbox.flush();
  }

  /** For what says nothing new when it arrives later or not at all. */
  void send(NodeId node, byte[] frame) {
    send(node, frame, applied -> {});
  }

  /** Sends what was added and not flushed. */
  void flush() {
    for (Outbox outbox : outboxes.values()) {
      outbox.flush();
    }
  }

  void sweep(long now) {
    outboxes.values().removeIf(o -> o.isEmpty() && now - o.usedNanos() > IDLE_NANOS);
  }

  private void received(NodeId from, byte[] message) {
    ByteBuffer in = ByteBuffer.wrap(message);
    try {
      while (in.hasRemaining()) {
        byte type = in.get();
        int length = in.getInt();
        if (length < 0 || length > in.remaining()) {
          throw new BufferUnderflowException();
        }
        int end = in.position() + length;
        receiver.frame(from, type, ByteBuffer.wrap(message, in.position(), length));
        in.position(end);
      }
    } catch (BufferUnderflowException e) {
      log.warn("node {} sent a garbled frame; the rest of its message is dropped", from);
    }
  }
}
