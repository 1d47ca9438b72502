package io.conexor.agent.registry;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What the other nodes said about their links, and which of it still holds. Knows no thread, no
 * clock and no backplane: it is told what was heard and when, and answers with what follows.
 * Belongs to one thread.
 */
final class Roster {

  /** A node is forgotten after so many of its own heartbeats without a word. */
  static final int HEARTBEATS = 3;

  /** Deltas kept while a snapshot is under way; beyond, the snapshot is asked for again. */
  static final int MAX_PENDING = 10_000;

  /** What follows from something heard. */
  sealed interface Outcome {
    /** Nothing. */
    record Same() implements Outcome {}

    /** These links are to be shown, these no more. */
    record Changed(List<Attachment> attached, List<LinkId> detached) implements Outcome {}

    /** Only loads differ. */
    record Loads(List<Attachment> attached) implements Outcome {}

    /** The node has to be asked for a snapshot, from its first link on. */
    record AskSnapshot(String reason) implements Outcome {}

    /** The node has to be asked for the rest of the snapshot. */
    record AskMore(long behind) implements Outcome {}
  }

  /** A node that is gone, and what it had. */
  record Gone(NodeId node, Collection<LinkId> links, String reason) {}

  private static final long UNKNOWN = -1;

  private static final class Peer {
    private long heardNanos;
    private long silentNanos;
    private long number = UNKNOWN;
    private Map<LinkId, Attachment> links = new HashMap<>();

    private boolean isFetching;
    private long fetchNumber;
    private final TreeMap<Long, Attachment> fetched = new TreeMap<>();
    private final List<Gossip.Delta> pending = new ArrayList<>();
  }

  private final Map<NodeId, Peer> peers = new HashMap<>();
  private final long defaultSilentNanos;
  private long lastExpiryNanos;

  Roster(long heartbeatNanos, long nowNanos) {
    this.defaultSilentNanos = HEARTBEATS * heartbeatNanos;
    this.lastExpiryNanos = nowNanos;
  }

  int size() {
    return peers.size();
  }

  Collection<NodeId> nodes() {
    return List.copyOf(peers.keySet());
  }

  Outcome digest(NodeId node, Gossip.Digest digest, long now) {
    Peer peer = heard(node, now);
    peer.silentNanos = HEARTBEATS * 1_000_000L * digest.heartbeatMillis();
    if (peer.isFetching) {
      return new Outcome.Same();
    }
    if (digest.number() != peer.number || digest.links() != peer.links.size()) {
      if (digest.links() == 0) {
        peer.number = digest.number();
        return replace(peer, Map.of());
      }
      return ask(
          peer,
          "has "
              + digest.links()
              + " links at "
              + digest.number()
              + ", known are "
              + peer.links.size()
              + " at "
              + peer.number);
    }
    List<Attachment> changed = new ArrayList<>();
    digest
        .loads()
        .forEach(
            (link, inFlight) -> {
              Attachment known = peer.links.get(link);
              if (known != null && known.inFlight() != inFlight) {
                Attachment next = withLoad(known, inFlight);
                peer.links.put(link, next);
                changed.add(next);
              }
            });
    return changed.isEmpty() ? new Outcome.Same() : new Outcome.Loads(List.copyOf(changed));
  }

  Outcome delta(NodeId node, Gossip.Delta delta, long now) {
    Peer peer = heard(node, now);
    if (peer.isFetching) {
      if (peer.pending.size() >= MAX_PENDING) {
        return ask(peer, "changed faster than its snapshot arrived");
      }
      peer.pending.add(delta);
      return new Outcome.Same();
    }
    if (delta.after() <= peer.number) {
      return new Outcome.Same();
    }
    if (delta.before() != peer.number) {
      return ask(peer, "is at " + delta.before() + ", known is " + peer.number);
    }
    apply(peer.links, delta);
    peer.number = delta.after();
    return new Outcome.Changed(delta.attached(), delta.detached());
  }

