package io.conexor.runtime;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the process at once.
 *
 * <p>A shutdown hook cannot see a second signal. The JDK's signal API is in {@code jdk.unsupported}
 * and javac warns about every use of it with no way to silence that, hence the reflection.
 */
final class Signals {

  private static final Logger log = LoggerFactory.getLogger(Signals.class);

  private Signals() {}

  static void onStop(Runnable orderly) {
    AtomicInteger received = new AtomicInteger(); // incremented by the JVM's signal threads only
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      InvocationHandler onSignal =
          (proxy, method, args) -> {
            if (method.getName().equals("handle")) {
              if (received.incrementAndGet() == 1) {
                orderly.run();
              } else {
                Runtime.getRuntime().halt(1);
              }
              return null;
            }
            return method.getName().equals("equals")
                ? (Object) (proxy == args[0])
                : System.identityHashCode(proxy);
          };
      Object proxy =
          Proxy.newProxyInstance(
              Signals.class.getClassLoader(), new Class<?>[] {handler}, onSignal);
      for (String name : new String[] {"TERM", "INT"}) {
        signal
            .getMethod("handle", signal, handler)
            .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
      }
    } catch (ReflectiveOperationException | LinkageError e) {
      // Without it the process still stops in order, by its shutdown hook; only the second signal
      // is lost.
      log.debug("no signal handling here", e);
      Runtime.getRuntime().addShutdownHook(new Thread(orderly, "conexor-runtime-stop"));
    }
  }
}
