package io.conexor.dispatch;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Calls of other backends over links of this one. It knows their ids and how far they are, nothing
 * else: the agent's messages pass through as they are, and whoever asked decides what follows.
 */
final class RelayHost {

  private static final Logger log = LoggerFactory.getLogger(RelayHost.class);

  /** Pings that have to leave a call out before it counts as given up. */
  private static final int UNLISTED = 2;

  /** The calls of one backend. */
  private static final class Guest {
    final Map<Integer, Relayed> calls = new ConcurrentHashMap<>();

    /** Written by the receiving thread, and by the sweep after this process slept. */
    volatile long heardNanos;
  }

  private final Relay relay;
  private final SlotTable slots;
  private final LocalLinks links;
  private final long patienceNanos;
  private final Map<NodeId, Guest> guests = new ConcurrentHashMap<>();

  /** Written once by the drain, read by the receiving thread. */
  private volatile boolean isDraining;

  /** Completed by the sweep of a drain when no call is left. */
  private final CompletableFuture<Boolean> drained = new CompletableFuture<>();

  /** Belongs to the sweep. */
  private long sweptNanos;

  /**
   * @param patienceNanos after so long without a word from a backend its calls are cancelled
   */
  RelayHost(Relay relay, SlotTable slots, LocalLinks links, long patienceNanos, long now) {
    this.relay = relay;
    this.slots = slots;
    this.links = links;
    this.patienceNanos = patienceNanos;
    this.sweptNanos = now;
  }

  int relayed() {
    return guests.values().stream().mapToInt(g -> g.calls.size()).sum();
  }

  /** All of one node arrive one at a time and in order. */
  void open(NodeId from, ByteBuffer body, long now) {
    int originId = body.getInt();
    LinkId linkId = new LinkId(body.getLong());
    boolean more = body.get() != 0;
    Guest guest = heard(from, now);
    Relayed call = guest.calls.get(originId);
    if (call == null) {
      AgentLink link = links.find(linkId).orElse(null);
      if (link == null || isDraining) {
        String why =
            link == null ? "its link to the other backend is gone" : "the other backend drains";
        relay.send(from, RelayFrame.lost(originId, 0, Applied.NO, why));
        return;
      }
      call = new Relayed(from, originId, link);
      call.request = new GrowingBytes(0, AgentWire.MAX_MESSAGE_BYTES + 16);
      guest.calls.put(originId, call);
    }
    GrowingBytes request = call.request;
    if (request == null) {
      log.warn("node {} opened call {} twice", from, originId);
      return;
    }
    try {
      request.put(body);
      if (!more) {
        call.request = null;
        start(guest, call, request);
      }
    } catch (ProtocolException e) {
      refuse(guest, call, "the other backend could not read the request: " + e.getMessage());
    }
  }

  private void start(Guest guest, Relayed call, GrowingBytes request) {
    FrameReader frame = new FrameReader().reset(request.array(), 0, request.size());
    AgentMessage message = frame.next() ? AgentDecoder.fromBackend(frame) : null;
    if (!slots.put(call)) {
      refuse(guest, call, "the other backend has no room for another call");
      return;
    }
    GrowingBytes out = new GrowingBytes(request.size() + 16, AgentWire.MAX_MESSAGE_BYTES + 16);
    if (message instanceof AgentMessage.Query query) {
      call.granted = query.window();
      new AgentEncoder(out)
          .query(
              call.id,
              query.source(),
              query.sql(),
              query.parameters(),
              query.maxRows(),
              query.maxBytes(),
              query.deadlineMillis(),
              query.window(),
              query.queryId(),
              query.traceparent(),
              query.life(),
              query.keepMillis(),
              query.asker());
    } else if (message instanceof AgentMessage.Schema schema) {
      call.granted = schema.window();
      new AgentEncoder(out)
          .message(
              new AgentMessage.Schema(
                  call.id, schema.source(), schema.deadlineMillis(), schema.window()));
    } else {
      refuse(guest, call, "the other backend does not know this kind of call");
      return;
    }
    if (!call.link.send(out.array(), 0, out.size())) {
      refuse(guest, call, "its link took no message");
    }
  }

  /** Nothing was sent to the agent. */
  private void refuse(Guest guest, Relayed call, String reason) {
    if (end(guest, call)) {
      relay.send(call.from, RelayFrame.lost(call.originId, call.sent, Applied.NO, reason));
    }
  }

  void grant(NodeId from, ByteBuffer body, long now) {
    Guest guest = heard(from, now);
    Relayed call = guest.calls.get(body.getInt());
    if (call != null) {
      granted(call, body.getInt());
    }
  }

  private static void granted(Relayed call, int total) {
    int more = total - call.granted;
    if (more > 0 && call.request == null) {
      call.granted = total;
      GrowingBytes credit = Request.credit(call.id, more);
      call.link.send(credit.array(), 0, credit.size());
    }
  }

