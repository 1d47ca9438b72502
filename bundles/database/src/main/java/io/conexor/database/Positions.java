package io.conexor.database;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;

/**
 * Where the primary was when, on this machine's monotonic clock alone. Tells what a replica must
 * have replayed to be at most so old. Not for concurrent use.
 */
final class Positions {

  /** Looks that are remembered: five minutes at ten a second. */
  private static final int MOST = 3_000;

  private final Deque<long[]> seen = new ArrayDeque<>();

  /** On a new timeline positions start anew. */
  void clear() {
    seen.clear();
  }

  void add(long atNanos, long lsn) {
    long[] last = seen.peekLast();
    if (last != null && atNanos - last[0] <= 0) {
      return;
    }
    seen.addLast(new long[] {atNanos, lsn});
    if (seen.size() > MOST) {
      seen.removeFirst();
    }
  }

  boolean isEmpty() {
    return seen.isEmpty();
  }

  /** When the primary was last seen. */
  long lastAt() {
    return seen.getLast()[0];
  }

  long lastLsn() {
    return seen.getLast()[1];
  }

  /**
   * What a copy of this age has: the last position seen until then, or the oldest known. Not to be
   * called when empty.
   */
  long needed(long nowNanos, long maxAgeNanos) {
    for (var it = seen.descendingIterator(); it.hasNext(); ) {
      long[] then = it.next();
      if (nowNanos - then[0] >= maxAgeNanos) {
        return then[1];
      }
    }
    return seen.getFirst()[1];
  }

  /**
   * Nanoseconds since the primary went past this position; 0 if it has not, the longest time known
   * if that was before all looks.
   */
  long age(long nowNanos, long lsn) {
    long behindSince = Long.MIN_VALUE;
    for (var it = seen.descendingIterator(); it.hasNext(); ) {
      long[] then = it.next();
      if (Long.compareUnsigned(then[1], lsn) <= 0) {
        return behindSince == Long.MIN_VALUE ? 0 : nowNanos - behindSince;
      }
      behindSince = then[0];
    }
    // older than anything remembered
    return behindSince == Long.MIN_VALUE
        ? 0
        : Math.max(nowNanos - behindSince, TimeUnit.SECONDS.toNanos(1)) * 2;
  }

  /**
   * Whether a replica takes part. It leaves beyond the limit and comes back below half of it, so
   * that one at the limit does not flap.
   *
   * @param limitNanos 0 = any lag is fine
   */
  static boolean inRotation(boolean isIn, long lagNanos, long limitNanos) {
    return limitNanos == 0 || lagNanos <= (isIn ? limitNanos : limitNanos / 2);
  }
}
