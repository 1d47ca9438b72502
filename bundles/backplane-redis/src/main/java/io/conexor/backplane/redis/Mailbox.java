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

/** Runs tasks one at a time and in order on a shared pool; bounded by the weight of what waits. */
final class Mailbox {

  private static final Logger log = LoggerFactory.getLogger(Mailbox.class);
  private static final int TURN = 256;

  private record Task(Runnable run, int weight) {}

  private final Executor pool;
  private final long limit;
  private final Queue<Task> tasks = new ConcurrentLinkedQueue<>();
  // Tasks offered and not yet finished, and their weight. Written by offerers and the one drainer.
  private final AtomicInteger held = new AtomicInteger();
  private final AtomicLong weight = new AtomicLong();

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
        try {
          task.run().run();
        } catch (RuntimeException e) {
          log.warn("a listener of the backplane failed: {}", e.toString(), e);
        }
        weight.addAndGet(-task.weight());
      }
      if (held.decrementAndGet() == 0) {
        return;
      }
    }
    schedule();
  }
}
