package io.conexor.api.database;

import java.util.Locale;

/**
 * Proof of how far a write got, good for reading it again elsewhere.
 *
 * @param timeline PostgreSQL's timeline
 * @param lsn write-ahead log position
 */
public record CommitToken(int timeline, long lsn) implements Comparable<CommitToken> {

  /** Before everything: any replica will do. */
  public static final CommitToken NONE = new CommitToken(0, 0);

  @Override
  public int compareTo(CommitToken other) {
    int byTimeline = Integer.compare(timeline, other.timeline);
    return byTimeline != 0 ? byTimeline : Long.compareUnsigned(lsn, other.lsn);
  }

  /** As 24 hexadecimal digits that sort as tokens do. */
  public String text() {
    return String.format(Locale.ROOT, "%08x%016x", timeline, lsn);
  }

  /**
   * From {@link #text}.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static CommitToken of(String text) {
    if (text.length() != 24) {
      throw new IllegalArgumentException("a commit token has 24 hexadecimal digits");
    }
    return new CommitToken(
        Integer.parseInt(text, 0, 8, 16), Long.parseUnsignedLong(text, 8, 24, 16));
  }

  /** The later of the two. */
  public CommitToken orLater(CommitToken other) {
    return compareTo(other) >= 0 ? this : other;
  }
}
