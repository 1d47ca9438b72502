package io.conexor.http;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * What a frame sets off in Jetty runs after it on the same thread; anything else goes to the pool.
 * Mostly that is the connection of a client whose answer came in the frame, and which reads on now:
 * on a thread of the pool this would cost two switches, as the selector would have to be woken.
 */
final class FrameTurn implements Executor {

  /** What follows the frame that this thread handles now; null between frames. */
  private static final ThreadLocal<@Nullable ArrayDeque<Runnable>> NEXT = new ThreadLocal<>();

  private final Executor pool;

  FrameTurn(Executor pool) {
    this.pool = pool;
  }

  /** Handles a frame and what it sets off. */
  void run(Runnable frame) {
    if (NEXT.get() != null) {
      frame.run();
      return;
    }
    ArrayDeque<Runnable> next = new ArrayDeque<>(4);
    NEXT.set(next);
    try {
      frame.run();
      for (Runnable task = next.poll(); task != null; task = next.poll()) {
        task.run();
      }
    } finally {
      NEXT.remove();
      next.forEach(pool::execute); // of a turn that failed
    }
  }

  @Override
  public void execute(Runnable task) {
    ArrayDeque<Runnable> next = NEXT.get();
    if (next == null) {
      pool.execute(task);
    } else {
      next.add(task);
    }
  }
}
