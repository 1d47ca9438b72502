package io.conexor.redis.client;

import io.conexor.redis.client.Roster.Stage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.redisson.api.RedissonClient;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves this backend from one installation to another together with all the others (docs/adr/0075).
 * All join first, so that everybody can look into both; then all leave. Runs on the thread of the
 * shell.
 */
final class FleetMove {

  private static final Logger log = LoggerFactory.getLogger(FleetMove.class);
  private static final long PAUSE_MILLIS = 200;
  private static final Duration CONNECTS = Duration.ofSeconds(30);
  private static final long REPORT_NANOS = Duration.ofSeconds(5).toNanos();

  private final Roster roster;
  private final Installation from;
  private final Installation to;
  private final Duration limit;

  FleetMove(Roster roster, Installation from, Installation to, Duration limit) {
    this.roster = roster;
    this.from = from;
    this.to = to;
    this.limit = limit;
  }

  /**
   * @return what was done, for the operator
   * @throws IllegalStateException if not every backend joined in time; then nothing has moved
   */
  String run() throws InterruptedException {
    RedissonClient old = connected(from);
    RedissonClient next = connected(to);
    from.reach(Stage.BOTH);
    int backends;
    try {
      backends = awaitAll(old, stage -> stage != Stage.HERE, "swap there too, with --migrate");
    } catch (IllegalStateException e) {
      from.reach(Stage.HERE);
      throw e;
    }
    roster.clearMark(next);
    roster.markLeft(old, to.name());
    from.becomeLeaving();
    to.becomeActive(from);
    from.reach(Stage.LEFT);
    log.info("moved from redis {} to redis {} with {} backends", from.name(), to.name(), backends);
    try {
      awaitAll(old, stage -> stage == Stage.LEFT, "they are about to follow");
    } catch (IllegalStateException e) {
      log.warn("{}; going on, since they can look into both", e.getMessage());
    }
    return "from redis " + from.name() + " to redis " + to.name() + ", " + backends + " backends";
  }

  /** What has just come in connects in the background. */
  private static RedissonClient connected(Installation installation) throws InterruptedException {
    long end = System.nanoTime() + CONNECTS.toNanos();
    while (true) {
      RedissonClient client = installation.client();
      if (client != null) {
        return client;
      }
      if (System.nanoTime() - end >= 0) {
        throw new IllegalStateException(
            "redis " + installation.name() + " is not connected after " + CONNECTS);
      }
      TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
    }
  }

  private int awaitAll(RedissonClient at, Predicate<Stage> isThere, String hint)
      throws InterruptedException {
    long start = System.nanoTime();
    long reported = start;
    while (true) {
      List<String> missing = new ArrayList<>();
      int count = 0;
      String trouble = "";
      try {
        Roster.Facts facts = roster.beat(at, from.stage());
        count = facts.backends().size();
        facts
            .backends()
            .forEach(
                (node, stage) -> {
                  if (!isThere.test(stage)) {
                    missing.add(node);
                  }
                });
      } catch (IllegalStateException e) {
        trouble = e.getMessage() + "; ";
      }
      if (missing.isEmpty() && trouble.isEmpty()) {
        return count;
      }
      long now = System.nanoTime();
      String waiting = trouble + "waiting for the backends " + missing + ": " + hint;
      if (now - start > limit.toNanos()) {
        throw new IllegalStateException("gave up after " + limit + " " + waiting);
      }
      if (now - reported > REPORT_NANOS) {
        reported = now;
        log.info("move to redis {}: {}", to.name(), waiting);
      }
      TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
    }
  }
}