  /** A part of the snapshot that was asked for. */
  Outcome page(NodeId node, Gossip.Page page, long now) {
    Peer peer = heard(node, now);
    if (!peer.isFetching) {
      return new Outcome.Same();
    }
    if (peer.fetched.isEmpty()) {
      peer.fetchNumber = page.number();
    }
    for (Attachment attachment : page.links()) {
      peer.fetched.put(attachment.link().value(), attachment);
    }
    if (page.more() && !peer.fetched.isEmpty()) {
      return new Outcome.AskMore(peer.fetched.lastKey());
    }
    // INVARIANT: later pages may be newer than the first. Repeating the deltas since the first page
    // is harmless, since each says how a link is now, and the last one about a link wins.
    Map<LinkId, Attachment> links = new HashMap<>();
    peer.fetched.values().forEach(a -> links.put(a.link(), a));
    long number = peer.fetchNumber;
    for (Gossip.Delta delta : peer.pending) {
      if (delta.after() <= number) {
        continue;
      }
      if (delta.before() != number) {
        return ask(peer, "lost a change while its snapshot arrived");
      }
      apply(links, delta);
      number = delta.after();
    }
    endFetch(peer);
    peer.number = number;
    return replace(peer, links);
  }

  /** The snapshot did not come; the node's next digest asks again. */
  void snapshotFailed(NodeId node) {
    Peer peer = peers.get(node);
    if (peer != null) {
      endFetch(peer);
    }
  }

  /** Nothing known may be relied on any more; every node is to be compared by its next digest. */
  void doubtAll() {
    peers.values().forEach(peer -> peer.number = UNKNOWN);
  }

  Optional<Gone> bye(NodeId node) {
    Peer peer = peers.remove(node);
    return peer == null
        ? Optional.empty()
        : Optional.of(new Gone(node, peer.links.keySet(), "it said goodbye"));
  }

  /**
   * The nodes that have been silent for too long. To be called every heartbeat or more often: what
   * this process slept beyond that is not held against the others.
   *
   * @param expectedNanos how long the pause since the last call should have been
   */
  List<Gone> expire(long now, long expectedNanos) {
    long overslept = Math.max(0, now - lastExpiryNanos - 2 * expectedNanos);
    lastExpiryNanos = now;
    List<Gone> gone = new ArrayList<>();
    peers
        .entrySet()
        .removeIf(
            entry -> {
              Peer peer = entry.getValue();
              peer.heardNanos += overslept;
              long silent = now - peer.heardNanos;
              if (silent <= peer.silentNanos) {
                return false;
              }
              gone.add(
                  new Gone(
                      entry.getKey(),
                      peer.links.keySet(),
                      "not heard for " + silent / 1_000_000 + " ms"));
              return true;
            });
    return gone;
  }

  /** It is known why nobody was heard: nobody is blamed, and all have their full time again. */
  void pardon(long now) {
    peers.values().forEach(peer -> peer.heardNanos = now);
  }

  private Peer heard(NodeId node, long now) {
    Peer peer =
        peers.computeIfAbsent(
            node,
            n -> {
              Peer created = new Peer();
              created.silentNanos = defaultSilentNanos;
              return created;
            });
    peer.heardNanos = now;
    return peer;
  }

  private static Outcome ask(Peer peer, String reason) {
    endFetch(peer);
    peer.isFetching = true;
    return new Outcome.AskSnapshot(reason);
  }

  private static void endFetch(Peer peer) {
    peer.isFetching = false;
    peer.fetched.clear();
    peer.pending.clear();
  }

  private static Outcome replace(Peer peer, Map<LinkId, Attachment> links) {
    List<LinkId> detached = new ArrayList<>(peer.links.keySet());
    detached.removeAll(links.keySet());
    List<Attachment> attached =
        links.values().stream().filter(a -> !a.equals(peer.links.get(a.link()))).toList();
    peer.links = new HashMap<>(links);
    return attached.isEmpty() && detached.isEmpty()
        ? new Outcome.Same()
        : new Outcome.Changed(attached, List.copyOf(detached));
  }

  private static void apply(Map<LinkId, Attachment> links, Gossip.Delta delta) {
    delta.detached().forEach(links::remove);
    delta.attached().forEach(a -> links.put(a.link(), a));
  }

  static Attachment withLoad(Attachment a, int inFlight) {
    return new Attachment(
        a.org(),
        a.agent(),
        a.agentName(),
        a.agentVersion(),
        a.process(),
        a.node(),
        a.link(),
        a.epoch(),
        a.since(),
        a.isClosing(),
        inFlight,
        a.sources());
  }
}
