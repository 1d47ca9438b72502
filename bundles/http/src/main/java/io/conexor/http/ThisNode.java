package io.conexor.http;

import io.conexor.api.Subscription;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ServiceScope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * This process: its id, its state, what it has in flight. Apart from the listener, so that a
 * restart of that one (a changed port, say) does not make a new node, and so that routes may refer
 * to the node without a cycle.
 */
@Component(
    service = {Node.class, HealthCheck.class, Callable.class, ThisNode.class},
    scope = ServiceScope.SINGLETON,
    property = "conexor.drain:Boolean=true")
public final class ThisNode implements Node, HealthCheck, Callable<Boolean> {

  private static final Logger log = LoggerFactory.getLogger(ThisNode.class);

  /** What the listener tells about itself. */
  record Listening(
      String host,
      int port,
      boolean secure,
      int connections,
      Duration notice,
      Duration drainTimeout) {}

  private final NodeId id = new NodeId("n-" + random());
  private final Instant startedAt = Instant.now();
  private final String version;
  private final AtomicInteger inFlight = new AtomicInteger();
  private final List<Consumer<State>> listeners = new CopyOnWriteArrayList<>();
  private final CompletableFuture<Void> drained = new CompletableFuture<>();

  /** Written by whoever drains, once; read everywhere. */
  private volatile State state = State.SERVING;

  /** Written by the listener; read by health checks and drain. */
  private volatile @Nullable Listening listening;

  @Activate
  public ThisNode() {
    String implementation = ThisNode.class.getPackage().getImplementationVersion();
    this.version = Objects.requireNonNullElse(implementation, "0.1.0");
    log.info("node {} started, version {}", id, version);
  }

  private static String random() {
    byte[] bytes = new byte[6];
    new SecureRandom().nextBytes(bytes);
    return java.util.HexFormat.of().formatHex(bytes);
  }

  void listening(@Nullable Listening now) {
    listening = now;
  }

  void begin() {
    inFlight.incrementAndGet();
  }

  void end() {
    inFlight.decrementAndGet();
  }

  int inFlight() {
    return inFlight.get();
  }

  @Override
  public NodeId id() {
    return id;
  }

  @Override
  public String version() {
    return version;
  }

  @Override
  public Instant startedAt() {
    return startedAt;
  }

  @Override
  public State state() {
    return state;
  }

  @Override
  public Subscription onState(Consumer<State> listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public CompletionStage<Void> drain(Duration limit) {
    synchronized (drained) { // no I/O inside: only decides who starts the drain
      if (state == State.DRAINING) {
        return drained;
      }
      state = State.DRAINING;
    }
    log.info("node {} -> DRAINING: asked to, at most {}", id, limit);
    for (Consumer<State> listener : listeners) {
      try {
        listener.accept(State.DRAINING);
      } catch (RuntimeException e) {
        log.error("a listener failed on DRAINING", e);
      }
    }
    Listening now = listening;
    long start = System.nanoTime();
    long notice = now == null ? 0 : Math.min(now.notice().toNanos(), limit.toNanos());
    Thread thread =
        new Thread(
            () -> waitUntilIdle(start + notice, start + limit.toNanos()), "conexor-http-drain");
    thread.setDaemon(true);
    thread.start();
    return drained;
  }

  private void waitUntilIdle(long noticeUntil, long until) {
    try {
      // The load balancer needs to see the 503 of /health first; until then requests still come.
      while (System.nanoTime() - noticeUntil < 0
          || (inFlight.get() > 0 && System.nanoTime() - until < 0)) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
      log.info("node {} drained, {} requests left", id, inFlight.get());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      drained.complete(null);
    }
  }

  /** Called by the launcher before it stops the framework. */
  @Override
  public Boolean call() throws Exception {
    Listening now = listening;
    Duration limit = now == null ? Duration.ZERO : now.drainTimeout();
    drain(limit).toCompletableFuture().get(limit.toMillis() + 5_000, TimeUnit.MILLISECONDS);
    return inFlight.get() == 0;
  }

  @Override
  public String name() {
    return "http";
  }

  @Override
  public Health check() {
    Listening now = listening;
    if (now == null) {
      return Health.unhealthy("the HTTP listener is not open; see the log", Map.of());
    }
    Map<String, String> details =
        Map.of(
            "node", id.value(),
            "address", now.host() + ":" + now.port(),
            "secure", Boolean.toString(now.secure()),
            "inFlight", Integer.toString(inFlight.get()));
    return state == State.DRAINING
        ? Health.unhealthy("draining; takes nothing new", details)
        : Health.healthy(details);
  }
}
