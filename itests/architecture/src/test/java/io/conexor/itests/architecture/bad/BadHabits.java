package io.conexor.itests.architecture.bad;

import java.lang.reflect.Method;
import java.util.Date;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.osgi.framework.BundleContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Does what no bundle may, so that each rule can be seen to find it. Never runs. */
public final class BadHabits {

  static final Logger LOGGER = LoggerFactory.getLogger(BadHabits.class);
  static final ExecutorService THREADS = Executors.newCachedThreadPool();
  static String last = "";

  private BadHabits() {}

  static long doAllOfIt(BundleContext context, Method method, List<String> list) throws Exception {
    TimeUnit.MILLISECONDS.sleep(1);
    method.setAccessible(true);
    CompletableFuture<Void> lost = CompletableFuture.runAsync(() -> System.out.println(context));
    list.parallelStream().forEach(line -> last = line);
    Thread.currentThread().setContextClassLoader(ServiceLoader.class.getClassLoader());
    LOGGER.info("{}", lost);
    synchronized (list) {
      THREADS.shutdown();
    }
    return System.currentTimeMillis() + new Date().getTime();
  }
}
