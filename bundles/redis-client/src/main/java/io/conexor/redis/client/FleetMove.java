package io.conexor.redis.client;

import io.conexor.redis.client.Roster.Stage;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.redisson.api.RedissonClient;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves this backend from one installation to another together with all the others (docs/adr/0075).
 * All join first, so that everybody can look into both; then all leave. Until all have joined it
 * can be called off, afterwards not. Runs on the thread of the shell.
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
    if (from.stage() == Stage.LEFT) {
      return "from redis " + from.name() + " to redis " + to.name() + ", before";
    }
    RedissonClient old = connected(from);
    RedissonClient next = connected(to);
    roster.clearMark(next);
    from.reach(Stage.BOTH);
    int backends = together(old);
    from.becomeLeaving();
    to.becomeActive(from);
    from.reach(Stage.LEFT);
    log.info("moved from redis {} to redis {} with {} backends", from.name(), to.name(), backends);
    try {
      await(
          old,
          facts -> facts.backends().values().stream().allMatch(s -> s == Stage.LEFT),
          Stage.LEFT,
          "they are about to follow");
    } catch (IllegalStateException e) {
      log.warn("{}; going on, since they can look into both", e.getMessage());
    }
    return "from redis " + from.name() + " to redis " + to.name() + ", " + backends + " backends";
  }

  /**
   * Waits until all have joined. The first who sees that decides for all, by the mark; whoever
   * gives up before asks whether that has happened, since a backend alone in the old installation
   * would not find what the others carry away.
   */
  private int together(RedissonClient old) throws InterruptedException {
    try {
      return await(
          old, facts -> !facts.leftFor().isEmpty(), Stage.HERE, "swap there too, with --migrate");
    } catch (IllegalStateException e) {
      if (isDecided(old, e)) {
        return await(old, facts -> true, Stage.HERE, "the others have moved");
      }
      from.reach(Stage.HERE);
      throw e;
    } catch (InterruptedException e) {
      if (!isDecided(old, new IllegalStateException("interrupted", e))) {
        from.reach(Stage.HERE);
      }
      throw e;
    }
  }

  private boolean isDecided(RedissonClient old, IllegalStateException why)
      throws InterruptedException {
    long end = System.nanoTime() + CONNECTS.toNanos();
    while (true) {
      try {
        return !roster.withdraw(old);
      } catch (IllegalStateException silent) {
        if (System.nanoTime() - end >= 0) {
          why.addSuppressed(silent);
          return false;
        }
        TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
      }
    }
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

  /**
   * @param late the stage of those that are waited for, or any but {@link Stage#LEFT} when that is
   *     what is waited for
   * @return how many backends there are
   */
  private int await(RedissonClient at, Predicate<Roster.Facts> isThere, Stage late, String hint)
      throws InterruptedException {
    long start = System.nanoTime();
    long reported = start;
    while (true) {
      String waiting;
      try {
        Roster.Facts facts = roster.beat(at, from.stage(), to.name());
        if (isThere.test(facts)) {
          return facts.backends().size();
        }
        waiting =
            "waiting for the backends "
                + facts.backends().entrySet().stream()
                    .filter(e -> late == Stage.LEFT ? e.getValue() != late : e.getValue() == late)
                    .map(Map.Entry::getKey)
                    .toList()
                + ": "
                + hint;
      } catch (IllegalStateException e) {
        waiting = e.getMessage();
      }
      long now = System.nanoTime();
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
