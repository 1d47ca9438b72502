package io.conexor.dispatch;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Frames on their way to one node. Any thread adds; whoever flushes first sends for all, so frames
 * leave in the order in which they were added, and those that wait leave together.
 */
final class Outbox {

  private static final int MESSAGE_BYTES = Backplane.MAX_PAYLOAD;
  private static final int ENOUGH_BYTES = 64 << 10;

  private record Item(byte[] frame, Consumer<Applied> onFailure) {}

  private final NodeId to;
  private final Supplier<@Nullable Backplane> backplane;
  private final ConcurrentLinkedQueue<Item> queue = new ConcurrentLinkedQueue<>();
  private final AtomicInteger rounds = new AtomicInteger();

  /** Written by whoever flushes, read by the sweep. */
  private volatile long usedNanos = System.nanoTime();

  Outbox(NodeId to, Supplier<@Nullable Backplane> backplane) {
    this.to = to;
    this.backplane = backplane;
  }

  long usedNanos() {
    return usedNanos;
  }

  boolean isEmpty() {
    return queue.isEmpty();
  }

  /**
   * Puts a frame behind the others; it leaves with the next flush.
   *
   * @param onFailure hears what is known when the backplane did not take it
   */
  void add(byte[] frame, Consumer<Applied> onFailure) {
    queue.add(new Item(frame, onFailure));
  }

  void flush() {
    if (queue.isEmpty() || rounds.getAndIncrement() != 0) {
      return;
    }
    usedNanos = System.nanoTime();
    int seen = 1;
    do {
      boolean isMoving = true;
      while (isMoving) {
        isMoving = sendSome();
      }
      seen = rounds.addAndGet(-seen);
    } while (seen != 0);
  }

  private boolean sendSome() {
    List<Item> items = new ArrayList<>(2);
    int size = 0;
    for (Item next = queue.peek(); next != null; next = queue.peek()) {
      int total = size + next.frame().length;
      if (size > 0 && total > ENOUGH_BYTES) {
        break;
      }
      size = total;
      items.add(next);
      queue.remove();
    }
    if (items.isEmpty()) {
      return false;
    }
    if (size > MESSAGE_BYTES) {
      throw new IllegalStateException("a frame of " + size + " bytes");
    }
    byte[] message = items.get(0).frame();
    if (items.size() > 1) {
      message = new byte[size];
      int at = 0;
      for (Item item : items) {
        System.arraycopy(item.frame(), 0, message, at, item.frame().length);
        at += item.frame().length;
      }
    }
    Backplane current = backplane.get();
    if (current == null) {
      items.forEach(item -> item.onFailure().accept(Applied.NO));
      return true;
    }
    var unused =
        current
            .send(to, Relay.CHANNEL, message)
            .whenComplete(
                (done, failure) -> {
                  if (failure != null) {
                    Applied applied = applied(failure);
                    items.forEach(item -> item.onFailure().accept(applied));
                  }
                });
    return true;
  }

  private static Applied applied(Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    return cause instanceof ConexorException known ? known.applied() : Applied.UNKNOWN;
  }
}
