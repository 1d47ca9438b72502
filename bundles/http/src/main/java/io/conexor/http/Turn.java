package io.conexor.http;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.jspecify.annotations.Nullable;

/**
 * What one socket's readable bytes lead to, on one thread. What Jetty wants executed meanwhile
 * comes after it, for two reasons.
 *
 * <p>A frame of an agent completes a client's request, and that client's connection then reads on:
 * on the same thread, as on one of the pool it would cost two switches and wake the selector.
 *
 * <p>Bytes that are no request are answered by a task of the pool, which reads on afterwards while
 * the thread that found them may not have left the connection yet: both would use its buffer, and
 * both give it back (docs/adr/0093). So nothing is handed to the pool before that thread has left.
 */
final class Turn implements Executor {

  /** What follows the turn that this thread is in; null between turns. */
  private static final ThreadLocal<@Nullable ArrayDeque<Runnable>> NEXT = new ThreadLocal<>();

  private final Executor pool;

  /**
   * @param pool runs what is executed outside of any turn
   */
  Turn(Executor pool) {
    this.pool = pool;
  }

  /** Takes a turn, and does what it leads to. */
  static void take(Runnable turn) {
    ArrayDeque<Runnable> outer = NEXT.get();
    if (outer != null) {
      turn.run();
      return;
    }
    ArrayDeque<Runnable> next = new ArrayDeque<>(4);
    NEXT.set(next);
    try {
      turn.run();
      for (Runnable task = next.poll(); task != null; task = next.poll()) {
        task.run();
      }
    } finally {
      NEXT.remove();
      for (Runnable task : next) { // one failed, which the others do not share
        take(task);
      }
    }
  }

  /** Runs a connection on this thread when its turn is over, or on one of the pool. */
  @Override
  public void execute(Runnable connection) {
    ArrayDeque<Runnable> next = NEXT.get();
    if (next == null) {
      pool.execute(() -> take(connection));
    } else {
      next.add(connection);
    }
  }

  /** Jetty's threads. What a turn hands to them starts when the turn is over. */
  static final class Pool extends QueuedThreadPool {

    Pool(int max, int min, int idleMillis) {
      super(max, min, idleMillis);
    }

    @Override
    public void execute(Runnable task) {
      ArrayDeque<Runnable> next = NEXT.get();
      if (next == null) {
        super.execute(task);
      } else {
        next.add(() -> super.execute(task));
      }
    }

    @Override
    public boolean tryExecute(Runnable task) {
      ArrayDeque<Runnable> next = NEXT.get();
      if (next == null) {
        return super.tryExecute(task);
      }
      next.add(() -> super.execute(task));
      return true;
    }
  }
}
