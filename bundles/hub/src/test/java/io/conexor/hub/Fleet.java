package io.conexor.hub;

import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.WebSocketPeer;
import io.conexor.api.http.WebSocketRoute.Admission;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubProtocol;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** A hub with everything around it played by scripts: keys, directory, node, clock and sockets. */
final class Fleet {
  static final OrgId ORG = new OrgId(UUID.randomUUID());
  static final AgentHub.Settings SETTINGS =
      new AgentHub.Settings(
          Duration.ofSeconds(1),
          Duration.ofSeconds(3),
          Duration.ofSeconds(5),
          1 << 20,
          100_000,
          100,
          4,
          Duration.ofSeconds(2));

  final ScriptedAccess access = new ScriptedAccess();
  final ScriptedDirectory directory = new ScriptedDirectory();
  final ScriptedNode node = new ScriptedNode();
  final Heard heard = new Heard();
  long nanos;
  final AgentHub hub = new AgentHub(access, directory, node, SETTINGS, () -> nanos, false);

  /** Moves the clock on in steps as the hub's own thread would. */
  void pass(Duration duration) {
    long end = nanos + duration.toNanos();
    while (nanos < end) {
      nanos = Math.min(end, nanos + 100_000_000L);
      hub.tick();
    }
  }

  Admission admit(Map<String, String> headers) {
    return hub.admit(exchange(headers)).toCompletableFuture().join();
  }

  /** An agent which is admitted with this key and has opened its socket. */
  Peer dial(String key) {
    Admission admission = admit(Map.of("X-API-Key", key));
    Connection connection = (Connection) ((Admission.Accepted) admission).handler();
    Peer peer = new Peer(connection);
    connection.opened(peer);
    return peer;
  }

  /** An agent with a link that is up. */
  Peer attach(String key, UUID process, long epoch) {
    Peer peer = dial(key);
    peer.handshake();
    peer.hello(process, epoch);
    return peer;
  }

  private static HttpExchange exchange(Map<String, String> headers) {
    return (HttpExchange)
        Proxy.newProxyInstance(
            Fleet.class.getClassLoader(),
            new Class<?>[] {HttpExchange.class},
            (proxy, method, args) ->
                switch (method.getName()) {
                  case "header" -> Optional.ofNullable(headers.get((String) args[0]));
                  case "remoteAddress" -> "192.0.2.1";
                  default -> throw new AssertionError(method);
                });
  }

  /** The agent's end of a socket. */
  static final class Peer implements WebSocketPeer {
    final Connection connection;
    final List<byte[]> written = new CopyOnWriteArrayList<>();
    final List<Consumer<Throwable>> stuck = new ArrayList<>();
    boolean isStuck;
    Integer closeCode;
    String closeReason;

    Peer(Connection connection) {
      this.connection = connection;
    }

    void closed(int code) {
      closeCode = code;
      connection.closed(code, "");
    }

    void handshake() {
      receive(Handshake.request(HubProtocol.MESSAGE_PACK, 1));
    }

    void hello(UUID process, long epoch, AgentMessage.Source... sources) {
      say(
          new AgentMessage.Hello(
              1, "0.1.0", process.toString(), "berlin-3", List.of(sources), epoch));
    }

    void say(AgentMessage message) {
      receive(bytes(message));
    }

    void receive(byte[] bytes) {
      connection.binary(ByteBuffer.wrap(bytes));
    }

    /** What the hub has said so far, the handshake's answer left out. */
    List<AgentMessage> heard() {
      List<AgentMessage> messages = new ArrayList<>();
      for (byte[] bytes : written) {
        if (bytes[0] == '{') {
          continue;
        }
        FrameReader frames = new FrameReader().reset(bytes, 0, bytes.length);
        while (frames.next()) {
          messages.add(AgentDecoder.fromBackend(frames));
        }
      }
      return messages;
    }

    <T extends AgentMessage> List<T> heard(Class<T> type) {
      return heard().stream().filter(type::isInstance).map(type::cast).toList();
    }

    @Override
    public void sendBinary(ByteBuffer message, Consumer<Throwable> done) {
      byte[] bytes = new byte[message.remaining()];
      message.get(bytes);
      written.add(bytes);
      if (isStuck) {
        stuck.add(done);
      } else {
        done.accept(null);
      }
    }

