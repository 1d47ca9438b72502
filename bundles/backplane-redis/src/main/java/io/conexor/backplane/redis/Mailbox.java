package io.conexor.backplane.redis;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs tasks one at a time and in order, bounded by the weight of what waits: on a shared pool, or
 * on the thread that brings one when nothing else waits, which saves a hop. Whoever takes long
 * there is left to the pool for a while, so that it holds up only itself.
 */
final class Mailbox {

  private static final Logger log = LoggerFactory.getLogger(Mailbox.class);
  private static final int TURN = 256;
  private static final long LONG_NANOS = 2_000_000;
  private static final long LEFT_TO_POOL_NANOS = 1_000_000_000L;

  private record Task(Runnable run, int weight) {}

  private final Executor pool;
  private final long limit;
  private final Queue<Task> tasks = new ConcurrentLinkedQueue<>();
  // Tasks offered and not yet finished, and their weight. Written by offerers and the one drainer.
  private final AtomicInteger held = new AtomicInteger();
  private final AtomicLong weight = new AtomicLong();
  // Until when nothing runs on the thread that brings it. Written and read by those threads.
  private volatile long leftToPoolUntil = System.nanoTime();

  Mailbox(Executor pool, long limit) {
    this.pool = pool;
    this.limit = limit;
  }

  /** False when the box is full; the task will then never run. A task of weight 0 always fits. */
  boolean offer(Runnable run, int weighing) {
    if (weighing > 0 && weight.addAndGet(weighing) > limit + weighing) {
      weight.addAndGet(-weighing);
      return false;
    }
    tasks.add(new Task(run, weighing));
    if (held.getAndIncrement() == 0) {
      schedule();
    }
    return true;
  }

  /** As {@link #offer}; the task may have run when this returns. */
  boolean offerHere(Runnable run, int weighing) {
    long begin = System.nanoTime();
    if (begin - leftToPoolUntil < 0 || !held.compareAndSet(0, 1)) {
      return offer(run, weighing);
    }
    guarded(run);
    long end = System.nanoTime();
    if (end - begin > LONG_NANOS) {
      leftToPoolUntil = end + LEFT_TO_POOL_NANOS;
    }
    if (held.decrementAndGet() != 0) {
      schedule();
    }
    return true;
  }

  private static void guarded(Runnable run) {
    try {
      run.run();
    } catch (RuntimeException e) {
      log.warn("a listener of the backplane failed: {}", e.toString(), e);
    }
  }

  private void schedule() {
    try {
      pool.execute(this::drain);
    } catch (RejectedExecutionException e) {
      log.debug("the backplane is closed");
    }
  }

  private void drain() {
    for (int i = 0; i < TURN; i++) {
      @Nullable Task task = tasks.poll(); // never null: held counts what was added
      if (task != null) {
        guarded(task.run());
        weight.addAndGet(-task.weight());
      }
      if (held.decrementAndGet() == 0) {
        return;
      }
    }
    schedule();
  }
}