  void cancel(NodeId from, ByteBuffer body, long now) {
    Guest guest = heard(from, now);
    Relayed call = guest.calls.get(body.getInt());
    if (call != null) {
      abandon(guest, call);
    }
  }

  void detach(NodeId from, ByteBuffer body, long now) {
    Guest guest = heard(from, now);
    Relayed call = guest.calls.get(body.getInt());
    String queryId = new UUID(body.getLong(), body.getLong()).toString();
    if (call != null && end(guest, call) && call.request == null) {
      send(call, Request.detach(new AgentMessage.Detach(call.id, queryId, body.getInt())));
    }
  }

  void ping(NodeId from, ByteBuffer body, long now) {
    Guest guest = heard(from, now);
    List<RelayFrame.Entry> answer = new ArrayList<>(body.remaining() / 8);
    Set<Integer> listed = new HashSet<>();
    while (body.remaining() >= 8) {
      int originId = body.getInt();
      int total = body.getInt();
      Relayed call = guest.calls.get(originId);
      if (call != null) {
        granted(call, total);
        listed.add(originId);
      }
      answer.add(new RelayFrame.Entry(originId, call == null ? -1 : call.sent));
    }
    relay.send(from, RelayFrame.list(RelayFrame.PONG, answer));
    for (Relayed call : guest.calls.values()) {
      call.unlisted = listed.contains(call.originId) ? 0 : call.unlisted + 1;
      if (call.unlisted >= UNLISTED) {
        abandon(guest, call);
      }
    }
  }

  private Guest heard(NodeId from, long now) {
    Guest guest = guests.computeIfAbsent(from, n -> new Guest());
    guest.heardNanos = now;
    return guest;
  }

  /**
   * From the link's thread: what the agent said. Leaves with the next flush unless it is the end.
   */
  void message(Relayed call, ByteBuffer message, boolean isEnd) {
    Outbox outbox = relay.to(call.from);
    byte[] bytes = message.array();
    int offset = message.arrayOffset() + message.position();
    int left = message.remaining();
    int sent = call.sent;
    do {
      int length = Math.min(RelayFrame.PART_BYTES, left);
      left -= length;
      outbox.add(
          RelayFrame.data(call.originId, sent, left > 0, bytes, offset, length),
          applied -> orphan(call));
      offset += length;
      // INVARIANT: a pong never counts a frame that is not in the outbox yet.
      sent++;
      call.sent = sent;
    } while (left > 0);
    if (isEnd) {
      Guest guest = guests.get(call.from);
      if (guest != null) {
        end(guest, call);
      }
      outbox.flush();
    }
  }

  /** The link of the call is gone. */
  void lost(Relayed call, String reason) {
    Guest guest = guests.get(call.from);
    if (guest != null && end(guest, call)) {
      relay.send(call.from, RelayFrame.lost(call.originId, call.sent, Applied.UNKNOWN, reason));
    }
  }

  /**
   * Takes no more calls, and waits until those under way have ended.
   *
   * @return false when some had not in time
   */
  boolean detach(Duration limit) {
    isDraining = true;
    try {
      return drained.get(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Called by the sweep. */
  void sweep(long now) {
    if (isDraining && relayed() == 0) {
      drained.complete(true);
    }
    long slept = now - sweptNanos;
    sweptNanos = now;
    guests.forEach(
        (node, guest) -> {
          if (slept > patienceNanos / 4) {
            // This process could not listen meanwhile.
            guest.heardNanos = now;
          }
          if (now - guest.heardNanos > patienceNanos) {
            if (!guest.calls.isEmpty()) {
              log.warn("backend {} is silent; {} of its calls end", node, guest.calls.size());
            }
            guest.calls.values().forEach(call -> orphan(guest, call));
            guests.remove(node);
          }
        });
  }

  private void orphan(Relayed call) {
    Guest guest = guests.get(call.from);
    if (guest != null) {
      orphan(guest, call);
    }
  }

  /**
   * Who asked is gone; his client may come back through another backend. An agent that knows the
   * first message does not know the call any more when the second one comes.
   */
  private void orphan(Guest guest, Relayed call) {
    if (end(guest, call) && call.request == null) {
      send(call, Request.detach(new AgentMessage.Detach(call.id, "", 0)));
      send(call, Request.cancel(call.id));
    }
  }

  private static void send(Relayed call, GrowingBytes message) {
    call.link.send(message.array(), 0, message.size());
  }

  /** Nobody waits for it any more. */
  private void abandon(Guest guest, Relayed call) {
    if (end(guest, call) && call.request == null) {
      send(call, Request.cancel(call.id));
    }
  }

  /** True for the one who ends it. */
  private boolean end(Guest guest, Relayed call) {
    slots.remove(call);
    return guest.calls.remove(call.originId, call);
  }

  void close() {
    for (Guest guest : guests.values()) {
      for (Relayed call : guest.calls.values()) {
        int sent = call.sent;
        orphan(guest, call);
        relay.send(
            call.from,
            RelayFrame.lost(call.originId, sent, Applied.UNKNOWN, "the other backend stops"));
      }
    }
  }
}
