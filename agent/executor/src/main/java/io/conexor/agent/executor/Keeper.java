package io.conexor.agent.executor;

import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.protocol.agent.AgentWire;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The queries of this agent that may outlive the backend that asked: running ones and results,
 * bounded in number, bytes and time.
 */
final class Keeper implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Keeper.class);

  private static final long TICK_MILLIS = 50;

  /** Shorter ones are quicker run again than found again. */
  static final long LONG_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** A request like one that runs waits so long to learn that the other one's backend is gone. */
  static final long TWIN_MILLIS = 150;

  /** Checked configuration. */
  record Limits(long keepMillis, long lingerMillis, int results, long bytes, long resultBytes) {
    static final Limits DEFAULT = new Limits(600_000, 15_000, 256, 64L << 20, 16L << 20);

    static Limits checked(KeeperConfig config) {
      return new Limits(
          in("keep.ms", config.keep_ms(), 1_000, 3_600_000),
          in("keep.linger.ms", config.keep_linger_ms(), 0, 600_000),
          (int) in("keep.results.max", config.keep_results_max(), 0, 100_000),
          in("keep.bytes.max", config.keep_bytes_max(), 0, 16L << 30),
          in("keep.result.bytes.max", config.keep_result_bytes_max(), 65_536, Integer.MAX_VALUE));
    }

    private static long in(String key, long value, long min, long max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            "%s: %s = %d is not within %d..%d".formatted(KeeperConfig.PID, key, value, min, max));
      }
      return value;
    }
  }

  private final Limits limits;
  private final Map<String, Kept> kept = new ConcurrentHashMap<>();
  private final AtomicLong bytes = new AtomicLong();
  private final ScheduledThreadPoolExecutor clock;

  Keeper(Limits limits) {
    this.limits = limits;
    this.clock =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "conexor-agent-executor-keeper");
              thread.setDaemon(true);
              return thread;
            });
    clock.setRemoveOnCancelPolicy(true);
    var unused =
        clock.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
  }

  boolean isEmpty() {
    return kept.isEmpty();
  }

  @Nullable Kept find(String id, String source) {
    Kept found = kept.get(id);
    return found == null || found.call.source == null || !found.call.source.name().equals(source)
        ? null
        : found;
  }

  /** Null when there is no room, or one of this id already. */
  @Nullable Kept keep(Call call, boolean isDirect) {
    if ((isDirect && limits.lingerMillis() == 0) || limits.results() == 0) {
      return null;
    }
    if (kept.size() >= limits.results() && !evict()) {
      return null;
    }
    Kept made = new Kept(this, call, isDirect);
    Kept before = isDirect ? kept.get(made.id()) : null;
    if (before != null && before.end() != null) {
      remove(before); // this is the same request, asked anew after it was answered
    }
    return kept.putIfAbsent(made.id(), made) == null ? made : null;
  }

  /** Makes room at the cost of the result that was kept longest. */
  private boolean evict() {
    Kept oldest =
        kept.values().stream()
            .filter(each -> each.end() != null)
            .min(Comparator.comparingLong(each -> each.call.started))
            .orElse(null);
    if (oldest == null) {
      return false;
    }
    remove(oldest);
    return true;
  }

  /** It is known by another name, and for so long, from now on. */
  void rename(Kept one, String id, long nanos) {
    if (kept.putIfAbsent(id, one) == null) {
      kept.remove(one.id(), one);
      one.leaveAs(id, nanos);
    }
  }

  void forget(Kept gone) {
    kept.remove(gone.id(), gone);
  }

  void remove(Kept gone) {
    if (kept.remove(gone.id(), gone)) {
      gone.forgotten();
    }
  }

  /** Takes room for so many more bytes of a result that has some already. */
  boolean reserve(long has, long more) {
    if (has + more > limits.resultBytes()) {
      return false;
    }
    boolean fits = bytes.addAndGet(more) <= limits.bytes();
    while (!fits && evict()) {
      fits = bytes.get() <= limits.bytes();
    }
    if (!fits) {
      bytes.addAndGet(-more);
    }
    return fits;
  }

  void release(long returned) {
    bytes.addAndGet(-returned);
  }

  long lingerNanos() {
    return TimeUnit.MILLISECONDS.toNanos(limits.lingerMillis());
  }

  /** How long a result is kept for who asks for so long. */
  long keepNanos(int askedMillis) {
    return TimeUnit.MILLISECONDS.toNanos(Math.min(askedMillis, limits.keepMillis()));
  }

  long resultBytes() {
    return limits.resultBytes();
  }

  void lost(BackendLink link) {
    kept.values().forEach(each -> each.left(link));
  }

  /** Those that nobody reads now. */
  int unread() {
    int count = 0;
    for (Kept each : kept.values()) {
      if (each.isUnread()) {
        count++;
      }
    }
    return count;
  }

  /** Backends that are asked for one of these had better ask here; the youngest first. */
  List<String> ids() {
    if (kept.isEmpty()) {
      return List.of();
    }
    List<Kept> all = new ArrayList<>(kept.values());
    all.sort(Comparator.comparingLong((Kept each) -> each.call.started).reversed());
    return all.stream().limit(AgentWire.MAX_HELD).map(Kept::id).toList();
  }

  /** Once, by the keeper's thread. */
  void later(long millis, Runnable action) {
    try {
      var unused = clock.schedule(action, millis, TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      log.debug("the agent stops");
    }
  }

  private void tick() {
    long now = System.nanoTime();
    for (Kept each : kept.values()) {
      try {
        if (each.isOver(now)) {
          remove(each);
          if (each.end() == null && each.call.source != null) {
            log.info("query {}: nobody came back for it; it is cancelled", each.id());
            each.call.source.stop(each.call, Call.Stop.GONE);
          }
        }
      } catch (RuntimeException e) {
        log.error("looking after query {} failed; going on", each.id(), e);
      }
    }
  }

  @Override
  public void close() {
    clock.shutdownNow();
  }
}
