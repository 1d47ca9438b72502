package io.conexor.hub.clients;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Tells whether other backends are gone, by asking those somebody is interested in.
 *
 * <p>A node is gone when the backplane says quickly that nobody is there. When it does not answer
 * at all, either it hangs or the backplane is in trouble, and the two can't be told apart: then it
 * is given {@link #PATIENCE}.
 */
final class NodeWatch {
  static final byte[] PING = {0};

  private static final Duration TIMEOUT = Duration.ofSeconds(3);
  private static final Duration QUICK = Duration.ofMillis(2_500);
  private static final Duration INTERVAL = Duration.ofMillis(500);
  private static final Duration PATIENCE = Duration.ofSeconds(20);
  private static final Duration INTEREST = Duration.ofMinutes(1);

  private static final class Watched {
    final Set<Runnable> waiting = ConcurrentHashMap.newKeySet();
    volatile boolean gone;

    // Owned by the clock, but for answers, which only ever make them later.
    volatile long answeredAt;
    volatile long interestingUntil;
    volatile boolean asking;

    Watched(long now) {
      answeredAt = now;
    }
  }

  private final ClientHub home;
  private final Map<NodeId, Watched> nodes = new ConcurrentHashMap<>();

  NodeWatch(ClientHub home) {
    this.home = home;
  }

  /** Completes it when the node is gone, unless it is complete by then. */
  <T> void whenGone(NodeId node, CompletableFuture<T> future, T value) {
    Watched watched = watch(node);
    Runnable action = () -> future.complete(value);
    watched.waiting.add(action);
    var unused = future.whenComplete((result, failure) -> watched.waiting.remove(action));
    if (watched.gone) {
      action.run();
    }
  }

  /** Whether it is gone; asks about it from now on. */
  boolean isGone(NodeId node) {
    return watch(node).gone;
  }

  private Watched watch(NodeId node) {
    long now = home.now();
    Watched watched = nodes.computeIfAbsent(node, id -> new Watched(now));
    watched.interestingUntil = now + INTEREST.toNanos();
    return watched;
  }

  /** From the clock, every {@link #INTERVAL} or so. */
  void tick(long now, @Nullable Backplane backplane) {
    nodes.forEach(
        (node, watched) -> {
          if (now - watched.interestingUntil > 0 && watched.waiting.isEmpty()) {
            nodes.remove(node, watched);
          } else if (!watched.gone && !watched.asking && backplane != null) {
            watched.asking = true;
            ask(node, watched, backplane);
          }
        });
  }

  private void ask(NodeId node, Watched watched, Backplane backplane) {
    long askedAt = home.now();
    var unused =
        backplane
            .request(node, Forwarder.CHANNEL, PING, TIMEOUT)
            .whenComplete(
                (answer, failure) -> {
                  long now = home.now();
                  if (failure == null) {
                    watched.answeredAt = now;
                  } else if ((isAbsent(failure) && now - askedAt < QUICK.toNanos())
                      || now - watched.answeredAt > PATIENCE.toNanos()) {
                    watched.gone = true;
                    watched.waiting.forEach(Runnable::run);
                  }
                  home.later(() -> watched.asking = false, INTERVAL);
                });
  }

  static boolean isAbsent(Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
    return cause instanceof ConexorException e && e.applied() == Applied.NO;
  }
}
