package io.conexor.dispatch;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentWire;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Calls of this backend over links of others.
 *
 * <p>Messages between two backends arrive in order or not at all. So a node that is asked about a
 * call tells it apart: what it has sent before its answer has arrived before its answer, or never
 * will. Whoever is asked and does not answer is silent; a silent node is left out until it is heard
 * again.
 */
final class RelayOrigin {

  private static final Logger log = LoggerFactory.getLogger(RelayOrigin.class);

  /** Questions without an answer that make a node silent. */
  static final int UNANSWERED = 4;

  /** A call that may not run twice waits so much longer, since giving it up costs its answer. */
  private static final int PATIENCE = 3;

  /** An unused node is remembered for so many rounds. */
  private static final int REMEMBERED = 300;

  /** What is known about another backend. */
  private static final class Peer {
    /** Written by the sweep and by the receiving thread. */
    volatile int unanswered;

    /** Read by whoever chooses a route. */
    volatile boolean isSilent;

    /** Belongs to the sweep. */
    int unused;
  }

  private final Relay relay;
  private final SlotTable slots;
  private final long roundNanos;
  private final ConcurrentHashMap<NodeId, Peer> peers = new ConcurrentHashMap<>();

  /** Belongs to the sweep. */
  private long nextRoundNanos;

  RelayOrigin(Relay relay, SlotTable slots, long silenceNanos, long now) {
    this.relay = relay;
    this.slots = slots;
    this.roundNanos = silenceNanos / (UNANSWERED + 1);
    this.nextRoundNanos = now + roundNanos;
  }

  boolean isUsable(NodeId node) {
    Peer peer = peers.get(node);
    return relay.isAttached() && (peer == null || !peer.isSilent);
  }

  /** Inside the call's section. */
  boolean open(Attempt attempt, Path.Remote path, GrowingBytes message) {
    if (!relay.isAttached()) {
      return false;
    }
    peers.computeIfAbsent(path.node(), n -> new Peer());
    Outbox outbox = relay.to(path.node());
    int at = 0;
    do {
      int length = Math.min(RelayFrame.PART_BYTES, message.size() - at);
      boolean more = at + length < message.size();
      outbox.add(
          RelayFrame.open(attempt.id, path.link(), more, message.array(), at, length),
          applied -> undelivered(attempt, path.node(), applied));
      at += length;
    } while (at < message.size());
    outbox.flush();
    // INVARIANT: a ping that names the call leaves after what opens it.
    attempt.isOpened = true;
    return true;
  }

  void credit(Attempt attempt, Path.Remote path, int total) {
    relay.send(path.node(), RelayFrame.grant(attempt.id, total));
  }

  void cancel(Attempt attempt, Path.Remote path) {
    relay.send(path.node(), RelayFrame.cancel(attempt.id));
  }

  void detach(Attempt attempt, Path.Remote path, UUID queryId, int keepMillis) {
    relay.send(path.node(), RelayFrame.detach(attempt.id, queryId, keepMillis));
  }

  private void undelivered(Attempt attempt, NodeId node, Applied applied) {
    Peer peer = peers.get(node);
    if (peer != null) {
      peer.isSilent = true; // until a ping is answered
    }
    attempt.call.post(
        () -> attempt.call.onLost(attempt, applied, false, "the other backend was not reached"));
  }

  /** Receives from one node in order. */
  void heard(NodeId from) {
    Peer peer = peers.get(from);
    if (peer != null && (peer.unanswered != 0 || peer.isSilent)) {
      peer.unanswered = 0;
      if (peer.isSilent) {
        peer.isSilent = false;
        log.info("backend {} answers again", from);
      }
    }
  }

  void data(NodeId from, ByteBuffer body) {
    Attempt attempt = find(from, body.getInt());
    int number = body.getInt();
    boolean more = body.get() != 0;
    if (attempt != null) {
      attempt.call.post(() -> take(attempt, number, more, body));
    }
  }

