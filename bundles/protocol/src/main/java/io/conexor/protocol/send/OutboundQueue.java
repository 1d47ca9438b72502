package io.conexor.protocol.send;

import java.nio.ByteBuffer;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Joins what many threads send into few writes, of which one is in flight at a time. No lock; a
 * sender that finds nobody writing writes itself. Idle it holds no buffer.
 *
 * <p>Order is kept per sending thread. When a write fails, or after {@link #close}, nothing more is
 * written.
 */
public final class OutboundQueue {

  /** Starts one write. */
  @FunctionalInterface
  public interface Writer {
    /**
     * @param message not to be changed until done
     * @param done to be called once, with null or the failure, possibly before this returns
     */
    void write(ByteBuffer message, Consumer<@Nullable Throwable> done);
  }

  private static final int MAX_JOINED = 64 * 1024;

  private enum Write {
    IDLE,
    /** The writer was called and has neither returned nor called back. */
    STARTING,
    /** The writer returned first: the callback goes on. */
    RETURNED,
    /** The callback came first: the thread that called the writer goes on. */
    DONE
  }

  private record Chunk(byte[] bytes, int offset, int length) {}

  private final Writer writer;
  private final Consumer<Throwable> onFailure;
  private final long maxQueuedBytes;

  private final ConcurrentLinkedQueue<Chunk> chunks = new ConcurrentLinkedQueue<>();

  /** Bytes queued or being written; added to by senders, taken from by who writes. */
  private final AtomicLong queuedBytes = new AtomicLong();

  /**
   * Chunks queued or being written. A chunk is added to {@link #chunks} before it is counted here,
   * and taken off after it was written; who moves this from 0 to 1 becomes the one that writes
   * until it is 0 again.
   */
  private final AtomicInteger pending = new AtomicInteger();

  private final AtomicReference<Write> write = new AtomicReference<>(Write.IDLE);

  /** Written by anyone, read by senders and by who writes. */
  private volatile boolean closed;

  // Owned by the one that writes.
  private int inFlightChunks;
  private long inFlightBytes;

  /**
   * @param maxQueuedBytes most bytes queued and in flight
   * @param onFailure called at most once, with the cause, when a write failed
   */
  public OutboundQueue(Writer writer, long maxQueuedBytes, Consumer<Throwable> onFailure) {
    this.writer = writer;
    this.maxQueuedBytes = maxQueuedBytes;
    this.onFailure = onFailure;
  }

  /** What became of a {@link #send}. */
  public enum Sent {
    QUEUED,
    /** The bound is reached; nothing was queued. */
    FULL,
    CLOSED
  }

  /**
   * Queues bytes, or writes them at once.
   *
   * @param bytes not to be changed any more
   */
  public Sent send(byte[] bytes, int offset, int length) {
    if (closed) {
      return Sent.CLOSED;
    }
    if (queuedBytes.addAndGet(length) > maxQueuedBytes) {
      queuedBytes.addAndGet(-length);
      return Sent.FULL;
    }
    chunks.add(new Chunk(bytes, offset, length));
    if (pending.getAndIncrement() == 0) {
      drain();
    }
    return Sent.QUEUED;
  }

  /** Bytes queued or being written. */
  public long queuedBytes() {
    return queuedBytes.get();
  }

  public long maxQueuedBytes() {
    return maxQueuedBytes;
  }

  /** Drops what is queued; a write in flight is left to end. Idempotent. */
  public void close() {
    closed = true;
  }

  /** Writes until nothing is pending, or until a write does not end at once. */
  private void drain() {
    do {
      if (closed) {
        chunks.clear();
        return; // pending stays above 0, so nobody writes again
      }
      ByteBuffer message = take();
      write.set(Write.STARTING);
      try {
        writer.write(message, this::written);
      } catch (RuntimeException e) {
        written(e);
      }
      if (write.compareAndSet(Write.STARTING, Write.RETURNED)) {
        return;
      }
    } while (finished());
  }

  private void written(@Nullable Throwable failure) {
    if (failure != null) {
      boolean first = !closed;
      closed = true;
      if (first) {
        onFailure.accept(failure);
      }
    }
    if (write.compareAndSet(Write.STARTING, Write.DONE)) {
      return;
    }
    if (finished()) {
      drain();
    }
  }

  /** Accounts for the write that ended and says whether there is more to write. */
  private boolean finished() {
    queuedBytes.addAndGet(-inFlightBytes);
    return pending.addAndGet(-inFlightChunks) > 0;
  }

  private ByteBuffer take() {
    // INVARIANT: no more than were counted, so that the count is never below zero and "0 to 1"
    // means "nobody writes". With
    // a chunk taken before its sender counted it, a later chunk could stay unwritten until that
    // sender runs again.
    int available = pending.get();
    Chunk first = chunks.remove();
    int total = first.length();
    Chunk next = available > 1 ? chunks.peek() : null;
    if (next == null || (long) total + next.length() > MAX_JOINED) {
      inFlightChunks = 1;
      inFlightBytes = total;
      return ByteBuffer.wrap(first.bytes(), first.offset(), first.length());
    }
    return join(first, available);
  }

  private ByteBuffer join(Chunk first, int available) {
    Chunk[] joined = new Chunk[Math.min(available, 256)];
    joined[0] = first;
    int count = 1;
    int total = first.length();
    while (count < joined.length) {
      Chunk next = chunks.element();
      if ((long) total + next.length() > MAX_JOINED) {
        break;
      }
      joined[count++] = chunks.remove();
      total += next.length();
    }
    byte[] bytes = new byte[total];
    int at = 0;
    for (int i = 0; i < count; i++) {
      Chunk chunk = joined[i];
      System.arraycopy(chunk.bytes(), chunk.offset(), bytes, at, chunk.length());
      at += chunk.length();
    }
    inFlightChunks = count;
    inFlightBytes = total;
    return ByteBuffer.wrap(bytes);
  }
}
