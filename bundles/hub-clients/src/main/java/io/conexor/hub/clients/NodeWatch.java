package io.conexor.hub.clients;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

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
 * <p>A node is gone when the backplane has said for {@link Pace#absent} that nobody is there; once
 * is not enough, since after a failover others may have subscribed again earlier than that node.
 * When it does not answer at all, either it hangs or the backplane is in trouble. An event with the
 * node's name as its key takes the same way into the backplane as what is sent to it: while such
 * events are taken the node is to blame, and {@link Pace#silent} is enough; otherwise it is given
 * {@link Pace#patience}. A node that answers again is there again.
 */
final class NodeWatch {
  static final byte[] PING = {0};

  private static final int PROBES = 2;
  private static final Duration INTEREST = Duration.ofMinutes(1);

  /** How long everything takes. */
  record Pace(
      Duration timeout,
      Duration quick,
      Duration interval,
      Duration absent,
      Duration silent,
      Duration patience) {
    static final Pace USUAL =
        new Pace(
            Duration.ofSeconds(3),
            Duration.ofMillis(2_500),
            Duration.ofMillis(500),
            Duration.ofSeconds(3),
            Duration.ofSeconds(6),
            Duration.ofSeconds(20));
  }

  private static final class Watched {
    final Set<Runnable> waiting = ConcurrentHashMap.newKeySet();
    volatile boolean gone;

    // Owned by the clock, but for answers, which only ever make them later.
    volatile long answeredAt;
    volatile long interestingUntil;
    volatile boolean asking;

    // Owned by whoever asks; one question is under way at a time.
    volatile boolean isAbsent;
    volatile long absentSince;
    volatile int probes;

    Watched(long now) {
      answeredAt = now;
    }

    void answered(long now) {
      answeredAt = now;
      isAbsent = false;
      probes = 0;
      gone = false;
    }
  }

  private final ClientHub home;
  private final Pace pace;
  private final Map<NodeId, Watched> nodes = new ConcurrentHashMap<>();

  NodeWatch(ClientHub home, Pace pace) {
    this.home = home;
    this.pace = pace;
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

  /** From the clock, every {@link Pace#interval} or so. */
  void tick(long now, @Nullable Backplane backplane) {
    nodes.forEach(
        (node, watched) -> {
          if (now - watched.interestingUntil > 0 && watched.waiting.isEmpty()) {
            nodes.remove(node, watched);
          } else if (!watched.asking && backplane != null) {
            watched.asking = true;
            ask(node, watched, backplane);
          }
        });
  }

  private void ask(NodeId node, Watched watched, Backplane backplane) {
    long askedAt = home.now();
    var unused =
        backplane
            .request(node, Forwarder.CHANNEL, PING, pace.timeout())
            .whenComplete(
                (answer, failure) -> {
                  long now = home.now();
                  if (failure == null) {
                    watched.answered(now);
                    askLater(watched);
                  } else if (isAbsent(failure) && now - askedAt < pace.quick().toNanos()) {
                    if (!watched.isAbsent) {
                      watched.isAbsent = true;
                      watched.absentSince = now;
                    }
                    judge(watched, now);
                    askLater(watched);
                  } else {
                    watched.isAbsent = false;
                    probe(node, watched);
                  }
                });
  }

  private void probe(NodeId node, Watched watched) {
    CompletableFuture<Void> taken = home.bus().probe(node).toCompletableFuture();
    var unused =
        taken
            .orTimeout(pace.timeout().toMillis(), MILLISECONDS)
            .whenComplete(
                (done, failure) -> {
                  watched.probes = failure == null ? watched.probes + 1 : 0;
                  judge(watched, home.now());
                  askLater(watched);
                });
  }

  private void judge(Watched watched, long now) {
    long silent = now - watched.answeredAt;
    if ((watched.isAbsent && now - watched.absentSince > pace.absent().toNanos())
        || (watched.probes >= PROBES && silent > pace.silent().toNanos())
        || silent > pace.patience().toNanos()) {
      watched.gone = true;
      watched.waiting.forEach(Runnable::run);
    }
  }

  private void askLater(Watched watched) {
    home.later(() -> watched.asking = false, pace.interval());
  }

  static boolean isAbsent(Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
    return cause instanceof ConexorException e && e.applied() == Applied.NO;
  }
}
