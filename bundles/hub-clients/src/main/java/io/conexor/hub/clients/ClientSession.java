package io.conexor.hub.clients;

import io.conexor.api.ConexorException;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.backplane.Position;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubConnection;
import io.conexor.api.hub.ResumeStore.Kept;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.hub.HubProtocol;
import io.conexor.protocol.send.OutboundQueue.Sent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client's connection: handshake, messages in order, calls both ways, and the end. What carries
 * it ({@link Leg}) may change. All state belongs to the tasks of {@link #serial}, but for what says
 * otherwise.
 */
final class ClientSession implements HubConnection {
  private static final Logger log = LoggerFactory.getLogger(ClientSession.class);

  /** Below this many waiting bytes a stream goes on. */
  private static final long LOW_WATER = 64 << 10;

  private static final int MAX_GROUP_NAME = 128;
  private static final int MAX_GROUPS = 1_000;

  enum State {
    HANDSHAKE,
    UP,
    /** As UP, with no leg; waits to be resumed. */
    DETACHED,
    /** Another backend has it; what still runs here finds it there. */
    MOVED,
    ENDED
  }

  private final ClientHub home;
  private final ServedHub hub;
  private final String id;
  private final Principal principal;
  private final Credential credential;
  private final boolean isResumable;
  private final Serial serial;
  private final long since;

  /** Changed by the tasks, read by anyone. */
  private final Set<String> groups = ConcurrentHashMap.newKeySet();

  /** Written by the tasks, read by anyone. */
  private volatile State state = State.HANDSHAKE;

  /** Nano time; written where bytes arrive, read by the clock. */
  private volatile long lastHeard;

  private @Nullable Leg leg;
  private HubProtocol protocol = HubProtocol.JSON;
  private long lastSent;
  private long detachedAt;
  private final Map<String, Call> calls = new HashMap<>();
  private final Set<Call> unnamed = new HashSet<>();
  private final Map<String, Incoming> uploads = new HashMap<>();
  private final Set<String> asked = new HashSet<>();
  private final List<CompletableFuture<Void>> parked = new ArrayList<>();

  // Of a connection that may be resumed.
  private final Outbox outbox = new Outbox();
  private final Keeping keeping;
  private long nextReceived = 1;
  private long latestReceived;
  private long taken;
  private long acknowledged;
  private long unacknowledgedBytes;
  private boolean awaitsSequence;
  private boolean isRestored;
  private @Nullable CatchUp catchUp;
  private final Map<String, NodeId> runningElsewhere = new HashMap<>();
  private final Map<String, NodeId> uploadsElsewhere = new HashMap<>();

  ClientSession(
      ClientHub home,
      ServedHub hub,
      String id,
      Principal principal,
      Credential credential,
      boolean isResumable) {
    this.home = home;
    this.hub = hub;
    this.id = id;
    this.principal = principal;
    this.credential = credential;
    this.isResumable = isResumable;
    this.serial = new Serial(home.pool());
    this.since = home.now();
    this.lastHeard = since;
    this.keeping = new Keeping(this, home, outbox);
  }

  /** Goes on with what another backend kept. Before anybody else knows of it. */
  void restore(Kept kept, Facts facts) {
    protocol = facts.isBinary() ? HubProtocol.MESSAGE_PACK : HubProtocol.JSON;
    latestReceived = facts.received();
    nextReceived = latestReceived + 1;
    taken = latestReceived;
    acknowledged = latestReceived;
    groups.addAll(facts.groups());
    runningElsewhere.putAll(facts.running());
    uploadsElsewhere.putAll(facts.uploads());
    outbox.restore(kept.first(), kept.messages());
    keeping.restore(kept.fence(), facts.positions());
    detachedAt = home.now();
    isRestored = true;
    state = State.DETACHED;
  }

  /**
   * Restored: joins those who listen here. Events until now come from the catch-up, if there is
   * one.
   */
  void begin(@Nullable CatchUp newCatchUp) {
    run(
        () -> {
          catchUp = newCatchUp;
          hub.add(this);
          home.registered(this);
          guarded(() -> hub.hub().opened(this));
        });
  }

  /** The catch-up has seen everything there was. */
  void caughtUp() {
    catchUp = null;
  }

  Keeping keeping() {
    return keeping;
  }

  @Override
  public String id() {
    return id;
  }

  @Override
  public Principal principal() {
    return principal;
  }

  Credential credential() {
    return credential;
  }

  ServedHub hub() {
    return hub;
  }

  boolean isResumable() {
    return isResumable;
  }

  State state() {
    return state;
  }

  long fence() {
    return keeping.fence();
  }

  @Override
  public Set<String> groups() {
    return Set.copyOf(groups);
  }

  void run(Runnable task) {
    serial.run(task);
  }

  /** Runs code of a hub, whose failure is not ours. */
  void guarded(Runnable code) {
    try {
      code.run();
    } catch (RuntimeException e) {
      log.warn("hub {} failed on connection {}", hub.name(), id, e);
    }
  }

  void heard() {
    lastHeard = home.now();
  }

  // Legs

  void attach(Leg newLeg) {
    run(
        () -> {
          heard();
          if (state == State.ENDED || state == State.MOVED) {
            newLeg.close(Leg.RESTART, "the connection is not here any more");
            return;
          }
          Leg old = leg;
          leg = newLeg;
          if (old != null) {
            old.close(Leg.NORMAL, "another socket took its place");
          }
          if (state == State.HANDSHAKE) {
            home.registered(this);
            return;
          }
          newLeg.speak(protocol.isBinary());
          become(State.UP, "resumed, from " + newLeg.remoteAddress());
          awaitsSequence = true;
          outbox.rewind();
          transmit(new Outgoing(new HubMessage.Sequence(outbox.first())));
          flush();
        });
  }

  void legGone(Leg gone, String reason) {
    run(
        () -> {
          if (leg != gone) {
            return;
          }
          leg = null;
          if (isResumable && state == State.UP) {
            detachedAt = home.now();
            become(State.DETACHED, reason);
          } else if (state != State.DETACHED) {
            ended(Leg.NORMAL, reason, null);
          }
        });
  }

  /** More can be sent. */
  void drained(Leg by) {
    run(
        () -> {
          if (leg == by) {
            unpark();
          }
        });
  }

  private boolean isCrowded() {
    Leg current = leg;
    return (current != null && current.queuedBytes() > LOW_WATER)
        || (isResumable && outbox.bytes() > home.settings().maxOutboundBytes() / 2);
  }

  private void unpark() {
    if (!parked.isEmpty() && !isCrowded()) {
      List<CompletableFuture<Void>> ready = List.copyOf(parked);
      parked.clear();
      ready.forEach(next -> next.complete(null));
    }
  }

  // Receiving

  void received(Leg from, byte[] bytes) {
    received(from, bytes, () -> {});
  }

  void received(Leg from, byte[] bytes, Runnable done) {
    run(
        () -> {
          heard();
          try {
            if (leg == from && state != State.ENDED) {
              take(bytes);
            }
          } catch (ProtocolException e) {
            String error = "protocol error: " + e.getMessage();
            ended(Leg.PROTOCOL_ERROR, error, farewell(error, false));
          } finally {
            done.run();
          }
        });
  }

  private void take(byte[] bytes) {
    int from = 0;
    if (state == State.HANDSHAKE) {
      Handshake.Request request = Handshake.readRequest(bytes, 0, bytes.length);
      from = request.length();
      greet(request);
    }
    if (from < bytes.length) {
      for (HubMessage message : protocol.decode(bytes, from, bytes.length - from)) {
        if (state == State.UP) {
          take(message, bytes.length);
        }
      }
    }
  }

  private void greet(Handshake.Request request) {
    Leg current = leg;
    if (current == null) {
      return;
    }
    if (request.protocol().isBinary() && !current.takesBinary()) {
      throw new ProtocolException("this transport carries text only", 0);
    }
    protocol = request.protocol();
    current.speak(protocol.isBinary());
    transmit(Handshake.response(null));
    become(
        State.UP,
        "%s of %s, from %s"
            .formatted(protocol.name(), principal.subject(), current.remoteAddress()));
    if (isResumable) {
      keeping.start();
    }
    hub.add(this);
    guarded(() -> hub.hub().opened(this));
  }

  private void take(HubMessage message, int size) {
    if (message instanceof HubMessage.Ping) {
      return;
    }
    if (message instanceof HubMessage.Close close) {
      String error = close.error();
      ended(
          Leg.NORMAL,
          error == null ? "the client closed it" : "the client closed it: " + error,
          null);
      return;
    }
    if (!isResumable) {
      handle(message);
      return;
    }
    if (message instanceof HubMessage.Sequence sequence) {
      if (sequence.sequenceId() > nextReceived) {
        throw new ProtocolException(
            "sequence " + sequence.sequenceId() + " where " + nextReceived + " comes next", 0);
      }
      nextReceived = sequence.sequenceId();
      awaitsSequence = false;
    } else if (message instanceof HubMessage.Ack ack) {
      if (!outbox.acknowledged(ack.sequenceId())) {
        throw new ProtocolException("a message was acknowledged that was not sent", 0);
      }
      keeping.changed();
      unpark();
    } else if (!awaitsSequence) {
      long number = nextReceived++;
      if (number > latestReceived) {
        latestReceived = number;
        unacknowledgedBytes += size;
        keeping.take(message);
      }
    }
  }

  /** From the keeping: a message that may be acted upon now, as it will not come again. */
  void handle(HubMessage message) {
    if (state == State.ENDED) {
      return;
    }
    if (message instanceof HubMessage.Invocation m) {
      invoked(m.invocationId(), m.target(), m.arguments(), m.streamIds(), false);
    } else if (message instanceof HubMessage.StreamInvocation m) {
      invoked(m.invocationId(), m.target(), m.arguments(), m.streamIds(), true);
    } else if (message instanceof HubMessage.StreamItem m) {
      Incoming upload = uploads.get(m.invocationId());
      if (upload != null) {
        upload.item(m.item());
      } else {
        forward(uploadsElsewhere.get(m.invocationId()), message);
      }
    } else if (message instanceof HubMessage.Completion m) {
      completionByClient(m);
    } else if (message instanceof HubMessage.CancelInvocation m) {
      Call call = calls.get(m.invocationId());
      if (call != null) {
        call.cancel();
      } else {
        forward(runningElsewhere.get(m.invocationId()), message);
      }
    }
  }

  /** To the backend where the other end of an older call is. */
  private void forward(@Nullable NodeId node, HubMessage message) {
    if (node != null) {
      home.bus().toCall(node, id, message);
    }
  }

  private void completionByClient(HubMessage.Completion m) {
    Incoming upload = uploads.remove(m.invocationId());
    if (upload != null) {
      upload.end(Optional.ofNullable(m.error()));
      keeping.changedFacts();
      ghostMayEnd();
      return;
    }
    NodeId node = uploadsElsewhere.remove(m.invocationId());
    if (node != null) {
      keeping.changedFacts();
      forward(node, m);
      return;
    }
    // Who asked before the connection was resumed here is not known here.
    if (asked.remove(m.invocationId()) || isRestored) {
      home.answered(m);
    }
  }

  private void invoked(
      @Nullable String callId,
      String target,
      List<@Nullable Object> arguments,
      List<String> streamIds,
      boolean isStream) {
    if (callId != null && calls.containsKey(callId)) {
      throw new ProtocolException("invocation " + callId + " is running already", 0);
    }
    List<io.conexor.api.hub.Upload> received = new ArrayList<>(streamIds.size());
    for (String streamId : streamIds) {
      Incoming upload = new Incoming(this);
      uploads.put(streamId, upload);
      received.add(upload);
    }
    HubCall.Request request = new HubCall.Request(target, arguments, isStream, received);
    Call call = new Call(this, callId, request, streamIds);
    if (callId == null) {
      unnamed.add(call);
    } else {
      calls.put(callId, call);
    }
    try {
      hub.hub().invoked(call);
    } catch (ConexorException e) {
      call.fail(e.text());
    } catch (RuntimeException e) {
      log.error("hub {} failed on {}", hub.name(), target, e);
      call.fail("the server failed");
    }
  }

  // Sending

  @Override
  public void send(String target, List<@Nullable Object> arguments) {
    write(new Outgoing(new HubMessage.Invocation(null, target, arguments)));
  }

  void write(Outgoing message) {
    run(() -> put(message, null));
  }

  /**
   * Something happened on the backplane that concerns this connection.
   *
   * @param byCatchUp whether this comes from its {@link CatchUp}, which until it is done is the
   *     only one that is listened to
   */
  void event(Position position, boolean byCatchUp, Runnable action) {
    run(
        () -> {
          if (state != State.MOVED // then it is for the backend that has it now
              && (catchUp != null) == byCatchUp
              && (!isResumable || keeping.isNew(position))) {
            action.run();
          }
        });
  }

  /** From within {@link #event}: a message for the client. */
  void deliver(Outgoing message, Position position) {
    put(message, position);
  }

  /** Asks the client; its answer comes back as a completion with this id. */
  void ask(Outgoing message, String askId) {
    run(
        () -> {
          if (state == State.ENDED) {
            home.answered(HubMessage.Completion.failure(askId, "the connection has ended"));
          } else {
            put(message, null);
          }
        });
  }

  private void put(Outgoing message, @Nullable Position position) {
    if (state == State.MOVED) {
      home.bus().toClient(id, message.message());
    } else if (state == State.UP || state == State.DETACHED) {
      byte[] bytes;
      try {
        bytes = message.bytes(protocol);
      } catch (IllegalArgumentException | ProtocolException e) {
        log.error("hub {} sent what can't be sent: {}", hub.name(), e.getMessage());
        return;
      }
      if (message.message() instanceof HubMessage.Invocation m && m.invocationId() != null) {
        asked.add(m.invocationId());
      }
      if (!isResumable) {
        transmit(bytes);
        return;
      }
      outbox.add(bytes);
      keeping.happened(position);
      if (outbox.bytes() > home.settings().maxOutboundBytes()) {
        tooSlow("more than %d bytes are not acknowledged");
      } else {
        flush();
      }
    }
  }

  /** Sends what may be sent, and keeps what has to be kept first. */
  void flush() {
    keeping.changed();
    if (leg != null) {
      for (byte[] bytes : outbox.toSend(keeping.isNeeded())) {
        transmit(bytes);
      }
    }
  }

  private void transmit(Outgoing message) {
    transmit(message.bytes(protocol));
  }

  private void transmit(byte[] bytes) {
    Leg current = leg;
    if (current != null) {
      lastSent = home.now();
      if (current.send(bytes) == Sent.FULL) {
        tooSlow("more than %d bytes wait to be sent");
      }
    }
  }

  private void tooSlow(String what) {
    String reason = "slow consumer: " + what.formatted(home.settings().maxOutboundBytes());
    ended(Leg.POLICY, reason, farewell(reason, true));
  }

  private byte[] farewell(String error, boolean allowReconnect) {
    return state == State.HANDSHAKE
        ? Handshake.response(error)
        : Outgoing.encoded(new HubMessage.Close(error, allowReconnect), protocol);
  }

  // Calls

  void item(Call call, @Nullable Object item, CompletableFuture<Void> next) {
    run(
        () -> {
          String callId = call.id();
          if (call.ended || call.cancelled || callId == null || state == State.ENDED) {
            next.completeExceptionally(new CancellationException("nobody wants more of it"));
            return;
          }
          put(new Outgoing(new HubMessage.StreamItem(callId, item)), null);
          if (isCrowded()) {
            parked.add(next);
          } else {
            next.complete(null);
          }
        });
  }

  void completed(Call call, @Nullable Object result, @Nullable String error) {
    run(
        () -> {
          if (call.ended) {
            return;
          }
          call.ended = true;
          String callId = call.id();
          if (callId == null) {
            unnamed.remove(call);
          } else {
            calls.remove(callId);
          }
          for (String uploadId : call.uploadIds()) {
            uploads.remove(uploadId);
          }
          if (callId != null && state != State.ENDED) {
            put(completion(callId, call.request().isStream(), result, error), null);
          }
          ghostMayEnd();
        });
  }

  private Outgoing completion(
      String callId, boolean isStream, @Nullable Object result, @Nullable String error) {
    HubMessage.Completion completion =
        error != null
            ? HubMessage.Completion.failure(callId, error)
            : isStream
                ? HubMessage.Completion.nothing(callId)
                : HubMessage.Completion.result(callId, result);
    Outgoing outgoing = new Outgoing(completion);
    try {
      outgoing.bytes(protocol);
      return outgoing;
    } catch (IllegalArgumentException | ProtocolException e) {
      log.error("hub {} gave a result that can't be sent: {}", hub.name(), e.getMessage());
      return new Outgoing(HubMessage.Completion.failure(callId, "the server failed"));
    }
  }

  /** From within {@link #event}: a call that runs on another backend has sent something. */
  void fromElsewhere(HubMessage message, Position position) {
    if (message instanceof HubMessage.Completion completion
        && runningElsewhere.remove(completion.invocationId()) == null) {
      return;
    }
    put(new Outgoing(message), position);
  }

  /** The client has sent something for a call that runs here, while its connection is elsewhere. */
  void fromClientElsewhere(HubMessage message) {
    run(
        () -> {
          if (state == State.MOVED) {
            handle(message);
          }
        });
  }

  /** A backend is gone and its calls with it. */
  private void nodeGone(NodeId node) {
    uploadsElsewhere.values().removeIf(node::equals);
    for (String callId : List.copyOf(runningElsewhere.keySet())) {
      if (node.equals(runningElsewhere.get(callId))) {
        runningElsewhere.remove(callId);
        put(
            new Outgoing(
                HubMessage.Completion.failure(
                    callId, "the backend that ran this is gone; it may or may not have happened")),
            null);
      }
    }
    keeping.changedFacts();
  }

  // Groups

  @Override
  public void join(String group) {
    if (group.isEmpty() || group.length() > MAX_GROUP_NAME) {
      throw new IllegalArgumentException("a group's name has 1 to 128 characters");
    }
    run(
        () -> {
          if ((state == State.UP || state == State.DETACHED)
              && groups.size() < MAX_GROUPS
              && groups.add(group)) {
            hub.joined(this, group);
            keeping.changedFacts();
          } else if (state == State.MOVED) {
            home.bus().group(hub.name(), id, group, true);
          }
        });
  }

  @Override
  public void leave(String group) {
    run(
        () -> {
          if (groups.remove(group)) {
            hub.left(this, group);
            keeping.changedFacts();
          } else if (state == State.MOVED) {
            home.bus().group(hub.name(), id, group, false);
          }
        });
  }

  // The end

  @Override
  public void close(String reason, boolean mayReconnect) {
    run(
        () -> {
          if (state == State.MOVED) {
            home.bus().close(hub.name(), id, reason, mayReconnect);
          } else {
            ended(Leg.POLICY, reason, farewell(reason, mayReconnect));
          }
        });
  }

  void end(int code, String reason, @Nullable Boolean mayReconnect) {
    run(() -> ended(code, reason, mayReconnect == null ? null : farewell(reason, mayReconnect)));
  }

  private void ended(int code, String reason, byte @Nullable [] farewell) {
    if (state == State.ENDED) {
      return;
    }
    boolean wasHere = state == State.UP || state == State.DETACHED;
    become(State.ENDED, reason);
    CatchUp catching = catchUp;
    if (catching != null) {
      catching.close();
    }
    Leg current = leg;
    leg = null;
    if (current != null) {
      if (farewell != null) {
        current.send(farewell);
      }
      current.close(code, reason);
    }
    if (wasHere) {
      leaveHub(reason);
    }
    if (isResumable) {
      keeping.end();
    }
    List<Call> running = new ArrayList<>(calls.values());
    running.addAll(unnamed);
    running.forEach(Call::cancel);
    List<Incoming> open = List.copyOf(uploads.values());
    uploads.clear();
    open.forEach(upload -> upload.end(Optional.of("the connection has ended")));
    for (String ask : asked) {
      home.answered(HubMessage.Completion.failure(ask, "the connection has ended: " + reason));
    }
    asked.clear();
    for (CompletableFuture<Void> next : parked) {
      next.completeExceptionally(new CancellationException("the connection has ended"));
    }
    parked.clear();
    home.sessionEnded(this);
  }

  private void leaveHub(String reason) {
    hub.remove(this);
    guarded(() -> hub.hub().closed(this, reason));
  }

  /**
   * Lets another backend have it: everything is kept, nothing is received any more, and calls that
   * run go on.
   *
   * @return completes with whether it may be taken over
   */
  CompletionStage<Boolean> release(String why) {
    CompletableFuture<Boolean> released = new CompletableFuture<>();
    run(
        () -> {
          if (!isResumable || (state != State.UP && state != State.DETACHED)) {
            released.complete(state == State.MOVED || state == State.ENDED);
            return;
          }
          Leg current = leg;
          leg = null;
          if (state == State.UP) {
            detachedAt = home.now();
            become(State.DETACHED, why);
          }
          if (current != null) {
            current.close(Leg.RESTART, why);
          }
          // What events up to here have led to is among the tasks that come before the next one.
          Map<Integer, Position> dealtWith = home.bus().cursor();
          run(() -> keeping.settle(dealtWith, () -> moved(why), released));
        });
    return released;
  }

  /** Another backend has it, or will have it. */
  void moved(String why) {
    if (state != State.UP && state != State.DETACHED) {
      return;
    }
    become(State.MOVED, why);
    CatchUp catching = catchUp;
    if (catching != null) {
      catching.close();
    }
    Leg current = leg;
    leg = null;
    if (current != null) {
      current.close(Leg.RESTART, why);
    }
    leaveHub("goes on at another backend: " + why);
    home.sessionMoved(this);
    List<CompletableFuture<Void>> ready = List.copyOf(parked);
    parked.clear();
    ready.forEach(next -> next.complete(null));
    ghostMayEnd();
  }

  private void ghostMayEnd() {
    if (state == State.MOVED && calls.isEmpty() && unnamed.isEmpty() && uploads.isEmpty()) {
      become(State.ENDED, "nothing of it runs here any more");
      home.ghostEnded(this);
    }
  }

  // Keeping

  Facts facts(
      boolean isReleased,
      Map<Integer, Position> positions,
      List<HubMessage> beingTaken,
      long receivedUpTo) {
    Map<String, NodeId> running = new HashMap<>(runningElsewhere);
    Map<String, NodeId> open = new HashMap<>(uploadsElsewhere);
    calls.keySet().forEach(callId -> running.put(callId, home.nodeId()));
    uploads.keySet().forEach(uploadId -> open.put(uploadId, home.nodeId()));
    for (HubMessage message : beingTaken) {
      if (message instanceof HubMessage.Invocation m && m.invocationId() != null) {
        running.put(m.invocationId(), home.nodeId());
        m.streamIds().forEach(streamId -> open.put(streamId, home.nodeId()));
      } else if (message instanceof HubMessage.StreamInvocation m) {
        running.put(m.invocationId(), home.nodeId());
        m.streamIds().forEach(streamId -> open.put(streamId, home.nodeId()));
      }
    }
    return new Facts(
        protocol.isBinary(),
        isReleased,
        receivedUpTo,
        Set.copyOf(groups),
        running,
        open,
        positions);
  }

  /** From the keeping: messages up to this number need not come again. */
  void taken(long upTo) {
    taken = upTo;
    if (unacknowledgedBytes > 32 << 10) {
      acknowledge();
    }
  }

  long latestReceived() {
    return latestReceived;
  }

  private void acknowledge() {
    if (leg != null && taken > acknowledged) {
      acknowledged = taken;
      unacknowledgedBytes = 0;
      transmit(new Outgoing(new HubMessage.Ack(taken)));
    }
  }

  // The clock

  void tick(long now) {
    Settings settings = home.settings();
    switch (state) {
      case HANDSHAKE -> {
        if (now - since > settings.handshake().toNanos()) {
          end(Leg.POLICY, "no handshake within " + settings.handshake(), false);
        }
      }
      case DETACHED -> run(() -> tickDetached(now));
      case UP -> run(() -> tickUp(now));
      default -> {}
    }
  }

  private void tickDetached(long now) {
    if (state == State.DETACHED) {
      lookAtOthers();
      if (now - detachedAt > home.settings().resumeWindow().toNanos()) {
        ended(Leg.GOING_AWAY, "it was not resumed within " + home.settings().resumeWindow(), null);
      } else {
        keeping.tick(now);
      }
    }
  }

  private void tickUp(long now) {
    Leg current = leg;
    if (state != State.UP || current == null) {
      return;
    }
    long silent = now - lastHeard;
    if (silent > home.settings().clientTimeout().toNanos()) {
      String reason = "silent for " + TimeUnit.NANOSECONDS.toMillis(silent) + " ms";
      if (isResumable) {
        leg = null;
        current.close(Leg.GOING_AWAY, reason);
        detachedAt = now;
        become(State.DETACHED, reason);
      } else {
        ended(Leg.GOING_AWAY, reason, farewell(reason, true));
      }
      return;
    }
    boolean polls = current instanceof PollLeg mail && !mail.isEventStream();
    if (!polls && now - lastSent > home.settings().pingInterval().toNanos()) {
      transmit(new Outgoing(HubMessage.Ping.INSTANCE));
    }
    if (isResumable) {
      lookAtOthers();
      acknowledge();
      keeping.tick(now);
    }
    unpark();
  }

  /** Ends what ran on backends that are gone. */
  private void lookAtOthers() {
    if (runningElsewhere.isEmpty() && uploadsElsewhere.isEmpty()) {
      return;
    }
    Set<NodeId> others = new HashSet<>(runningElsewhere.values());
    others.addAll(uploadsElsewhere.values());
    others.stream().filter(home.nodes()::isGone).forEach(this::nodeGone);
  }

  private void become(State next, String why) {
    if (state == next) {
      return;
    }
    if (log.isDebugEnabled()) {
      log.debug("connection {} of hub {}: {} -> {}: {}", id, hub.name(), state, next, why);
    }
    state = next;
  }
}
