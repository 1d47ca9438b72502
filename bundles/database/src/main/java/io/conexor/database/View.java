package io.conexor.database;

/**
 * One server as last seen.
 *
 * @param lsn written (primary) or replayed (replica)
 * @param life when this run of the server began; a position never goes back within one life
 * @param atNanos when the look began
 * @param latencyNanos of the look
 * @param why it is down, or takes no writes although it is the primary; else empty
 */
record View(
    Role role, int timeline, long lsn, long life, long atNanos, long latencyNanos, String why) {

  enum Role {
    PRIMARY,
    REPLICA,
    DOWN
  }

  static View down(String why) {
    return new View(Role.DOWN, 0, 0, 0, 0, 0, why);
  }

  /**
   * The server to write to: the one primary on the newest timeline ever seen, or -1.
   *
   * <p>A primary on an older timeline is a stale one, whatever it says of itself. Of two on the
   * same timeline the present one is kept.
   */
  static int primary(java.util.List<View> views, int newestTimeline, int present) {
    int found = -1;
    for (int i = 0; i < views.size(); i++) {
      View view = views.get(i);
      if (view.role() == Role.PRIMARY
          && view.timeline() >= newestTimeline
          && (found < 0 || view.timeline() > views.get(found).timeline() || i == present)) {
        found = i;
      }
    }
    return found;
  }
}
