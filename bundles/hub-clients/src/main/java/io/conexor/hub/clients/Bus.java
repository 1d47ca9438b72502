package io.conexor.hub.clients;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.hub.Audience;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.hub.HubProtocol;
import io.conexor.protocol.msgpack.PackReader;
import io.conexor.protocol.msgpack.PackWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What hubs of different backends tell each other, as events of the topic {@code hub}: a
 * MessagePack array that starts with a letter.
 *
 * <pre>
 *   m hub audience name [except] message    invoke the clients of an audience
 *   g hub connection group join             put it into a group, or out of it
 *   x hub connection reason mayReconnect    close it
 *   r message                               a client's answer, for the node in the key
 *   c connection message                    a call that runs elsewhere, to its client
 *   u connection message                    the client, to a call at the node in the key
 *   p                                       nothing; whether the backplane takes it is the question
 * </pre>
 */
final class Bus implements Backplane.EventListener {
  static final Topic TOPIC = new Topic("hub");

  private static final Logger log = LoggerFactory.getLogger(Bus.class);

  private record Line(Backplane backplane, Subscription subscription) {}

  private final ClientHub home;

  /** By partition, the last event dealt with; written by the listener, read by anyone. */
  private final Map<Integer, Position> cursor = new ConcurrentHashMap<>();

  // Written by declarative services, one at a time; read by anyone. The last one is in use.
  private volatile List<Line> lines = List.of();

  Bus(ClientHub home) {
    this.home = home;
  }

  synchronized void bind(Backplane backplane) {
    List<Line> next = new ArrayList<>(lines);
    next.add(new Line(backplane, backplane.subscribe(TOPIC, Map.of(), this)));
    lines = List.copyOf(next);
  }

  synchronized void unbind(Backplane backplane) {
    List<Line> next = new ArrayList<>(lines);
    for (Line line : lines) {
      if (line.backplane() == backplane) {
        line.subscription().close();
        next.remove(line);
      }
    }
    lines = List.copyOf(next);
  }

  synchronized void close() {
    lines.forEach(line -> line.subscription().close());
    lines = List.of();
  }

  /** The one in use. */
  @Nullable Backplane backplane() {
    List<Line> current = lines;
    return current.isEmpty() ? null : current.get(current.size() - 1).backplane();
  }

  Map<Integer, Position> cursor() {
    return Map.copyOf(cursor);
  }

  // Sending

  CompletionStage<Void> send(String hub, Audience to, HubMessage message) {
    String kind;
    String name;
    Set<String> except = Set.of();
    if (to instanceof Audience.Everyone everyone) {
      kind = "a";
      name = "";
      except = everyone.except();
    } else if (to instanceof Audience.Group group) {
      kind = "g";
      name = group.name();
      except = group.except();
    } else if (to instanceof Audience.User user) {
      kind = "u";
      name = user.subject();
    } else {
      kind = "c";
      name = ((Audience.Connection) to).id();
    }
    return publish(key(hub, kind, name), "m", hub, kind, name, List.copyOf(except), pack(message));
  }

  private static String key(String hub, String kind, String name) {
    return kind.equals("c") ? name : hub + " " + kind + " " + name;
  }

  /** Whether a message to this connection could have been among the events of a partition. */
  private static boolean concerns(Backplane backplane, int partition, ClientSession session) {
    String hub = session.hub().name();
    return isIn(backplane, partition, session.id())
        || isIn(backplane, partition, key(hub, "a", ""))
        || isIn(backplane, partition, key(hub, "u", session.principal().subject()))
        || session.groups().stream()
            .anyMatch(group -> isIn(backplane, partition, key(hub, "g", group)));
  }

  private static boolean isIn(Backplane backplane, int partition, String key) {
    return backplane.partitionOf(TOPIC, key) == partition;
  }

  CompletionStage<Void> group(String hub, String connection, String group, boolean join) {
    return publish(connection, "g", hub, connection, group, join);
  }

  CompletionStage<Void> close(String hub, String connection, String reason, boolean mayReconnect) {
    return publish(connection, "x", hub, connection, reason, mayReconnect);
  }

  void answer(NodeId node, HubMessage.Completion answer) {
    unheard(publish(node.value(), "r", pack(answer)));
  }

  void toClient(String connection, HubMessage message) {
    unheard(publish(connection, "c", connection, pack(message)));
  }

  void toCall(NodeId node, String connection, HubMessage message) {
    unheard(publish(node.value(), "u", connection, pack(message)));
  }

