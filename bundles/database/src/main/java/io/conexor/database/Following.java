package io.conexor.database;

import io.conexor.api.database.CommitToken;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What the caller of each thread has written, as far as is known. */
final class Following {

  /** No value while the thread follows nobody; removed at the end, for threads are shared. */
  private static final ThreadLocal<@Nullable Optional<CommitToken>> POSITION = new ThreadLocal<>();

  private Following() {}

  static <T> T run(Optional<CommitToken> known, Supplier<T> work) {
    Optional<CommitToken> outer = POSITION.get();
    POSITION.set(known);
    try {
      return work.get();
    } finally {
      Optional<CommitToken> inner = position();
      if (outer == null) {
        POSITION.remove();
      } else {
        POSITION.set(outer);
        inner.ifPresent(Following::wrote);
      }
    }
  }

  static void wrote(CommitToken token) {
    Optional<CommitToken> before = POSITION.get();
    if (before != null) {
      POSITION.set(Optional.of(before.map(token::orLater).orElse(token)));
    }
  }

  static Optional<CommitToken> position() {
    Optional<CommitToken> known = POSITION.get();
    return known == null ? Optional.empty() : known;
  }
}
