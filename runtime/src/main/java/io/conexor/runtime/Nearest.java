package io.conexor.runtime;

import java.util.Collection;
import java.util.Optional;

/** The known word closest to a mistyped one. */
final class Nearest {

  private Nearest() {}

  static Optional<String> to(String typed, Collection<String> known) {
    String best = null;
    // Further away than a third of the word is a guess, not a correction.
    int limit = Math.max(2, typed.length() / 3);
    for (String candidate : known) {
      int distance = distance(typed, candidate, limit);
      if (distance < limit || (distance == limit && best == null)) {
        best = candidate;
        limit = distance;
      }
    }
    return Optional.ofNullable(best);
  }

  static String hint(String typed, Collection<String> known) {
    return to(typed, known).map(k -> "; did you mean '" + k + "'?").orElse("");
  }

  /** Levenshtein distance; {@code limit + 1} as soon as it is larger than that. */
  private static int distance(String a, String b, int limit) {
    if (Math.abs(a.length() - b.length()) > limit) {
      return limit + 1;
    }
    int[] previous = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      previous[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] row = new int[b.length() + 1];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substitution = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(substitution, Math.min(row[j - 1], previous[j]) + 1);
      }
      previous = row;
    }
    return Math.min(previous[b.length()], limit + 1);
  }
}