    @Override
    public void sendText(String message, Consumer<Throwable> done) {
      throw new AssertionError("agents get binary messages");
    }

    @Override
    public void close(int code, String reason) {
      if (closeCode == null) {
        closeCode = code;
        closeReason = reason;
        connection.closed(code, reason);
      }
    }

    @Override
    public String remoteAddress() {
      return "192.0.2.1";
    }
  }

  static byte[] bytes(AgentMessage message) {
    GrowingBytes out = new GrowingBytes(0, 1 << 20);
    new AgentEncoder(out).message(message);
    return out.toByteArray();
  }

  /** What a listener heard, as sentences. */
  static final class Heard implements LocalLinks.Listener {
    final List<String> events = new CopyOnWriteArrayList<>();
    Consumer<ByteBuffer> onMessage = message -> {};

    @Override
    public void opened(AgentLink link) {
      events.add("opened " + link.id());
    }

    @Override
    public void message(AgentLink link, ByteBuffer message) {
      events.add("message " + link.id() + " " + message.remaining());
      onMessage.accept(message);
    }

    @Override
    public void closed(AgentLink link, String reason) {
      events.add("closed " + link.id() + " " + reason);
    }
  }

  static final class ScriptedAccess implements Access {
    final Map<String, CompletionStage<Authentication>> answers = new HashMap<>();

    AgentId agent(String key) {
      AgentId agent = AgentId.random();
      answers.put(
          key,
          CompletableFuture.completedFuture(
              new Authentication.Granted(
                  new Principal.AgentKey(ORG, new KeyId(UUID.randomUUID()), agent, "berlin-3"))));
      return agent;
    }

    void refuse(String key, String reason) {
      answers.put(key, CompletableFuture.completedFuture(new Authentication.Refused(reason)));
    }

    @Override
    public CompletionStage<Authentication> authenticate(Credential credential) {
      String key = ((Credential.ApiKey) credential).key().reveal();
      return answers.getOrDefault(
          key,
          CompletableFuture.completedFuture(new Authentication.Refused("the key is not known")));
    }

    @Override
    public CompletionStage<SignIn> signIn(String email, Secret password, String address) {
      throw new AssertionError();
    }

    @Override
    public CompletionStage<Boolean> needsSetup() {
      throw new AssertionError();
    }

    @Override
    public CompletionStage<Optional<OrgId>> setUp(
        Secret token, String slug, String name, String email, Secret password) {
      throw new AssertionError();
    }
  }

  static final class ScriptedDirectory implements AgentDirectory {
    final Map<LinkId, Attachment> attached = new LinkedHashMap<>();
    final Map<LinkId, String> withdrawn = new ConcurrentHashMap<>();
    volatile int fleetSize = 1;

    @Override
    public List<Attachment> serving(OrgId org, String source) {
      throw new AssertionError();
    }

    @Override
    public List<Attachment> attached(OrgId org) {
      throw new AssertionError();
    }

    @Override
    public synchronized List<Attachment> attached() {
      return List.copyOf(attached.values());
    }

    @Override
    public int fleetSize() {
      return fleetSize;
    }

    @Override
    public synchronized void announce(Attachment attachment) {
      attached.put(attachment.link(), attachment);
    }

    @Override
    public synchronized void withdraw(LinkId link, String reason) {
      attached.remove(link);
      withdrawn.put(link, reason);
    }

    @Override
    public Subscription onChange(Consumer<OrgId> listener) {
      throw new AssertionError();
    }
  }

  static final class ScriptedNode implements Node {
    private final NodeId id = new NodeId("node-1");
    private final Collection<Consumer<State>> listeners = new CopyOnWriteArrayList<>();
    volatile State state = State.SERVING;

    @Override
    public NodeId id() {
      return id;
    }

    @Override
    public String version() {
      return "0.1.0";
    }

    @Override
    public Instant startedAt() {
      return Instant.EPOCH;
    }

    @Override
    public State state() {
      return state;
    }

    @Override
    public Subscription onState(Consumer<State> listener) {
      listeners.add(listener);
      return () -> listeners.remove(listener);
    }

    @Override
    public CompletionStage<Void> drain(Duration limit) {
      state = State.DRAINING;
      listeners.forEach(listener -> listener.accept(state));
      return CompletableFuture.completedFuture(null);
    }
  }
}
