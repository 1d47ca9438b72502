package io.conexor.agent.link;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.link.BackendLinks.Handler;
import io.conexor.api.link.BackendLinks.Status;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubProtocol;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps one link alive. All state belongs to the owner thread, on which every method here runs;
 * what sockets tell hops onto it.
 */
final class Link implements Session.Events {
  private static final Logger log = LoggerFactory.getLogger(Link.class);

  enum State {
    DOWN,
    CONNECTING,
    UP,
    /**
     * The backend drains: calls under way are finished, and another link takes this one's place.
     */
    CLOSING
  }

  private final int number;
  private final Links links;

  private State state = State.DOWN;
  private String node = "";
  private String reason = "not yet dialled";
  private int failures;
  private @Nullable Session session;
  private long dialledAt;
  private long lastHeartbeat;
  private Duration heartbeat = Duration.ofSeconds(1);

  /** Nano time of the next dial, while DOWN. */
  private long retryAt;

  Link(int number, Links links, long now) {
    this.number = number;
    this.links = links;
    this.retryAt = now;
  }

  State state() {
    return state;
  }

  int number() {
    return number;
  }

  String node() {
    return node;
  }

  Status status() {
    return new Status(number, state.name(), node, reason);
  }

  boolean isDue(long now) {
    return state == State.DOWN && now - retryAt >= 0;
  }

  void dial(Socket.Dialer dialer, Handler handler, String linked) {
    Session dialled =
        new Session(handler, this, links.settings().maxOutboundBytes(), links.nanoTime());
    session = dialled;
    dialledAt = links.now();
    become(State.CONNECTING, "dialling");
    var unused =
        dialer
            .dial(linked, dialled)
            .whenComplete((socket, failure) -> links.run(() -> dialled(dialled, socket, failure)));
  }

  private void dialled(Session dialled, @Nullable Socket socket, @Nullable Throwable failure) {
    if (socket == null) {
      Throwable cause =
          failure instanceof CompletionException && failure.getCause() != null
              ? failure.getCause()
              : failure;
      onDown(
          dialled,
          String.valueOf(cause == null ? "no connection" : cause.getMessage()),
          cause instanceof DialException e && e.isAlreadyLinked());
      return;
    }
    if (session != dialled) {
      socket.abort(); // it was given up meanwhile
      return;
    }
    dialled.start(socket);
    byte[] handshake = Handshake.request(HubProtocol.MESSAGE_PACK, 1);
    GrowingBytes out = new GrowingBytes(512, AgentWire.MAX_MESSAGE_BYTES);
    out.put(handshake);
    new AgentEncoder(out).message(links.hello());
    dialled.send(out.array(), 0, out.size());
  }

  @Override
  public void welcome(Session from, AgentMessage.Welcome welcome) {
    links.run(() -> onWelcome(from, welcome));
  }

  @Override
  public void closing(Session from, String why) {
    links.run(() -> onClosing(from, why));
  }

  @Override
  public void down(Session from, String why) {
    links.run(() -> onDown(from, why, false));
  }

  private void onWelcome(Session from, AgentMessage.Welcome welcome) {
    if (from != session) {
      return;
    }
    if (welcome.wireVersion() != AgentWire.VERSION) {
      from.abort("the backend speaks wire version " + welcome.wireVersion());
      return;
    }
    node = welcome.nodeId();
    heartbeat = Duration.ofMillis(Math.max(100, welcome.heartbeatMillis()));
    if (state == State.CONNECTING) {
      failures = 0;
      lastHeartbeat = links.now() - heartbeat.toNanos(); // the first one is due
      become(State.UP, "node %s, fleet of %d".formatted(node, welcome.fleetSize()));
      if (links.isDraining()) {
        send(Links.CLOSING); // it was being dialled when the drain began
      }
    }
    links.fleetIs(welcome.fleetSize());
  }

  private void onClosing(Session from, String why) {
    if (from == session && state == State.UP) {
      become(State.CLOSING, "node %s drains: %s".formatted(node, why));
      links.changed();
    }
  }

  private void onDown(Session from, String why, boolean isAlreadyLinked) {
    if (from != session) {
      return;
    }
    session = null;
    State before = state;
    String from1 = node.isEmpty() ? "" : "node " + node + ": ";
    node = "";
    Duration delay = links.settings().backoff().next(failures++);
    retryAt = links.now() + delay.toNanos();
    String text = "%s%s; retry in %d ms".formatted(from1, why, delay.toMillis());
    boolean isWorthTelling =
        before != State.CONNECTING || (!isAlreadyLinked && Integer.bitCount(failures) == 1);
    if (isWorthTelling) {
      log.warn(
          "link {} -> DOWN: {}{}", number, text, failures > 1 ? " (attempt " + failures + ")" : "");
    }
    state = State.DOWN;
    reason = text;
    links.changed();
  }

  /** Liveness, the time limit of dialling, heartbeats. */
  void tick(long now, boolean mayBlame) {
    Session current = session;
    if (current == null) {
      return;
    }
    long silent = current.silentNanos(now);
    if (state == State.CONNECTING) {
      if (now - dialledAt > links.settings().connectTimeout().toNanos() * 2) {
        giveUp(current, "no welcome within %d ms".formatted(NANOSECONDS.toMillis(now - dialledAt)));
      }
    } else if (mayBlame && silent > links.settings().liveness().toNanos()) {
      giveUp(current, "silent for %d ms".formatted(NANOSECONDS.toMillis(silent)));
    } else if (now - lastHeartbeat >= heartbeat.toNanos()) {
      lastHeartbeat = now;
      send(links.heartbeat());
    }
  }

  private void giveUp(Session current, String why) {
    onDown(current, why, false);
    current.abort(why);
  }

  /** Sends if there is a welcome already. */
  void send(AgentMessage message) {
    Session current = session;
    if (current != null && (state == State.UP || state == State.CLOSING)) {
      byte[] bytes = links.encoded(message);
      current.send(bytes, 0, bytes.length);
    }
  }

  void close(String why) {
    Session current = session;
    session = null;
    if (current != null) {
      become(State.DOWN, why);
      current.close(why);
    }
  }

  private void become(State next, String why) {
    if (state == next) {
      return;
    }
    if (next == State.CONNECTING) {
      log.debug("link {} -> {}: {}", number, next, why);
    } else {
      log.info("link {} -> {}: {}", number, next, why);
    }
    state = next;
    reason = why;
    links.publish();
  }
}
