package io.conexor.hub;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.WebSocketRoute;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agents' hub: admits agents by their key, keeps their links, and hands what they send to one
 * listener.
 */
@Component(
    service = {WebSocketRoute.class, LocalLinks.class},
    configurationPid = AgentHub.PID)
@Designate(ocd = AgentHub.Config.class)
public final class AgentHub implements WebSocketRoute, LocalLinks {
  static final String PID = "io.conexor.hub";
  static final String DRAINING = "the backend is shutting down";

  private static final Logger log = LoggerFactory.getLogger(AgentHub.class);

  @ObjectClassDefinition(name = "Hub", description = "Links of agents to this backend")
  @interface Config {
    @AttributeDefinition(
        name = "Heartbeat",
        description = "Milliseconds between signs of life in both directions, 100..60000",
        min = "100",
        max = "60000")
    long heartbeat_interval_ms() default 1_000;

    @AttributeDefinition(
        name = "Liveness",
        description =
            "Milliseconds of silence after which a link is dead, 300..600000; at least twice the heartbeat",
        min = "300",
        max = "600000")
    long liveness_timeout_ms() default 3_000;

    @AttributeDefinition(
        name = "Handshake",
        description = "Milliseconds an agent has for handshake and hello, 100..60000",
        min = "100",
        max = "60000")
    long handshake_timeout_ms() default 5_000;

    @AttributeDefinition(
        name = "Message size",
        description = "Largest message accepted from an agent in bytes, 65536..67108864",
        min = "65536",
        max = "67108864")
    int message_max_bytes() default AgentWire.MAX_MESSAGE_BYTES;

    @AttributeDefinition(
        name = "Outbound bound",
        description =
            "Bytes that may wait to be sent on one link before it is closed, 65536..1073741824",
        min = "65536",
        max = "1073741824")
    long outbound_max_bytes() default 8 * 1024 * 1024;

    @AttributeDefinition(
        name = "Links",
        description = "Links of all agents to this backend, 1..1000000",
        min = "1",
        max = "1000000")
    int links_max() default 20_000;

    @AttributeDefinition(
        name = "Links per agent",
        description = "Links of one agent, all its processes together, to this backend, 1..10000",
        min = "1",
        max = "10000")
    int agent_links_max() default 32;

    @AttributeDefinition(
        name = "Key check",
        description =
            "Milliseconds between checks that the keys of open links are still valid, 500..3600000",
        min = "500",
        max = "3600000")
    long key_check_interval_ms() default 2_000;
  }

