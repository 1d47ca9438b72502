package io.conexor.agent.registry;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import java.util.List;
import java.util.Map;

/** What backends tell each other about their links. */
sealed interface Gossip {

  /**
   * Changes that lead from one number to the next.
   *
   * @param before the number they apply to
   * @param after the number they lead to; greater
   */
  record Delta(long before, long after, List<Attachment> attached, List<LinkId> detached)
      implements Gossip {

    public Delta {
      attached = List.copyOf(attached);
      detached = List.copyOf(detached);
    }
  }

  /**
   * The sender is alive and this is where it stands.
   *
   * @param heartbeatMillis when to expect the next one
   * @param loads calls in flight by link, where that changed
   */
  record Digest(long number, int links, int heartbeatMillis, Map<LinkId, Integer> loads)
      implements Gossip {

    public Digest {
      loads = Map.copyOf(loads);
    }
  }

  /** Everyone, send your digest now. */
  record Ask() implements Gossip {}

  /** The sender stops. */
  record Bye() implements Gossip {}

  /** Asks one node for its links behind this one, in order of their ids. */
  record SnapshotRequest(long behind) implements Gossip {}

  /**
   * Links of the sender in order of their ids.
   *
   * @param number where the sender stood when this page was made
   * @param more whether links with higher ids are left
   */
  record Page(long number, List<Attachment> links, boolean more) implements Gossip {

    public Page {
      links = List.copyOf(links);
    }
  }
}
