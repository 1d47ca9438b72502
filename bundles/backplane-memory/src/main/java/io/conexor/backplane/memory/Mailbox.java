package io.conexor.backplane.memory;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs tasks one at a time and in order on a shared pool, and holds a bounded number of them. */
final class Mailbox {

  private static final Logger log = LoggerFactory.getLogger(Mailbox.class);
  private static final int TURN = 64;

  private final Executor pool;
  private final int limit;
  private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  // Tasks offered and not yet finished. Written by offerers and by the one drainer.
  private final AtomicInteger held = new AtomicInteger();

  Mailbox(Executor pool, int limit) {
    this.pool = pool;
    this.limit = limit;
  }

  /** False when the box is full; the task will then never run. */
  boolean offer(Runnable task) {
    int before = held.getAndUpdate(n -> n >= limit ? n : n + 1);
    if (before >= limit) {
      return false;
    }
    tasks.add(task);
    if (before == 0) {
      pool.execute(this::drain);
    }
    return true;
  }

  private void drain() {
    for (int i = 0; i < TURN; i++) {
      Runnable task = tasks.poll();
      while (task == null) {
        // the offerer has counted it but not added it yet
        Thread.onSpinWait();
        task = tasks.poll();
      }
      try {
        task.run();
      } catch (RuntimeException e) {
        log.warn("a listener of the backplane failed: {}", e.toString(), e);
      }
      if (held.decrementAndGet() == 0) {
        return;
      }
    }
    pool.execute(this::drain);
  }
}
