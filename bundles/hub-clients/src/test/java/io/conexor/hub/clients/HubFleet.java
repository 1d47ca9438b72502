package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Secret;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.access.Tokens;
import io.conexor.api.access.UserId;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.http.WebSocketRoute;
import io.conexor.api.hub.InMemoryResumeStore;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.backplane.memory.MemoryNetwork;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Several backends in one process: the product's own HTTP server, a hub for clients and an {@link
 * EchoHub} each, and one memory network between them.
 */
final class HubFleet implements AutoCloseable {
  static final String KEY = "mcp_one";
  static final String OTHER_KEY = "mcp_two";
  static final String AGENT_KEY = "pk_agent";

  /** What the backends share. */
  interface Shared extends AutoCloseable {
    Backplane backplane(NodeId node);

    Optional<ResumeStore> store(NodeId node);

    /** The node's process is gone: it reaches nothing of this any more. */
    void kill(NodeId node);

    @Override
    void close();
  }

  final InMemoryResumeStore store = new InMemoryResumeStore();
  final ScriptedAccess access = new ScriptedAccess();
  final List<Backend> backends = new ArrayList<>();
  private final Map<String, Object> settings = new HashMap<>();
  private final Shared shared;

  HubFleet(int size, boolean hasStore, Map<String, Object> settings) throws Exception {
    this(size, settings, null, hasStore);
  }

  HubFleet(int size, Map<String, Object> settings, Shared shared) throws Exception {
    this(size, settings, shared, true);
  }

  private HubFleet(int size, Map<String, Object> settings, Shared given, boolean hasStore)
      throws Exception {
    this.shared = given == null ? new InMemory(hasStore) : given;
    this.settings.putAll(settings);
    for (int i = 0; i < size; i++) {
      add();
    }
  }

  Backend add() throws Exception {
    Backend backend = new Backend(0);
    backends.add(backend);
    return backend;
  }

  Backend backend(int index) {
    return backends.get(index);
  }

  /** The hub's settings as a configuration gives them. */
  static Settings settings(Map<String, Object> values) {
    return Settings.checked(proxy(Settings.Config.class, values));
  }

