package io.conexor.api.database;

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

  /** The later of the two. */
  public CommitToken orLater(CommitToken other) {
    return compareTo(other) >= 0 ? this : other;
  }
}
