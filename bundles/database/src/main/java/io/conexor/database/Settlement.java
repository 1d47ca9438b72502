package io.conexor.database;

import org.jspecify.annotations.Nullable;

/**
 * Decides what became of a commit that was not answered, from what the present primary says.
 *
 * <p>{@code pg_xact_status} alone is not enough: a transaction id that never reached the new
 * primary, or was lost in a crash, is given out again there. The transaction therefore begins with
 * a log record of its own; only when the primary's history contains that record is the id the same
 * transaction. Where its last recovery ended ({@code pg_last_wal_replay_lsn}) tells.
 */
enum Settlement {
  COMMITTED,
  NOT_COMMITTED,
  /** Ask again. */
  UNDECIDED,
  UNKNOWN;

  /**
   * How a transaction began.
   *
   * @param recordEnd end of its first log record
   * @param recovery where the server's last recovery had ended; null = it had started cleanly
   */
  record Begun(String xid, int timeline, long recordEnd, @Nullable Long recovery) {}

  /**
   * @param status of {@code pg_xact_status}; {@code future} when the id was not given out yet, null
   *     when it is too old to tell
   */
  static Settlement of(
      Begun begun, @Nullable String status, int timeline, @Nullable Long recovery) {
    if (status == null || timeline < begun.timeline()) {
      return UNKNOWN;
    }
    boolean sameLife =
        timeline == begun.timeline() && java.util.Objects.equals(recovery, begun.recovery());
    boolean recordLost =
        !sameLife
            && recovery != null
            && timeline <= begun.timeline() + 1
            && begun.recordEnd() > recovery;
    if (recordLost || status.equals("future") || status.equals("aborted")) {
      return NOT_COMMITTED;
    }
    boolean recordKept =
        sameLife
            || (recovery != null
                && timeline <= begun.timeline() + 1
                && begun.recordEnd() <= recovery);
    if (status.equals("in progress")) {
      return UNDECIDED;
    }
    return recordKept ? COMMITTED : UNKNOWN;
  }
}