  private static <T> T proxy(Class<T> type, Map<String, Object> values) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, args) ->
                values.getOrDefault(method.getName(), method.getDefaultValue())));
  }

  @Override
  public void close() throws Exception {
    for (Backend backend : backends) {
      backend.close();
    }
    shared.close();
  }

  private final class InMemory implements Shared {
    private final MemoryNetwork network = new MemoryNetwork();
    private final boolean hasStore;

    InMemory(boolean hasStore) {
      this.hasStore = hasStore;
    }

    @Override
    public Backplane backplane(NodeId node) {
      return network.node(node);
    }

    @Override
    public Optional<ResumeStore> store(NodeId node) {
      return hasStore ? Optional.of(store) : Optional.empty();
    }

    @Override
    public void kill(NodeId node) {
      network.kill(node);
    }

    @Override
    public void close() {
      network.close();
    }
  }

  /** One backend. */
  final class Backend implements AutoCloseable {
    final Node node;
    final ClientHub hub;
    final EchoHub echo;
    private final Object server;
    private final Optional<ResumeStore> ownStore;
    private boolean closed;

    Backend(int port) throws Exception {
      Class<?> type = Class.forName("io.conexor.http.JettyServer");
      Constructor<?> constructor = type.getConstructors()[0];
      Class<?> nodeType = constructor.getParameterTypes()[0];
      node = (Node) nodeType.getConstructor().newInstance();
      server =
          constructor.newInstance(
              node,
              proxy(constructor.getParameterTypes()[1], Map.of("host", "127.0.0.1", "port", port)));
      hub = new ClientHub(access, new KeyedTokens(), node, HubFleet.settings(settings));
      hub.bindBackplane(shared.backplane(node.id()));
      ownStore = shared.store(node.id());
      ownStore.ifPresent(hub::bindStore);
      echo = new EchoHub(node.id().value());
      hub.addHub(echo);
      call("addRoute", new Class<?>[] {HttpRoute.class, Map.class}, hub, Map.of());
      call(
          "addSockets",
          new Class<?>[] {WebSocketRoute.class, Map.class},
          new ClientSockets(hub),
          Map.of());
    }

    int port() throws Exception {
      return (Integer) call("port", new Class<?>[0]);
    }

    String url() throws Exception {
      return "http://127.0.0.1:" + port() + "/hub/echo";
    }

    /** As a crash: nothing is told to anybody, nothing is saved any more. */
    void kill() throws Exception {
      if (!closed) {
        closed = true;
        ownStore.ifPresent(hub::unbindStore);
        hub.bindStore(unreachable());
        shared.kill(node.id());
        call("close", new Class<?>[0]);
      }
    }

    private static ResumeStore unreachable() {
      InMemoryResumeStore nothing = new InMemoryResumeStore();
      nothing.down(true);
      return nothing;
    }

    @Override
    public void close() throws Exception {
      if (!closed) {
        closed = true;
        hub.close();
        call("close", new Class<?>[0]);
      }
    }

    private Object call(String name, Class<?>[] types, Object... arguments) throws Exception {
      Method method = server.getClass().getDeclaredMethod(name, types);
      method.setAccessible(true);
      return method.invoke(server, arguments);
    }
  }

  /** Knows a few keys, any of which can be revoked. */
  static final class ScriptedAccess implements Access {
    private static final OrgId ORG = new OrgId(UUID.randomUUID());
    private final Map<String, Principal> keys = new ConcurrentHashMap<>();

    ScriptedAccess() {
      keys.put(KEY, token());
      keys.put(OTHER_KEY, token());
      keys.put(
          AGENT_KEY,
          new Principal.AgentKey(ORG, KeyId.random(), new AgentId(UUID.randomUUID()), "berlin"));
    }

    private static Principal token() {
      return new Principal.AdminToken(ORG, KeyId.random(), "test");
    }

    void revoke(String key) {
      keys.remove(key);
    }

    @Override
    public CompletionStage<Authentication> authenticate(Credential credential) {
      Principal found = null;
      if (credential instanceof Credential.ApiKey key) {
        found = keys.get(key.key().reveal());
      } else if (credential instanceof Credential.Login login) {
        found =
            new Principal.User(
                ORG,
                new UserId(UUID.nameUUIDFromBytes(login.session().value().getBytes(UTF_8))),
                "someone@example.org",
                Role.MEMBER,
                login.session());
      }
      return CompletableFuture.completedFuture(
          found == null
              ? new Authentication.Refused("the key is not known")
              : new Authentication.Granted(found));
    }

    @Override
    public CompletionStage<SignIn> signIn(String email, Secret password, String remoteAddress) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<Boolean> needsSetup() {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<Optional<OrgId>> setUp(
        Secret setupToken, String orgSlug, String orgName, String email, Secret password) {
      throw new UnsupportedOperationException();
    }
  }

  /** Tokens with a digest over a fixed key; what they are made of is tested where they are made. */
  static final class KeyedTokens implements Tokens {
    @Override
    public String issue(String purpose, byte[] claims, Duration timeToLive) {
      byte[] token = Arrays.copyOf(claims, claims.length + 32);
      System.arraycopy(digest(purpose, claims), 0, token, claims.length, 32);
      return Base64.getUrlEncoder().withoutPadding().encodeToString(token);
    }

    @Override
    public Optional<byte[]> verify(String purpose, String token) {
      byte[] bytes;
      try {
        bytes = Base64.getUrlDecoder().decode(token);
      } catch (IllegalArgumentException e) {
        return Optional.empty();
      }
      if (bytes.length < 32) {
        return Optional.empty();
      }
      byte[] claims = Arrays.copyOf(bytes, bytes.length - 32);
      byte[] mac = Arrays.copyOfRange(bytes, bytes.length - 32, bytes.length);
      return Arrays.equals(mac, digest(purpose, claims)) ? Optional.of(claims) : Optional.empty();
    }

    private static byte[] digest(String purpose, byte[] claims) {
      try {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update(("fixed " + purpose).getBytes(UTF_8));
        return digest.digest(claims);
      } catch (java.security.NoSuchAlgorithmException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