  record Settings(
      Duration heartbeat,
      Duration liveness,
      Duration handshake,
      int maxMessageBytes,
      long maxOutboundBytes,
      int maxLinks,
      int maxAgentLinks,
      Duration keyCheck) {
    static Settings checked(Config config) {
      long heartbeat = check("heartbeat.interval.ms", config.heartbeat_interval_ms(), 100, 60_000);
      return new Settings(
          Duration.ofMillis(heartbeat),
          Duration.ofMillis(
              check(
                  "liveness.timeout.ms",
                  config.liveness_timeout_ms(),
                  Math.max(300, 2 * heartbeat),
                  600_000)),
          Duration.ofMillis(
              check("handshake.timeout.ms", config.handshake_timeout_ms(), 100, 60_000)),
          (int) check("message.max.bytes", config.message_max_bytes(), 65_536, 67_108_864),
          check("outbound.max.bytes", config.outbound_max_bytes(), 65_536, 1_073_741_824),
          (int) check("links.max", config.links_max(), 1, 1_000_000),
          (int) check("agent.links.max", config.agent_links_max(), 1, 10_000),
          Duration.ofMillis(
              check("key.check.interval.ms", config.key_check_interval_ms(), 500, 3_600_000)));
    }

    private static long check(String key, long value, long min, long max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            "%s: %s = %d is not within %d..%d".formatted(PID, key, value, min, max));
      }
      return value;
    }
  }

  private record Run(AgentId agent, UUID process) {}

  private record Holder(AgentSession session, long epoch) {}

  private final Access access;
  private final AgentDirectory directory;
  private final Node node;
  private final Settings settings;
  private final LongSupplier nanoTime;
  private final Connections connections;
  private final Subscription nodeState;
  private final @Nullable ScheduledExecutorService clock;

  private final AtomicLong lastLinkId = new AtomicLong();
  private final ConcurrentHashMap<Connection, AgentSession> sessions = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<LinkId, AgentSession> links = new ConcurrentHashMap<>();

  /** The newest link of each run of an agent. */
  private final ConcurrentHashMap<Run, Holder> runs = new ConcurrentHashMap<>();

  /** Written by {@link #listen}, read by I/O threads. */
  private volatile @Nullable Listener listener;

  private volatile boolean deactivated;

  // Owned by the clock.
  private long lastTick;
  private long lastPing;
  private long lastKeyCheck;
  private long graceUntil;
  private int lastFleetSize;

  @Activate
  public AgentHub(
      @Reference(name = "access") Access access,
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "node") Node node,
      Config config) {
    this(access, directory, node, Settings.checked(config), System::nanoTime, true);
  }

  /**
   * @param ticks whether a thread of its own calls {@link #tick}; tests do it themselves
   */
  AgentHub(
      Access access,
      AgentDirectory directory,
      Node node,
      Settings settings,
      LongSupplier nanoTime,
      boolean ticks) {
    this.access = access;
    this.directory = directory;
    this.node = node;
    this.settings = settings;
    this.nanoTime = nanoTime;
    this.connections = new Connections(Duration.ofSeconds(1).toNanos(), nanoTime);
    this.lastTick = nanoTime.getAsLong();
    this.lastPing = lastTick;
    this.lastKeyCheck = lastTick;
    this.graceUntil = lastTick;
    this.lastFleetSize = directory.fleetSize();
    this.nodeState = node.onState(this::nodeBecame);
    if (ticks) {
      long period = Math.max(10_000_000L, settings.heartbeat().toNanos() / 10);
      clock =
          Executors.newSingleThreadScheduledExecutor(
              task -> {
                Thread thread = new Thread(task, "conexor-hub-clock");
                thread.setDaemon(true);
                return thread;
              });
      var unused = clock.scheduleWithFixedDelay(this::safeTick, period, period, NANOSECONDS);
    } else {
      clock = null;
    }
    log.info("agents connect at {} of node {}", path(), node.id());
  }

  @Deactivate
  void deactivate() {
    deactivated = true;
    nodeState.close();
    if (clock != null) {
      clock.shutdownNow();
    }
    for (Connection connection : connections.open()) {
      AgentSession session = sessions.get(connection);
      if (session == null) {
        connection.end(Connection.RESTART, DRAINING);
      } else {
        session.end(Connection.RESTART, DRAINING, true);
      }
    }
  }

  // WebSocketRoute

  @Override
  public String path() {
    return AgentWire.PATH;
  }

  @Override
  public int maxMessageBytes() {
    return settings.maxMessageBytes();
  }

  @Override
  public CompletionStage<Admission> admit(HttpExchange handshake) {
    Optional<String> key = handshake.header(AgentWire.KEY_HEADER).filter(text -> !text.isBlank());
    if (key.isEmpty()) {
      return rejected(401, "an agent has to send its key in " + AgentWire.KEY_HEADER);
    }
    if (deactivated || isDraining()) {
      return rejected(503, DRAINING);
    }
    if (connections.size() >= settings.maxLinks()) {
      return rejected(503, "this backend has all the links it may have");
    }
    String linked = handshake.header(AgentWire.LINKED_HEADER).orElse("");
    if (List.of(linked.split(",", -1)).contains(node.id().value())) {
      return rejected(409, "the agent has a link to this backend already: dial again for another");
    }
    Credential credential = new Credential.ApiKey(new Secret(key.get().trim()));
    return access
        .authenticate(credential)
        .handle((result, failure) -> admission(credential, result, failure));
  }

  private Admission admission(
      Credential credential, @Nullable Authentication result, @Nullable Throwable failure) {
    if (result instanceof Authentication.Granted granted) {
      if (!(granted.principal() instanceof Principal.AgentKey principal)) {
        return new Admission.Rejected(403, "this is no agent's key; agents' keys start with pk_");
      }
      long same =
          sessions.values().stream()
              .filter(session -> session.principal().agent().equals(principal.agent()))
              .count();
      if (same >= settings.maxAgentLinks()) {
        return new Admission.Rejected(
            429, "this agent has all the links it may have to this backend");
      }
      AgentSession session = new AgentSession(this, principal, credential, nanoTime.getAsLong());
      return new Admission.Accepted(
          new Connection(session, connections, settings.maxOutboundBytes(), nanoTime));
    }
    if (result instanceof Authentication.Refused refused) {
      return new Admission.Rejected(401, refused.reason());
    }
    log.warn("a key could not be checked, the agent is asked to come back", failure);
    return new Admission.Rejected(503, "the key can not be checked now; try again");
  }

  private static CompletionStage<Admission> rejected(int status, String reason) {
    return CompletableFuture.completedFuture(new Admission.Rejected(status, reason));
  }

  // LocalLinks

  @Override
  public Optional<AgentLink> find(LinkId link) {
    return Optional.ofNullable(links.get(link));
  }

  @Override
  public Collection<AgentLink> links() {
    return List.copyOf(links.values());
  }

  @Override
  public synchronized Subscription listen(Listener newListener) {
    if (listener != null) {
      throw new IllegalStateException("there is a listener already");
    }
    // Each link introduces itself on its own thread with the next thing it hears, a heartbeat later
    // at most.
    listener = newListener;
    return () -> unlisten(newListener);
  }

  private synchronized void unlisten(Listener old) {
    if (listener == old) {
      listener = null;
    }
  }

  // For sessions

  @Nullable Listener listener() {
    return listener;
  }

  NodeId nodeId() {
    return node.id();
  }

  Instant now() {
    return Instant.now();
  }

  boolean isDraining() {
    return node.state() == Node.State.DRAINING;
  }

  LinkId nextLinkId() {
    return new LinkId(lastLinkId.incrementAndGet());
  }

  void sessionOpened(Connection connection, AgentSession session) {
    sessions.put(connection, session);
    if (deactivated) {
      session.end(Connection.RESTART, DRAINING, true);
    }
  }

  void sessionEnded(Connection connection) {
    sessions.remove(connection);
  }

  /**
   * Adds a link and ends an older one of the same agent process.
   *
   * @return false if it is the older one itself
   */
  boolean linkUp(AgentSession session, Attachment attachment) {
    Run run = new Run(attachment.agent(), attachment.process());
    Holder mine = new Holder(session, attachment.epoch());
    Holder older;
    do {
      older = runs.get(run);
      if (older != null && older.epoch() > mine.epoch()) {
        return false;
      }
    } while (older == null ? runs.putIfAbsent(run, mine) != null : !runs.replace(run, older, mine));
    links.put(attachment.link(), session);
    if (older != null) {
      older
          .session()
          .end(Connection.POLICY, "replaced by a newer link of the same agent process", false);
    }
    return true;
  }

  void linkDown(AgentSession session, LinkId link, String reason) {
    links.remove(link);
    Attachment last = session.attachment();
    runs.remove(new Run(last.agent(), last.process()), new Holder(session, last.epoch()));
    directory.withdraw(link, reason);
  }

  void announce(Attachment attachment) {
    directory.announce(attachment);
  }

  AgentMessage.Welcome welcome(AgentSession session) {
    return new AgentMessage.Welcome(
        AgentWire.VERSION,
        node.id().value(),
        session.id().toString(),
        directory.fleetSize(),
        (int) settings.heartbeat().toMillis(),
        session.principal().agent().toString());
  }

  // The clock

  private void nodeBecame(Node.State state) {
    if (state == Node.State.DRAINING) {
      links.values().forEach(link -> link.send(new AgentMessage.Closing(DRAINING)));
    }
  }

  private void safeTick() {
    try {
      tick();
    } catch (RuntimeException e) {
      log.error("looking after the links failed; going on", e);
    }
  }

  /** Looks after all links: dead ones, pings, keys, and the size of the fleet. */
  void tick() {
    long now = nanoTime.getAsLong();
    long liveness = settings.liveness().toNanos();
    if (now - lastTick > liveness / 3) {
      // This process stood still itself: what the agents sent meanwhile is still to be read.
      log.warn("this process stood still for {} ms", NANOSECONDS.toMillis(now - lastTick));
      graceUntil = now + liveness;
    }
    lastTick = now;
    boolean mayBlame = now - graceUntil >= 0;
    boolean isPingDue = now - lastPing >= settings.heartbeat().toNanos();
    if (isPingDue) {
      lastPing = now;
    }
    int fleetSize = directory.fleetSize();
    boolean fleetChanged = fleetSize != lastFleetSize;
    lastFleetSize = fleetSize;
    sessions.forEach(
        (connection, session) -> {
          if (mayBlame && connection.silentNanos(now) > liveness) {
            session.end(
                Connection.GOING_AWAY,
                "silent for %d ms".formatted(NANOSECONDS.toMillis(connection.silentNanos(now))),
                true);
          } else if (!session.isUp()) {
            if (now - session.since() > settings.handshake().toNanos()) {
              session.end(Connection.POLICY, "no hello within " + settings.handshake(), true);
            }
          } else {
            if (fleetChanged) {
              session.send(welcome(session));
            }
            if (isPingDue && !connection.hasSentSinceAsked()) {
              session.ping();
              connection.hasSentSinceAsked(); // the ping itself does not count
            }
          }
        });
    connections.sweep(now);
    if (now - lastKeyCheck >= settings.keyCheck().toNanos()) {
      lastKeyCheck = now;
      sessions.values().forEach(this::checkKey);
    }
  }

  private void checkKey(AgentSession session) {
    var unused =
        access
            .authenticate(session.credential())
            .whenComplete(
                (result, failure) -> {
                  // No answer is no refusal: the link stays while the database is away.
                  if (result instanceof Authentication.Refused refused) {
                    session.end(
                        Connection.POLICY,
                        "the agent's key is refused: " + refused.reason(),
                        false);
                  }
                });
  }
}
