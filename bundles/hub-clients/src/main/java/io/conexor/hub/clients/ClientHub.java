package io.conexor.hub.clients;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.http.WebSocketRoute.Admission;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.json.JsonWriter;
import java.net.URI;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The SignalR endpoint: {@code /hub/NAME} for each contributed hub. It owns the connections of this
 * backend and its clock; whoever may be asked what is in the package's picture.
 */
@Component(
    service = {HttpRoute.class, ClientHub.class},
    configurationPid = Settings.PID)
@Designate(ocd = Settings.Config.class)
public final class ClientHub implements HttpRoute {
  private static final Logger log = LoggerFactory.getLogger(ClientHub.class);

  private static final String PATH = "/hub";
  private static final String DRAINING = "the backend is shutting down";
  private static final Duration TICK = Duration.ofMillis(250);
  private static final Duration MAIL_LINGER = Duration.ofSeconds(10);
  private static final Duration DRAIN_SPREAD = Duration.ofSeconds(1);

  /** Between negotiate and connect. */
  private record Reservation(
      String id, ServedHub hub, Principal principal, Credential credential, long since) {}

  /** Who asks for what, once that is established. */
  private record Visitor(ServedHub hub, Principal principal, Credential credential) {}

  /** Why a request is not served. */
  private record Refusal(int status, String reason) {}

  private final Access access;
  private final Tokens tokens;
  private final Node node;
  private final Settings settings;
  private final ScheduledThreadPoolExecutor clock;
  private final ExecutorService pool;
  private final SecureRandom random = new SecureRandom();
  private final Bus bus = new Bus(this);
  private final Forwarder forwarder = new Forwarder(this);
  private final NodeWatch nodes = new NodeWatch(this, NodeWatch.Pace.USUAL);
  private final Cursors cursors = new Cursors(this);
  private final Subscription nodeState;

  private final Map<String, ServedHub> hubs = new ConcurrentHashMap<>();
  private final Map<String, Reservation> reservations = new ConcurrentHashMap<>();
  private final Map<String, ClientSession> sessions = new ConcurrentHashMap<>();
  private final Map<String, ClientSession> ghosts = new ConcurrentHashMap<>();
  private final Map<String, PollLeg> mails = new ConcurrentHashMap<>();
  private final Map<String, Integer> perPrincipal = new ConcurrentHashMap<>();
  private final Map<String, ServedHub.Asking> questions = new ConcurrentHashMap<>();
  private final AtomicLong lastQuestion = new AtomicLong();

  // Written by declarative services, read by anyone.
  private volatile @Nullable ResumeStore store;

  /** Nano time until when no new connection is promised to be resumable; read by anyone. */
  private volatile long storeDownUntil;

  private volatile boolean closed;
  private long lastKeyCheck;

  @Activate
  public ClientHub(
      @Reference(name = "access") Access access,
      @Reference(name = "tokens") Tokens tokens,
      @Reference(name = "node") Node node,
      Settings.Config config) {
    this(access, tokens, node, Settings.checked(config));
  }