  private static void take(Attempt attempt, int number, boolean more, ByteBuffer body) {
    Call call = attempt.call;
    if (number != attempt.received) {
      call.onLost(
          attempt, Applied.UNKNOWN, false, "a part of its answer was lost between backends");
      return;
    }
    attempt.received++;
    GrowingBytes parts = attempt.parts;
    try {
      if (more || parts != null) {
        if (parts == null) {
          parts = new GrowingBytes(0, AgentWire.MAX_MESSAGE_BYTES + 16);
          attempt.parts = parts;
        }
        parts.put(body);
        if (more) {
          return;
        }
        attempt.parts = null;
        call.onMessage(attempt, parts.toByteBuffer());
      } else {
        call.onMessage(attempt, body);
      }
    } catch (ProtocolException e) {
      call.onGarbage(attempt, e);
    }
  }

  void lost(NodeId from, ByteBuffer body) {
    Attempt attempt = find(from, body.getInt());
    int number = body.getInt();
    Applied applied = body.get() == 0 ? Applied.NO : Applied.UNKNOWN;
    String reason = StandardCharsets.UTF_8.decode(body).toString();
    if (attempt != null) {
      attempt.call.post(
          () ->
              attempt.call.onLost(
                  attempt, number == attempt.received ? applied : Applied.UNKNOWN, true, reason));
    }
  }

  void pong(NodeId from, ByteBuffer body) {
    while (body.remaining() >= 8) {
      Attempt attempt = find(from, body.getInt());
      int sent = body.getInt();
      if (attempt != null) {
        attempt.call.post(
            () -> {
              if (sent < 0 || sent > attempt.received) {
                attempt.call.onLost(
                    attempt,
                    Applied.UNKNOWN,
                    false,
                    "a message about it was lost between backends");
              }
            });
      }
    }
  }

  private @Nullable Attempt find(NodeId from, int id) {
    return slots.find(id) instanceof Attempt attempt
            && attempt.path() instanceof Path.Remote remote
            && remote.node().equals(from)
        ? attempt
        : null;
  }

  /** Called by the sweep, more often than rounds are due. */
  void sweep(long now) {
    if (now - nextRoundNanos < 0) {
      return;
    }
    nextRoundNanos = now + roundNanos;
    if (peers.isEmpty()) {
      return;
    }
    Map<NodeId, List<Attempt>> open = new HashMap<>();
    slots.forEach(
        slot -> {
          if (slot instanceof Attempt attempt
              && attempt.isOpened
              && attempt.path() instanceof Path.Remote remote) {
            open.computeIfAbsent(remote.node(), n -> new ArrayList<>()).add(attempt);
          }
        });
    peers.forEach((node, peer) -> ask(node, peer, open.getOrDefault(node, List.of())));
  }

  private void ask(NodeId node, Peer peer, List<Attempt> open) {
    peer.unused = open.isEmpty() ? peer.unused + 1 : 0;
    if (peer.unused > REMEMBERED) {
      peers.remove(node);
      return;
    }
    // A node that was just left is told so, and one that is silent is asked until it answers.
    if (peer.unused > 2 && !peer.isSilent) {
      return;
    }
    int unanswered = peer.unanswered;
    if (unanswered >= UNANSWERED) {
      if (!peer.isSilent) {
        peer.isSilent = true;
        log.warn("backend {} does not answer; {} calls go another way", node, open.size());
      }
      for (Attempt attempt : open) {
        if (attempt.call.request.repeatable() || unanswered >= PATIENCE * UNANSWERED) {
          attempt.call.post(
              () ->
                  attempt.call.onLost(
                      attempt,
                      Applied.UNKNOWN,
                      false,
                      "the backend it is linked to does not answer"));
        }
      }
    }
    peer.unanswered = unanswered + 1;
    List<RelayFrame.Entry> entries =
        open.stream().map(a -> new RelayFrame.Entry(a.id, a.granted)).toList();
    relay.send(node, RelayFrame.list(RelayFrame.PING, entries));
  }
}