  /** Completes when the backplane takes events that have this node as their key. */
  CompletionStage<Void> probe(NodeId node) {
    return publish(node.value(), "p");
  }

  private static void unheard(CompletionStage<Void> published) {
    var unused =
        published.exceptionally(
            failure -> {
              log.warn("a message between backends may be lost: {}", failure.getMessage());
              return null;
            });
  }

  private static byte[] pack(HubMessage message) {
    return Outgoing.encoded(message, HubProtocol.MESSAGE_PACK);
  }

  private CompletionStage<Void> publish(String key, Object... parts) {
    Backplane backplane = backplane();
    if (backplane == null) {
      return CompletableFuture.failedFuture(
          new BackplaneException(Applied.NO, "there is no backplane now", null));
    }
    GrowingBytes out = new GrowingBytes(256, Backplane.MAX_PAYLOAD);
    try {
      new PackWriter(out).value(Arrays.asList(parts));
    } catch (ProtocolException e) {
      return CompletableFuture.failedFuture(
          new ConexorException(
              Blame.CALLER,
              Applied.NO,
              "message_too_large",
              "a message for other backends has at most " + Backplane.MAX_PAYLOAD + " bytes"));
    }
    return backplane.publish(TOPIC, key, out.toByteArray()).thenApply(position -> null);
  }

  // Receiving

  @Override
  public void starts(Position after) {
    cursor.putIfAbsent(after.partition(), after);
  }

  @Override
  public void event(Event event) {
    try {
      dispatch(event, null);
    } catch (ProtocolException | ClassCastException | IndexOutOfBoundsException e) {
      log.warn("an event of {} at {} is not understood", event.from(), event.position(), e);
    } finally {
      cursor.put(event.position().partition(), event.position());
    }
  }

  @Override
  public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
    log.warn("messages between backends are missing from {} to {}", lastSeen, resumesAt);
    cursor.put(resumesAt.partition(), resumesAt);
    Backplane backplane = backplane();
    int partition = resumesAt.partition();
    home.missed(session -> backplane == null || concerns(backplane, partition, session));
  }

  /**
   * @param only when not null, whom alone it may reach
   */
  void dispatch(Event event, @Nullable ClientSession only) {
    List<?> parts = (List<?>) new PackReader(event.payload()).value();
    if (parts == null) {
      return;
    }
    Position at = event.position();
    switch ((String) parts.get(0)) {
      case "m" -> {
        ServedHub hub = home.hub((String) parts.get(1));
        if (hub != null) {
          List<?> except = (List<?>) parts.get(4);
          Outgoing message = new Outgoing(unpack(parts.get(5)));
          for (ClientSession session :
              hub.members((String) parts.get(2), (String) parts.get(3), only)) {
            if (!except.contains(session.id())) {
              session.event(at, only != null, () -> session.deliver(message, at));
            }
          }
        }
      }
      case "g", "x" -> {
        ClientSession session = home.session((String) parts.get(2));
        if (session != null && (only == null || only == session)) {
          String text = (String) parts.get(3);
          boolean flag = (Boolean) parts.get(4);
          session.event(
              at,
              only != null,
              parts.get(0).equals("x")
                  ? () -> session.close(text, flag)
                  : flag ? () -> session.join(text) : () -> session.leave(text));
        }
      }
      case "c" -> {
        ClientSession session = home.session((String) parts.get(1));
        if (session != null && (only == null || only == session)) {
          HubMessage message = unpack(parts.get(2));
          session.event(at, only != null, () -> session.fromElsewhere(message, at));
        }
      }
      case "r" -> {
        if (only == null && event.key().equals(home.nodeId().value())) {
          home.answered((HubMessage.Completion) unpack(parts.get(1)));
        }
      }
      case "u" -> {
        ClientSession ghost = home.ghost((String) parts.get(1));
        if (only == null && ghost != null && event.key().equals(home.nodeId().value())) {
          ghost.fromClientElsewhere(unpack(parts.get(2)));
        }
      }
      case "p" -> log.trace("a probe of {}", event.from());
      default -> log.debug("an event of a newer backend was left out: {}", parts.get(0));
    }
  }

  private static HubMessage unpack(@Nullable Object bytes) {
    byte[] message = (byte[]) bytes;
    if (message == null) {
      throw new ProtocolException("a message is missing", 0);
    }
    return HubProtocol.MESSAGE_PACK.decode(message, 0, message.length).get(0);
  }
}