  ClientHub(Access access, Tokens tokens, Node node, Settings settings) {
    this.access = access;
    this.tokens = tokens;
    this.node = node;
    this.settings = settings;
    this.storeDownUntil = now();
    this.lastKeyCheck = now();
    this.clock =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "conexor-hub-clients-clock");
              thread.setDaemon(true);
              return thread;
            });
    clock.setRemoveOnCancelPolicy(true);
    this.pool =
        Executors.newFixedThreadPool(
            Math.max(2, Runtime.getRuntime().availableProcessors()),
            task -> {
              Thread thread = new Thread(task, "conexor-hub-clients-worker");
              thread.setDaemon(true);
              return thread;
            });
    var unused =
        clock.scheduleWithFixedDelay(
            this::safeTick, TICK.toMillis(), TICK.toMillis(), MILLISECONDS);
    this.nodeState = node.onState(this::nodeBecame);
  }

  @Deactivate
  void close() {
    closed = true;
    nodeState.close();
    for (ClientSession session : List.copyOf(sessions.values())) {
      session.end(Leg.RESTART, DRAINING, true);
    }
    forwarder.close();
    bus.close();
    clock.shutdownNow();
    pool.shutdown(); // what is queued still ends connections
  }

  @Reference(
      name = "backplane",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane backplane) {
    bus.bind(backplane);
    forwarder.bind(backplane);
  }

  void unbindBackplane(Backplane backplane) {
    forwarder.unbind(backplane);
    bus.unbind(backplane);
  }

  @Reference(
      name = "store",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindStore(ResumeStore newStore) {
    store = newStore;
  }

  void unbindStore(ResumeStore old) {
    if (store == old) {
      store = null;
    }
  }

  @Reference(
      name = "hubs",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void addHub(Hub hub) {
    if (!hub.name().matches("[a-z0-9-]{1,32}")) {
      log.error("hub '{}' is not served: a name has 1..32 of a-z, 0-9 and -", hub.name());
      return;
    }
    ServedHub served = new ServedHub(this, hub);
    hub.attached(served);
    if (hubs.putIfAbsent(hub.name(), served) == null) {
      log.info("hub {} is served at {}/{}", hub.name(), PATH, hub.name());
    } else {
      log.error("there is a hub {} already; the second is not served", hub.name());
    }
  }

  void removeHub(Hub hub) {
    ServedHub served = hubs.get(hub.name());
    if (served != null && served.hub() == hub) {
      hubs.remove(hub.name(), served);
      for (ClientSession session : List.copyOf(served.sessions())) {
        session.end(Leg.RESTART, "the hub restarts; connect again", true);
      }
      log.info("hub {} is gone", hub.name());
    }
  }

  // What the parts share

  Settings settings() {
    return settings;
  }

  NodeId nodeId() {
    return node.id();
  }

  long now() {
    return System.nanoTime();
  }

  Bus bus() {
    return bus;
  }

  NodeWatch nodes() {
    return nodes;
  }

  @Nullable ResumeStore store() {
    return store;
  }

  @Nullable ServedHub hub(String name) {
    return hubs.get(name);
  }

  @Nullable ClientSession session(String id) {
    return sessions.get(id);
  }

  @Nullable ClientSession ghost(String id) {
    return ghosts.get(id);
  }

  Iterable<ClientSession> sessions() {
    return sessions.values();
  }

  Executor pool() {
    return task -> {
      try {
        pool.execute(task);
      } catch (RejectedExecutionException stopped) {
        task.run();
      }
    };
  }

  void later(Runnable task, Duration delay) {
    try {
      var unused =
          clock.schedule(
              () -> {
                try {
                  task.run();
                } catch (RuntimeException e) {
                  log.error("a delayed step of the hub failed", e);
                }
              },
              delay.toNanos(),
              NANOSECONDS);
    } catch (RejectedExecutionException stopped) {
      log.debug("the hub stops: a delayed step is left out");
    }
  }

  void storeFailed(@Nullable Throwable failure) {
    log.debug("the store of resumable connections failed", failure);
  }

  void storeIsDown() {
    if (now() - storeDownUntil > 0) {
      log.warn("the store of resumable connections does not answer; connections begin without it");
    }
    storeDownUntil = now() + settings.resumePatience().toNanos();
  }

  /** Events were lost; these connections may have been meant, and begin anew. */
  void missed(Predicate<ClientSession> isConcerned) {
    List<ClientSession> concerned = sessions.values().stream().filter(isConcerned).toList();
    log.warn("messages were lost that may have been for {} connections", concerned.size());
    for (ClientSession session : concerned) {
      session.end(Leg.RESTART, "messages between backends were lost; connect anew", true);
    }
  }

  // Sessions tell

  void registered(ClientSession session) {
    ClientSession other = sessions.put(session.id(), session);
    if (other == null) {
      perPrincipal.merge(session.principal().subject(), 1, Integer::sum);
    }
    if (closed) {
      session.end(Leg.RESTART, DRAINING, true);
    }
  }

  void sessionEnded(ClientSession session) {
    if (sessions.remove(session.id(), session)) {
      release(session.principal());
    }
    ghosts.remove(session.id(), session);
    PollLeg mail = mails.get(session.id());
    if (mail != null && mail.session() == session) {
      later(() -> mails.remove(session.id(), mail), MAIL_LINGER);
    }
  }

  void sessionMoved(ClientSession session) {
    ghosts.put(session.id(), session);
    if (sessions.remove(session.id(), session)) {
      release(session.principal());
    }
  }

  /** For tests: polls that wait here. */
  long openPolls() {
    return mails.values().stream().filter(mail -> mail.unpolledNanos(now()) == 0).count();
  }

  void ghostEnded(ClientSession session) {
    ghosts.remove(session.id(), session);
  }

  private void release(Principal principal) {
    perPrincipal.computeIfPresent(
        principal.subject(), (subject, count) -> count == 1 ? null : count - 1);
  }

  // Questions to clients

  ServedHub.Asking ask(Duration timeout, String target, String connection) {
    String id =
        "%s:%d:%s"
            .formatted(
                nodeId(),
                lastQuestion.incrementAndGet(),
                Long.toString(random.nextLong() >>> 1, 36));
    ServedHub.Asking asking = new ServedHub.Asking(id, new CompletableFuture<>());
    questions.put(id, asking);
    var unused = asking.answer().whenComplete((result, failure) -> questions.remove(id, asking));
    later(
        () ->
            asking
                .answer()
                .completeExceptionally(
                    new ConexorException(
                        Blame.DEPENDENCY,
                        Applied.UNKNOWN,
                        "client_silent",
                        "connection %s did not answer '%s' in %s"
                            .formatted(connection, target, timeout))),
        timeout);
    return asking;
  }

  /** An answer by a client, maybe to a question of another backend. */
  void answered(HubMessage.Completion answer) {
    ServedHub.Asking asking = questions.remove(answer.invocationId());
    if (asking != null) {
      asking.answered(answer);
      return;
    }
    String asker = answer.invocationId().split(":", 2)[0];
    if (!asker.equals(nodeId().value()) && asker.matches("[a-z0-9-]{4,64}")) {
      bus.answer(new NodeId(asker), answer);
    }
  }

  // HttpRoute

  @Override
  public String path() {
    return PATH;
  }

  @Override
  public int maxBodyBytes() {
    return settings.maxMessageBytes();
  }

  @Override
  public void handle(HttpExchange exchange) {
    String[] parts = exchange.path().substring(PATH.length()).split("/", -1);
    boolean isNegotiate = parts.length == 3 && parts[2].equals("negotiate");
    if (parts.length < 2 || parts.length > 3 || (parts.length == 3 && !isNegotiate)) {
      refuse(exchange, new Refusal(404, "no hub is served at this path"));
      return;
    }
    visit(
        exchange,
        parts[1],
        (visitor, refusal) -> {
          if (visitor == null) {
            refuse(exchange, refusal == null ? new Refusal(500, "the server failed") : refusal);
          } else if (isNegotiate) {
            if (exchange.method().equals("POST")) {
              negotiate(exchange, visitor);
            } else {
              refuse(exchange, new Refusal(405, "negotiate with POST"));
            }
          } else {
            carry(exchange, visitor);
          }
        });
  }

  /** Establishes who asks, and whether the hub wants to hear it. */
  private void visit(
      HttpExchange exchange, String name, BiConsumer<@Nullable Visitor, @Nullable Refusal> then) {
    ServedHub hub = hubs.get(name);
    if (hub == null) {
      then.accept(null, new Refusal(404, "there is no hub of this name"));
      return;
    }
    Optional<Credential> shown = Credential.of(exchange);
    if (shown.isEmpty()) {
      shown =
          exchange
              .queryParameter("access_token")
              .map(key -> new Credential.ApiKey(new Secret(key)));
    }
    if (shown.isEmpty()) {
      then.accept(null, new Refusal(401, "a key or a login is needed"));
      return;
    }
    Credential credential = shown.get();
    if (credential instanceof Credential.Login && !isOwnOrigin(exchange)) {
      then.accept(null, new Refusal(403, "this origin may not use a login here"));
      return;
    }
    var unused =
        access
            .authenticate(credential)
            .whenComplete(
                (result, failure) -> {
                  if (result instanceof Authentication.Granted granted) {
                    Optional<String> no = hub.hub().refusal(granted.principal());
                    if (no.isPresent()) {
                      then.accept(null, new Refusal(403, no.get()));
                    } else {
                      then.accept(new Visitor(hub, granted.principal(), credential), null);
                    }
                  } else if (result instanceof Authentication.Refused refused) {
                    then.accept(null, new Refusal(401, refused.reason()));
                  } else {
                    then.accept(null, new Refusal(503, "who asks can't be checked now; try again"));
                  }
                });
  }

  /** A browser says where a page comes from; a login must not be used by a foreign one. */
  private boolean isOwnOrigin(HttpExchange exchange) {
    Optional<String> origin = exchange.header("Origin");
    if (origin.isEmpty() || settings.origins().contains(origin.get())) {
      return true;
    }
    try {
      return exchange
          .header("Host")
          .orElse("")
          .equalsIgnoreCase(new URI(origin.get()).getAuthority());
    } catch (java.net.URISyntaxException e) {
      return false;
    }
  }

  private static void refuse(HttpExchange exchange, Refusal refusal) {
    if (refusal.status() == 503 || refusal.status() == 429) {
      exchange.withHeader("Retry-After", "1");
    }
    json(exchange, refusal.status(), Map.of("error", refusal.reason()));
  }

  void refuse(HttpExchange exchange, int status) {
    refuse(exchange, refusal(status));
  }

  private static void json(HttpExchange exchange, int status, Map<String, Object> value) {
    GrowingBytes out = new GrowingBytes(256, 1 << 16);
    JsonWriter.value(out, value);
    exchange.respond(status, "application/json", out.array(), 0, out.size());
  }

  private @Nullable Refusal noRoom(Principal principal) {
    if (closed || node.state() == Node.State.DRAINING) {
      return new Refusal(503, DRAINING);
    }
    if (sessions.size() + reservations.size() >= settings.maxConnections()) {
      return new Refusal(503, "this backend has all the connections it may have");
    }
    String subject = principal.subject();
    int mine = perPrincipal.getOrDefault(subject, 0);
    if (mine >= settings.maxPrincipalConnections()) {
      return new Refusal(
          429, "there are " + mine + " connections of this user or key already, as many as may be");
    }
    return null;
  }

  private void negotiate(HttpExchange exchange, Visitor visitor) {
    Refusal full = noRoom(visitor.principal());
    if (full != null) {
      refuse(exchange, full);
      return;
    }
    String wanted = exchange.queryParameter("negotiateVersion").orElse("0");
    if (!wanted.matches("[0-9]{1,4}")) {
      refuse(exchange, new Refusal(400, "negotiateVersion is a number"));
      return;
    }
    int version = Math.min(1, Integer.parseInt(wanted));
    boolean isResumable =
        exchange.queryParameter("useStatefulReconnect").filter("true"::equalsIgnoreCase).isPresent()
            && now() - storeDownUntil >= 0;
    ConnectionToken token =
        new ConnectionToken(
            newId(),
            node.id(),
            visitor.hub().name(),
            visitor.principal().subject(),
            isResumable,
            Instant.now().getEpochSecond());
    String secret;
    try {
      secret = token.issue(tokens);
    } catch (ConexorException e) {
      refuse(exchange, new Refusal(503, e.text()));
      return;
    }
    perPrincipal.merge(visitor.principal().subject(), 1, Integer::sum);
    reservations.put(
        token.id(),
        new Reservation(
            token.id(), visitor.hub(), visitor.principal(), visitor.credential(), now()));
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("negotiateVersion", version);
    answer.put("connectionId", version == 0 ? secret : token.id());
    if (version > 0) {
      answer.put("connectionToken", secret);
    }
    answer.put(
        "availableTransports",
        List.of(
            transport("WebSockets", "Text", "Binary"),
            transport("ServerSentEvents", "Text"),
            transport("LongPolling", "Text", "Binary")));
    if (isResumable) {
      answer.put("useStatefulReconnect", true);
    }
    json(exchange, 200, answer);
  }

  private static Map<String, Object> transport(String name, String... formats) {
    Map<String, Object> transport = new LinkedHashMap<>();
    transport.put("transport", name);
    transport.put("transferFormats", List.of(formats));
    return transport;
  }

  private String newId() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /** Takes the place that was promised; null if there is none (any more). */
  private @Nullable Reservation claim(String id) {
    Reservation reservation = reservations.remove(id);
    if (reservation != null) {
      release(reservation.principal());
    }
    return reservation;
  }

  private @Nullable Refusal check(@Nullable ConnectionToken token, Visitor visitor) {
    if (token == null || !token.hub().equals(visitor.hub().name())) {
      return new Refusal(404, "there is no such connection");
    }
    if (!token.subject().equals(visitor.principal().subject())) {
      return new Refusal(403, "this connection is somebody else's");
    }
    return null;
  }

  // Event streams, polls and posts

  private void carry(HttpExchange exchange, Visitor visitor) {
    Optional<String> id = exchange.queryParameter("id");
    if (id.isEmpty()) {
      refuse(exchange, new Refusal(400, "the connection's id is missing"));
      return;
    }
    ConnectionToken token;
    try {
      token = ConnectionToken.read(tokens, id.get()).orElse(null);
    } catch (ConexorException e) {
      refuse(exchange, new Refusal(503, e.text()));
      return;
    }
    Refusal refusal = check(token, visitor);
    if (token == null || refusal != null) {
      refuse(exchange, refusal == null ? new Refusal(404, "no such connection") : refusal);
      return;
    }
    boolean isEventStream =
        exchange.method().equals("GET")
            && exchange.header("Accept").orElse("").contains("text/event-stream");
    Mail mail =
        token.node().equals(node.id())
            ? localMail(token.id(), isEventStream)
            : forwarder.mail(token.node(), token.id(), isEventStream);
    String requestId = newId();
    switch (exchange.method()) {
      case "GET" -> {
        if (isEventStream) {
          new EventStream(exchange, mail, requestId, this).start();
        } else {
          poll(exchange, mail, requestId);
        }
      }
      case "POST" -> {
        if (exchange.body().length == 0) {
          exchange.respond(200);
        } else {
          whenStatus(exchange, mail.post(requestId, exchange.body()));
        }
      }
      case "DELETE" -> whenStatus(exchange, mail.end("the client closed it"));
      default -> refuse(exchange, new Refusal(405, "GET, POST and DELETE are served"));
    }
  }

  private static void whenStatus(HttpExchange exchange, CompletionStage<Integer> outcome) {
    var unused =
        outcome.whenComplete(
            (status, failure) -> {
              if (failure != null) {
                refuse(exchange, new Refusal(500, "the server failed"));
              } else if (status < 300) {
                exchange.respond(status, "text/plain", new byte[0]);
              } else {
                refuse(exchange, refusal(status));
              }
            });
  }

  private static Refusal refusal(int status) {
    return switch (status) {
      case 404 -> new Refusal(404, "there is no such connection");
      case 409 -> new Refusal(409, "the connection is in use in this way already");
      default -> new Refusal(status, "the connection can't be reached now");
    };
  }

  private void poll(HttpExchange exchange, Mail mail, String requestId) {
    var unused =
        mail.poll(requestId, settings.pollTimeout())
            .whenComplete(
                (polled, failure) -> {
                  if (polled instanceof Mail.Polled.Data data) {
                    exchange.respond(200, "application/octet-stream", data.bytes());
                  } else if (polled instanceof Mail.Polled.Nothing) {
                    exchange.respond(200, "text/plain", new byte[0]);
                  } else if (polled instanceof Mail.Polled.Refused refused) {
                    refuse(exchange, refusal(refused.status()));
                  } else if (failure != null) {
                    refuse(exchange, new Refusal(500, "the server failed"));
                  } else {
                    exchange.respond(204);
                  }
                });
  }

  /** The mailbox of a connection that this backend owns, which begins with its first poll. */
  Mail localMail(String id, boolean isEventStream) {
    return new Mail() {
      @Override
      public CompletionStage<Polled> poll(String pollId, Duration wait) {
        PollLeg mail = mails.get(id);
        if (mail == null) {
          return CompletableFuture.completedFuture(begin(id, isEventStream));
        }
        if (mail.isEventStream() != isEventStream) {
          return CompletableFuture.completedFuture(new Polled.Refused(409));
        }
        return mail.poll(pollId, wait);
      }

      @Override
      public CompletionStage<Integer> post(String postId, byte[] body) {
        PollLeg mail = mails.get(id);
        return mail == null || sessions.get(id) == null
            ? CompletableFuture.completedFuture(404)
            : mail.post(postId, body);
      }

      @Override
      public CompletionStage<Integer> end(String reason) {
        PollLeg mail = mails.get(id);
        return mail == null ? CompletableFuture.completedFuture(404) : mail.end(reason);
      }
    };
  }

  private Mail.Polled begin(String id, boolean isEventStream) {
    Reservation reservation = claim(id);
    if (reservation == null) {
      return new Mail.Polled.Refused(404);
    }
    ClientSession session =
        new ClientSession(
            this, reservation.hub(), id, reservation.principal(), reservation.credential(), false);
    PollLeg mail = new PollLeg(session, this, isEventStream);
    mails.put(id, mail);
    session.attach(mail);
    return new Mail.Polled.Nothing();
  }

  // WebSockets

  CompletionStage<Admission> admit(HttpExchange handshake) {
    CompletableFuture<Admission> admission = new CompletableFuture<>();
    visit(
        handshake,
        handshake.path().substring(PATH.length() + 1),
        (visitor, refusal) -> {
          if (visitor == null) {
            admission.complete(
                rejected(refusal == null ? new Refusal(500, "the server failed") : refusal));
          } else {
            admit(handshake, visitor, admission);
          }
        });
    return admission;
  }

  private static Admission rejected(Refusal refusal) {
    return new Admission.Rejected(refusal.status(), refusal.reason());
  }

  private void admit(
      HttpExchange handshake, Visitor visitor, CompletableFuture<Admission> admission) {
    Optional<String> id = handshake.queryParameter("id");
    if (id.isEmpty()) {
      admission.complete(admitNew(visitor, newId(), false));
      return;
    }
    ConnectionToken token;
    try {
      token = ConnectionToken.read(tokens, id.get()).orElse(null);
    } catch (ConexorException e) {
      admission.complete(rejected(new Refusal(503, e.text())));
      return;
    }
    Refusal refusal = check(token, visitor);
    if (token == null || refusal != null) {
      admission.complete(
          rejected(refusal == null ? new Refusal(404, "no such connection") : refusal));
      return;
    }
    ClientSession session = sessions.get(token.id());
    if (session != null) {
      admission.complete(
          session.isResumable()
              ? new Admission.Accepted(new WebSocketLeg(session, this))
              : rejected(refusal(409)));
      return;
    }
    if (claim(token.id()) != null) {
      admission.complete(admitNew(visitor, token.id(), token.isResumable()));
      return;
    }
    ResumeStore current = store;
    boolean isFresh =
        !token.node().equals(node.id()) && token.isFresh(Instant.now(), settings.handshake());
    if (!token.isResumable() || current == null) {
      admitElsewhere(token, visitor, isFresh, admission);
      return;
    }
    takeOver(current, token, visitor, isFresh, admission);
  }

  /**
   * A first socket at a backend that did not give the token: the place is kept where it came from.
   */
  private void admitElsewhere(
      ConnectionToken token,
      Visitor visitor,
      boolean isFresh,
      CompletableFuture<Admission> admission) {
    if (!isFresh) {
      admission.complete(rejected(refusal(404)));
      return;
    }
    var unused =
        forwarder
            .claim(token.node(), token.id())
            .thenAccept(
                isFree ->
                    admission.complete(
                        isFree
                            ? admitNew(visitor, token.id(), token.isResumable())
                            : rejected(refusal(409))));
  }

  /** Whether the place was kept here, and nobody has it. */
  boolean giveAway(String id) {
    return claim(id) != null;
  }

  private Admission admitNew(Visitor visitor, String id, boolean isResumable) {
    Refusal full = noRoom(visitor.principal());
    if (full != null) {
      return rejected(full);
    }
    ClientSession session =
        new ClientSession(
            this, visitor.hub(), id, visitor.principal(), visitor.credential(), isResumable);
    return new Admission.Accepted(new WebSocketLeg(session, this));
  }

  /** The connection may be, or have been, at another backend. */
  private void takeOver(
      ResumeStore current,
      ConnectionToken token,
      Visitor visitor,
      boolean isFresh,
      CompletableFuture<Admission> admission) {
    new Takeover(this, current, forwarder, cursors)
        .start(token.id(), visitor.hub(), visitor.principal(), visitor.credential())
        .whenComplete(
            (session, failure) -> {
              if (failure != null) {
                log.warn(
                    "connection {} can't be resumed now: {}", token.id(), failure.getMessage());
                admission.complete(rejected(new Refusal(503, "it can't be resumed now")));
              } else if (session.isPresent()) {
                admission.complete(new Admission.Accepted(new WebSocketLeg(session.get(), this)));
              } else {
                admitElsewhere(token, visitor, isFresh, admission);
              }
            });
  }

  // The clock

  private void nodeBecame(Node.State state) {
    if (state == Node.State.DRAINING) {
      for (ClientSession session : List.copyOf(sessions.values())) {
        long spread = ThreadLocalRandom.current().nextLong(DRAIN_SPREAD.toNanos());
        later(() -> drain(session), Duration.ofNanos(spread));
      }
    }
  }

  private void drain(ClientSession session) {
    if (session.isResumable() && store != null) {
      var unused = session.release(DRAINING);
    } else {
      session.end(Leg.RESTART, DRAINING, true);
    }
  }

  private void safeTick() {
    try {
      tick();
    } catch (RuntimeException e) {
      log.error("looking after the connections failed; going on", e);
    }
  }

  private void tick() {
    long now = now();
    sessions.values().forEach(session -> session.tick(now));
    for (Reservation reservation : reservations.values()) {
      if (now - reservation.since() > settings.handshake().toNanos()) {
        claim(reservation.id());
      }
    }
    for (PollLeg mail : mails.values()) {
      if (mail.isEventStream() && mail.unpolledNanos(now) > settings.clientTimeout().toNanos()) {
        mail.session().end(Leg.GOING_AWAY, "its event stream is gone", null);
      }
    }
    nodes.tick(now, bus.backplane());
    cursors.tick(now);
    if (now - lastKeyCheck >= settings.keyCheck().toNanos()) {
      lastKeyCheck = now;
      sessions.values().forEach(this::checkKey);
    }
  }

  private void checkKey(ClientSession session) {
    var unused =
        access
            .authenticate(session.credential())
            .whenComplete(
                (result, failure) -> {
                  // No answer is no refusal: the connection stays while the truth is out of reach.
                  if (result instanceof Authentication.Refused refused) {
                    session.end(Leg.POLICY, "not welcome any more: " + refused.reason(), false);
                  }
                });
  }
}
