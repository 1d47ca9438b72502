package io.conexor.runtime;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.osgi.framework.BundleContext;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets work in flight end before the framework stops.
 *
 * <p>Whoever has such work registers a {@code Callable} with the property {@code
 * conexor.drain=true} that returns when it is done. JDK types, because the launcher does not share
 * the contracts of the bundles.
 */
final class Drain {

  private static final Logger log = LoggerFactory.getLogger(Drain.class);

  private Drain() {}

  /** Calls all of them at once and returns when the last one has, or at the deadline. */
  @SuppressWarnings("rawtypes") // services are found by class, which has no type arguments
  static boolean run(BundleContext system, Duration deadline) {
    Collection<ServiceReference<Callable>> references;
    try {
      references = system.getServiceReferences(Callable.class, "(conexor.drain=true)");
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
    if (references.isEmpty()) {
      return true;
    }
    ExecutorService executor =
        Executors.newCachedThreadPool(
            task -> {
              Thread thread = new Thread(task, "conexor-runtime-drain");
              thread.setDaemon(true);
              return thread;
            });
    List<CompletableFuture<Void>> running = new ArrayList<>();
    for (ServiceReference<Callable> reference : references) {
      running.add(CompletableFuture.runAsync(() -> drain(system, reference), executor));
    }
    try {
      CompletableFuture.allOf(running.toArray(CompletableFuture[]::new))
          .get(deadline.toMillis(), TimeUnit.MILLISECONDS);
      log.info("drained");
      return true;
    } catch (TimeoutException e) {
      log.warn("not drained within {}; what is still in flight is cut off", deadline);
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    } catch (java.util.concurrent.ExecutionException e) {
      log.warn("drain failed, stopping anyway", e.getCause());
      return false;
    } finally {
      executor.shutdownNow();
    }
  }

  @SuppressWarnings("rawtypes")
  private static void drain(BundleContext system, ServiceReference<Callable> reference) {
    Callable<?> callable = system.getService(reference);
    if (callable == null) {
      return;
    }
    try {
      callable.call();
    } catch (Exception e) {
      // One that cannot drain must not keep the others from it.
      log.warn("drain of {} failed", reference.getBundle(), e);
    }
  }
}
