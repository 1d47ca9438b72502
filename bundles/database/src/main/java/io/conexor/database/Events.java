package io.conexor.database;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;

/** What changed lately: what, when, why, and how long it had been otherwise. */
final class Events {

  private static final int MOST = 20;

  private final Deque<String> newestFirst = new ArrayDeque<>(); // guarded by this
  private long count; // guarded by this

  /**
   * Remembers one.
   *
   * @param why empty = it speaks for itself
   * @param nanos what it ends had lasted
   */
  synchronized void add(String what, String why, long nanos) {
    String text =
        String.format(
            Locale.ROOT,
            "%s %s%s (after %d ms)",
            Instant.now(),
            what,
            why.isEmpty() ? "" : ": " + why,
            nanos / 1_000_000);
    count++;
    newestFirst.addFirst(text);
    if (newestFirst.size() > MOST) {
      newestFirst.removeLast();
    }
  }

  synchronized long count() {
    return count;
  }

  synchronized List<String> newestFirst() {
    return List.copyOf(newestFirst);
  }
}
