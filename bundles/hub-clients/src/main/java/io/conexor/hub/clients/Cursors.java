package io.conexor.hub.clients;

import io.conexor.api.backplane.Position;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.hub.ResumeStore.Change;
import io.conexor.api.node.NodeId;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/**
 * Keeps, for whoever takes over the connections of this backend, up to where it has dealt with the
 * events of the backplane. A position is saved once every message that events up to there have led
 * to is saved; so it may lie behind the truth, never ahead of it. Belongs to the clock.
 */
final class Cursors {
  private final ClientHub home;

  private @Nullable Map<Integer, Position> candidate;
  private long candidateSince;
  private Map<Integer, Position> last = Map.of();
  private long savedAt;

  /** Written where a save ends, read by the clock. */
  private volatile boolean saving;

  Cursors(ClientHub home) {
    this.home = home;
  }

  void tick(long now) {
    ResumeStore store = home.store();
    if (store == null || saving) {
      return;
    }
    boolean hasResumable = false;
    long oldest = Long.MAX_VALUE;
    for (ClientSession session : home.sessions()) {
      if (session.isResumable()) {
        hasResumable = true;
        oldest = Math.min(oldest, session.keeping().unsavedSince());
      }
    }
    Map<Integer, Position> mine = candidate;
    if (mine != null && oldest > candidateSince) {
      candidate = null;
      last = mine;
      savedAt = now;
      save(store, mine);
    }
    boolean isDue = now - savedAt > home.settings().resumeWindow().toNanos() / 2;
    if (hasResumable && candidate == null) {
      Map<Integer, Position> next = home.bus().cursor();
      if (isDue || !next.equals(last)) {
        candidate = next;
        candidateSince = now;
      }
    }
  }

  private void save(ResumeStore store, Map<Integer, Position> positions) {
    saving = true;
    byte[] facts = new Facts(false, false, 0, Set.of(), Map.of(), Map.of(), positions).encoded();
    var unused =
        store
            .save(
                name(home.nodeId()),
                home.nodeId(),
                1,
                new Change(true, Optional.of(facts), 1, List.of(), 0),
                home.settings().resumeWindow().multipliedBy(2))
            .whenComplete((saved, failure) -> saving = false);
  }

  /** Up to where a backend had dealt with events; empty if that is not known. */
  CompletionStage<Map<Integer, Position>> of(ResumeStore store, NodeId node) {
    return store
        .find(name(node))
        .thenApply(kept -> kept.map(it -> Facts.of(it.facts()).positions()).orElse(Map.of()));
  }

  private static String name(NodeId node) {
    return "node." + node;
  }
}
