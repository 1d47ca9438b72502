package io.conexor.hub.clients;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs tasks one at a time and in order, on the thread of whoever finds nobody running them, for a
 * turn; what is left then runs on a pool, so that nobody's thread is kept. Nobody waits; a task
 * that adds a task gets it run after itself.
 */
final class Serial {
  private static final Logger log = LoggerFactory.getLogger(Serial.class);
  private static final int TURN = 128;

  private final Executor pool;

  private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();

  /** Tasks added and not yet finished; who moves it from 0 to 1 runs them until it is 0 again. */
  private final AtomicInteger pending = new AtomicInteger();

  Serial(Executor pool) {
    this.pool = pool;
  }

  void run(Runnable task) {
    tasks.add(task);
    if (pending.getAndIncrement() == 0) {
      drain();
    }
  }

  private void drain() {
    for (int i = 0; i < TURN; i++) {
      Runnable next = tasks.remove();
      try {
        next.run();
      } catch (RuntimeException e) {
        log.error("a step of a hub connection failed", e);
      }
      if (pending.decrementAndGet() == 0) {
        return;
      }
    }
    pool.execute(this::drain);
  }
}
