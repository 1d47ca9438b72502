package io.conexor.access;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/** A fixed number of threads before a bounded queue; what does not fit is refused. */
final class Workers implements AutoCloseable {

  private final String role;
  private final ThreadPoolExecutor pool;

  Workers(String role, int threads, int queue) {
    this.role = role;
    AtomicInteger number = new AtomicInteger();
    this.pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            30,
            SECONDS,
            new LinkedBlockingQueue<>(queue),
            task -> {
              Thread thread =
                  new Thread(task, "conexor-access-" + role + "-" + number.getAndIncrement());
              thread.setDaemon(true);
              return thread;
            });
    pool.allowCoreThreadTimeOut(true);
  }

  /** Runs work; the future fails with a {@code CAPACITY} error when there is no room for it. */
  <T> CompletableFuture<T> submit(Supplier<T> work) {
    CompletableFuture<T> result = new CompletableFuture<>();
    try {
      pool.execute(
          () -> {
            try {
              result.complete(work.get());
            } catch (Throwable e) {
              result.completeExceptionally(e);
            }
          });
    } catch (RejectedExecutionException full) {
      result.completeExceptionally(
          new ConexorException(
              Blame.CAPACITY,
              Applied.NO,
              "busy",
              "too many " + role + " operations are waiting; try again in a moment",
              full,
              Duration.ofSeconds(1)));
    }
    return result;
  }

  int waiting() {
    return pool.getQueue().size();
  }

  @Override
  public void close() {
    pool.shutdownNow();
  }
}
