package io.conexor.hub;

import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.hub.HubProtocol;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One link of an agent, from its handshake to its end. Mutable state belongs to the receiver's
 * calls, of which there is one at a time; {@link #attachment} and {@link #send} are for any thread.
 */
final class AgentSession implements Connection.Receiver, AgentLink {
  private static final Logger log = LoggerFactory.getLogger(AgentSession.class);

  private static final byte[] PING = encoded(AgentMessage.Ping.INSTANCE);

  private enum State {
    HANDSHAKE,
    HELLO,
    UP,
    ENDED
  }

  private final AgentHub hub;
  private final Principal.AgentKey principal;
  private final Credential credential;
  private final long since;
  private final FrameReader frames = new FrameReader();

  private State state = State.HANDSHAKE;
  private @Nullable Connection connection;
  private LocalLinks.@Nullable Listener introducedTo;

  /** As the agent's last heartbeat said, and who was told so. */
  private List<String> held = List.of();

  private LocalLinks.@Nullable Listener heldToldTo;

  /** Written once, on the way to UP; read by any thread afterwards. */
  private volatile @Nullable LinkId id;

  /** Written by the receiver's calls, read by any thread. */
  private volatile @Nullable Attachment attachment;

  AgentSession(AgentHub hub, Principal.AgentKey principal, Credential credential, long now) {
    this.hub = hub;
    this.principal = principal;
    this.credential = credential;
    this.since = now;
  }

  Principal.AgentKey principal() {
    return principal;
  }

  Credential credential() {
    return credential;
  }

  /** Nano time at which it was admitted. */
  long since() {
    return since;
  }

  boolean isUp() {
    return attachment != null;
  }

  @Override
  public LinkId id() {
    LinkId current = id;
    if (current == null) {
      throw new IllegalStateException("the link is not up");
    }
    return current;
  }

  @Override
  public Attachment attachment() {
    Attachment current = attachment;
    if (current == null) {
      throw new IllegalStateException("the link is not up");
    }
    return current;
  }

  @Override
  public boolean send(byte[] bytes, int offset, int length) {
    return socket().send(bytes, offset, length);
  }

  @Override
  public void close(String reason) {
    end(Connection.NORMAL, reason, true);
  }

  /** Ends it from any thread; the agent is told the reason and whether to come back. */
  void end(int code, String reason, boolean allowReconnect) {
    socket().endWith(code, reason, farewell(reason, allowReconnect));
  }

  /** From any thread. */
  void send(AgentMessage message) {
    byte[] bytes = encoded(message);
    send(bytes, 0, bytes.length);
  }

  void ping() {
    send(PING, 0, PING.length);
  }

  @Override
  public void opened(Connection newConnection) {
    connection = newConnection;
    hub.sessionOpened(newConnection, this);
  }

  @Override
  public byte[] farewell(String error, boolean allowReconnect) {
    // The handshake has an error of its own; afterwards it is the close message. State may be read
    // by another thread
    // here: the worst is a close message to an agent that still waits for the handshake, and the
    // close frame says it too.
    return state == State.HANDSHAKE
        ? Handshake.response(error)
        : encoded(new AgentMessage.Close(error, allowReconnect));
  }

  @Override
  public void received(byte[] bytes, int offset, int length) {
    int from = offset;
    int left = length;
    if (state == State.HANDSHAKE) {
      Handshake.Request request = Handshake.readRequest(bytes, offset, length);
      if (request.protocol() != HubProtocol.MESSAGE_PACK) {
        throw new ProtocolException("agents speak messagepack", 0);
      }
      byte[] response = Handshake.response(null);
      send(response, 0, response.length);
      become(State.HELLO, "the handshake was well");
      from += request.length();
      left -= request.length();
    }
    frames.reset(bytes, from, left);
    ByteBuffer view = null;
    LocalLinks.Listener told = null;
    while (socket().isOpen() && frames.next()) {
      int type = frames.type();
      if (type == HubMessage.STREAM_ITEM || type == HubMessage.COMPLETION) {
        if (state != State.UP) {
          throw new ProtocolException("a hello has to come first", 0);
        }
        LocalLinks.Listener listener = introduce();
        if (listener != null) {
          if (view == null) {
            view = ByteBuffer.wrap(bytes);
          }
          view.limit(frames.end()).position(frames.start());
          listener.message(this, view);
          told = listener;
        }
      } else {
        handle(AgentDecoder.fromAgent(frames));
      }
    }
    if (told != null) {
      told.idle(this);
    }
  }

  @Override
  public void ended(String reason) {
    boolean wasUp = state == State.UP;
    become(State.ENDED, reason);
    if (connection != null) { // an upgrade that failed closes a socket that never opened
      hub.sessionEnded(connection);
    }
    LinkId ended = id;
    if (wasUp && ended != null) {
      hub.linkDown(this, ended, reason);
      if (introducedTo != null) {
        introducedTo.closed(this, reason);
      }
    }
  }

  private void handle(AgentMessage.@Nullable FromAgent message) {
    if (message instanceof AgentMessage.Heartbeat heartbeat) {
      if (state != State.UP) {
        throw new ProtocolException("a hello has to come first", 0);
      }
      LocalLinks.Listener listener = introduce();
      heartbeat(heartbeat);
      if (listener != null) {
        held(listener, heartbeat.held());
      }
    } else if (message instanceof AgentMessage.Hello hello) {
      hello(hello);
    } else if (message instanceof AgentMessage.Closing closing) {
      Attachment current = attachment;
      if (current != null && !current.isClosing()) {
        log.info("link {}: agent '{}' drains: {}", id, principal.agentName(), closing.reason());
        update(current, true, current.inFlight(), current.sources());
      }
    } else if (message instanceof AgentMessage.Close close) {
      String error = close.error();
      socket()
          .end(
              Connection.NORMAL,
              error == null ? "the agent closed it" : "the agent closed it: " + error);
    }
    // A ping has done its work by arriving; what is unknown is of a newer version.
  }

  private void hello(AgentMessage.Hello hello) {
    if (hello.wireVersion() != AgentWire.VERSION) {
      String older = hello.wireVersion() < AgentWire.VERSION ? "the agent" : "the backend";
      end(
          Connection.POLICY,
          "the agent speaks wire version %d, this backend %d: upgrade %s"
              .formatted(hello.wireVersion(), AgentWire.VERSION, older),
          false);
      return;
    }
    UUID process = uuid(hello.processId());
    List<SourceOffer> offers = offers(hello.sources());
    Attachment current = attachment;
    if (current != null) {
      if (!current.process().equals(process)) {
        throw new ProtocolException("a link can not change its process", 0);
      }
      update(current, current.isClosing(), current.inFlight(), offers);
      return;
    }
    LinkId newId = hub.nextLinkId();
    Attachment first =
        new Attachment(
            principal.org(),
            principal.agent(),
            principal.agentName(),
            hello.agentVersion(),
            process,
            hub.nodeId(),
            newId,
            hello.epoch(),
            hub.now(),
            false,
            0,
            offers);
    id = newId;
    if (!hub.linkUp(this, first)) {
      end(Connection.POLICY, "a newer link of the same agent process is open already", true);
      return;
    }
    attachment = first;
    become(
        State.UP,
        "agent '%s' %s, process %s, %d sources"
            .formatted(principal.agentName(), hello.agentVersion(), process, offers.size()));
    send(hub.welcome(this));
    if (hub.isDraining()) {
      send(new AgentMessage.Closing(AgentHub.DRAINING));
    }
    introduce();
    hub.announce(first);
  }

  private void heartbeat(AgentMessage.Heartbeat heartbeat) {
    Attachment current = attachment();
    Map<String, AgentMessage.SourceState> states = new HashMap<>();
    heartbeat.sources().forEach(state -> states.put(state.name(), state));
    List<SourceOffer> offers = new ArrayList<>(current.sources().size());
    for (SourceOffer offer : current.sources()) {
      AgentMessage.SourceState told = states.get(offer.name());
      offers.add(told == null ? offer : withState(offer, state(told.state()), told.reason()));
    }
    update(current, current.isClosing(), heartbeat.inFlight(), offers);
  }

  private void held(LocalLinks.Listener listener, List<String> now) {
    if (!now.equals(held) || listener != heldToldTo) {
      held = now;
      heldToldTo = listener;
      listener.held(this, now.stream().map(AgentSession::uuid).toList());
    }
  }

  private void update(
      Attachment current, boolean isClosing, int inFlight, List<SourceOffer> sources) {
    Attachment next =
        new Attachment(
            current.org(),
            current.agent(),
            current.agentName(),
            current.agentVersion(),
            current.process(),
            current.node(),
            current.link(),
            current.epoch(),
            current.since(),
            isClosing,
            inFlight,
            sources);
    if (!next.equals(current)) {
      attachment = next;
      hub.announce(next);
    }
  }

  /** Tells a listener about this link before it hears anything else of it. */
  private LocalLinks.@Nullable Listener introduce() {
    LocalLinks.Listener listener = hub.listener();
    if (listener != introducedTo) {
      introducedTo = listener;
      if (listener != null) {
        listener.opened(this);
      }
    }
    return listener;
  }

  private Connection socket() {
    Connection current = connection;
    if (current == null) {
      throw new IllegalStateException("the socket is not open");
    }
    return current;
  }

  private void become(State next, String why) {
    if (state == next) {
      return;
    }
    if (next == State.UP) {
      log.info("link {} -> UP: {}, from {}", id, why, socket().remoteAddress());
    } else if (state == State.UP) {
      log.info("link {} -> ENDED: agent '{}': {}", id, principal.agentName(), why);
    } else {
      log.debug("agent '{}': {} -> {}: {}", principal.agentName(), state, next, why);
    }
    state = next;
  }

  private static List<SourceOffer> offers(List<AgentMessage.Source> sources) {
    List<SourceOffer> offers = new ArrayList<>(sources.size());
    for (AgentMessage.Source source : sources) {
      String reason = source.stateReason();
      offers.add(
          new SourceOffer(
              source.name(),
              source.engine(),
              source.productVersion(),
              source.readOnly(),
              source.maxRows(),
              source.maxBytes(),
              source.maxConcurrent(),
              state(source.state()),
              reason == null ? "" : reason));
    }
    return offers;
  }

  private static SourceOffer withState(
      SourceOffer offer, SourceOffer.State state, @Nullable String reason) {
    return new SourceOffer(
        offer.name(),
        offer.engine(),
        offer.productVersion(),
        offer.isReadOnly(),
        offer.maxRows(),
        offer.maxBytes(),
        offer.maxConcurrent(),
        state,
        reason == null ? "" : reason);
  }

  private static SourceOffer.State state(String name) {
    return switch (name) {
      case "UP" -> SourceOffer.State.UP;
      case "DOWN" -> SourceOffer.State.DOWN;
      default -> SourceOffer.State.UNKNOWN; // including what a newer agent may say
    };
  }

  private static UUID uuid(String text) {
    try {
      return UUID.fromString(text);
    } catch (IllegalArgumentException e) {
      throw new ProtocolException("the ids of processes and queries have to be UUIDs", 0);
    }
  }

  private static byte[] encoded(AgentMessage message) {
    GrowingBytes out = new GrowingBytes(128, AgentWire.MAX_MESSAGE_BYTES);
    new AgentEncoder(out).message(message);
    return out.toByteArray();
  }
}
