package io.conexor.agent.registry;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The directory of one node. {@link LinkIndex} is what readers see; everything else belongs to
 * {@code loop}. Local links are put into the index by the hub's own thread before {@link #announce}
 * returns, and told to the others by the loop shortly after.
 */
@Component(
    service = {AgentDirectory.class, HealthCheck.class},
    configurationPid = GossipedAgentDirectory.PID)
@Designate(ocd = GossipedAgentDirectory.Config.class)
public final class GossipedAgentDirectory implements AgentDirectory, HealthCheck {

  static final String PID = "io.conexor.agent.registry";
  static final Topic TOPIC = new Topic("agents");
  static final Channel CHANNEL = new Channel("agents");

  /** Changes within this time travel together. */
  private static final Duration FLUSH_DELAY = Duration.ofMillis(5);

  /** So long the backplane may fail before what it said last is doubted. */
  private static final long FAILOVER_NANOS = 8_000_000_000L;

  /** Answers to questions of several new nodes within this time are one digest. */
  private static final Duration ANSWER_DELAY = Duration.ofMillis(20);

  /** Half of what a message may carry; attachments are of a few hundred bytes each. */
  private static final int PAGE_BYTES = Backplane.MAX_PAYLOAD / 2;

  @ObjectClassDefinition(
      name = "Agent directory",
      description = "Which agent is attached to which backend")
  @interface Config {
    @AttributeDefinition(
        name = "Heartbeat interval",
        description =
            "Milliseconds between digests, 50..10000; a backend silent for three of them is"
                + " forgotten",
        min = "50",
        max = "10000")
    long heartbeat_interval_ms() default 1_000;
  }

  /** The checked configuration. */
  record Settings(Duration heartbeat) {

    static Settings checked(Config config) {
      long millis = config.heartbeat_interval_ms();
      if (millis < 50 || millis > 10_000) {
        throw new IllegalArgumentException(
            PID + ": heartbeat.interval.ms=" + millis + " is outside 50..10000");
      }
      return new Settings(Duration.ofMillis(millis));
    }
  }

  private static final Logger log = LoggerFactory.getLogger(GossipedAgentDirectory.class);

  private final NodeId self;
  private final Settings settings;
  private final LongSupplier nanoTime;
  private final ScheduledExecutorService loop;
  private final LinkIndex index;
  private final CopyOnWriteArrayList<Consumer<OrgId>> listeners = new CopyOnWriteArrayList<>();

  /** Written by the loop, read by anyone. */
  private volatile int peers;

  /** Written by the loop, read by the health check: why the others can't hear us; empty = fine. */
  private volatile String trouble = "";

  // All below belongs to the loop.
  private final Roster roster;
  private final TreeMap<Long, Attachment> own = new TreeMap<>();
  private final Map<LinkId, Attachment> changed = new LinkedHashMap<>();
  private final Set<LinkId> withdrawn = new HashSet<>();
  private final Map<LinkId, Integer> loads = new HashMap<>();
  private long number;
  private boolean isFlushScheduled;
  private boolean isAnswerScheduled;
  private boolean isClosed;
  private @Nullable Attached attached;
  private int publishFailures;
  private long publishedNanos;

  /** A backplane and what we hold on it. */
  private record Attached(Backplane backplane, Subscription events, Subscription answers) {}

  @Activate
  public GossipedAgentDirectory(@Reference(name = "node") Node node, Config config) {
    this(node.id(), Settings.checked(config), System::nanoTime, newLoop());
  }

  GossipedAgentDirectory(
      NodeId self, Settings settings, LongSupplier nanoTime, ScheduledExecutorService loop) {
    this.self = self;
    this.settings = settings;
    this.nanoTime = nanoTime;
    this.loop = loop;
    this.index = new LinkIndex(self);
    this.roster = new Roster(settings.heartbeat().toNanos(), nanoTime.getAsLong());
    this.publishedNanos = nanoTime.getAsLong();
    long period = settings.heartbeat().toNanos();
    var unused = loop.scheduleAtFixedRate(guarded(this::beat), period, period, NANOSECONDS);
  }

  private static ScheduledExecutorService newLoop() {
    ScheduledThreadPoolExecutor executor =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "conexor-agents-gossip");
              thread.setDaemon(true);
              return thread;
            });
    executor.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    return executor;
  }

  /** A swap binds the new one before it unbinds the old one. */
  @Reference(
      name = "backplane",
      cardinality = ReferenceCardinality.MANDATORY,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane backplane) {
    onLoop(() -> attach(backplane));
  }

  void unbindBackplane(Backplane backplane) {
    onLoop(
        () -> {
          if (attached != null && attached.backplane() == backplane) {
            detach();
          }
        });
  }

  @Deactivate
  void close() {
    onLoop(
        () -> {
          isClosed = true;
          publish(new Gossip.Bye());
          detach();
        });
    loop.shutdown();
    try {
      if (!loop.awaitTermination(2, java.util.concurrent.TimeUnit.SECONDS)) {
        loop.shutdownNow();
      }
    } catch (InterruptedException e) {
      loop.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public List<Attachment> serving(OrgId org, String source) {
    return index.serving(org, source);
  }

  @Override
  public List<Attachment> attached(OrgId org) {
    return index.attached(org);
  }

  @Override
  public List<Attachment> attached() {
    return index.attached();
  }

  @Override
  public int fleetSize() {
    return 1 + peers;
  }

  @Override
  public void announce(Attachment attachment) {
    if (!attachment.node().equals(self)) {
      throw new IllegalArgumentException(
          "link " + attachment.link() + " of node " + attachment.node() + " announced at " + self);
    }
    Optional<Attachment> before = index.find(self, attachment.link());
    if (!index.put(attachment)) {
      return;
    }
    boolean onlyLoad =
        before.isPresent()
            && Roster.withLoad(before.get(), attachment.inFlight()).equals(attachment);
    onLoop(() -> told(attachment, onlyLoad));
    if (!onlyLoad) {
      tell(Set.of(attachment.org()));
    }
  }

  @Override
  public void withdraw(LinkId link, String reason) {
    Optional<Attachment> before = index.remove(self, link);
    onLoop(
        () -> {
          if (own.remove(link.value()) != null) {
            changed.remove(link);
            loads.remove(link);
            withdrawn.add(link);
            flushSoon();
          }
        });
    before.ifPresent(
        a -> {
          log.info("agent '{}' lost link {}: {}", a.agentName(), link, reason);
          tell(Set.of(a.org()));
        });
  }

  @Override
  public Subscription onChange(Consumer<OrgId> listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public String name() {
    return "agents";
  }

  @Override
  public Health check() {
    Map<String, String> details =
        Map.of(
            "links", Integer.toString(index.size()),
            "sources", Integer.toString(index.sources()),
            "backends", Integer.toString(fleetSize()));
    String why = trouble;
    return why.isEmpty() ? Health.healthy(details) : Health.degraded(why, details);
  }

  private void told(Attachment attachment, boolean onlyLoad) {
    own.put(attachment.link().value(), attachment);
    if (onlyLoad && !changed.containsKey(attachment.link())) {
      loads.put(attachment.link(), attachment.inFlight());
    } else {
      changed.put(attachment.link(), attachment);
      withdrawn.remove(attachment.link());
      flushSoon();
    }
  }

  private void attach(Backplane backplane) {
    if (isClosed || (attached != null && attached.backplane() == backplane)) {
      return;
    }
    detach();
    Subscription events = backplane.subscribe(TOPIC, Map.of(), new Ear());
    try {
      attached = new Attached(backplane, events, backplane.answer(CHANNEL, this::answer));
    } catch (RuntimeException e) {
      events.close();
      throw e;
    }
    roster.doubtAll();
    publish(new Gossip.Ask());
    publishDigest();
  }

  private void detach() {
    Attached old = attached;
    attached = null;
    if (old != null) {
      old.answers().close();
      old.events().close();
    }
  }

  /** Receives on the backplane's thread and hops. */
  private final class Ear implements Backplane.EventListener {

    @Override
    public void event(Event event) {
      if (event.from().equals(self)) {
        return;
      }
      Optional<Gossip> gossip = GossipCodec.decode(event.from(), event.payload());
      gossip.ifPresent(g -> onLoop(() -> heard(event.from(), g)));
    }

    @Override
    public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
      onLoop(
          () -> {
            log.info("missed gossip before {}; asking every node", resumesAt);
            roster.doubtAll();
            publish(new Gossip.Ask());
          });
    }
  }

  private void heard(NodeId from, Gossip gossip) {
    long now = nanoTime.getAsLong();
    if (gossip instanceof Gossip.Digest digest) {
      follow(from, roster.digest(from, digest, now));
    } else if (gossip instanceof Gossip.Delta delta) {
      follow(from, roster.delta(from, delta, now));
    } else if (gossip instanceof Gossip.Ask) {
      answerSoon();
    } else if (gossip instanceof Gossip.Bye) {
      roster.bye(from).ifPresent(this::forget);
    }
    peers = roster.size();
  }

  private void follow(NodeId node, Roster.Outcome outcome) {
    if (outcome instanceof Roster.Outcome.Changed change) {
      Set<OrgId> orgs = new HashSet<>(index.removeAll(node, change.detached()));
      for (Attachment attachment : change.attached()) {
        index.put(attachment);
        orgs.add(attachment.org());
      }
      tell(orgs);
    } else if (outcome instanceof Roster.Outcome.Loads change) {
      change.attached().forEach(index::put);
    } else if (outcome instanceof Roster.Outcome.AskSnapshot ask) {
      log.debug("node {} {}; asking for its links", node, ask.reason());
      fetch(node, Long.MIN_VALUE);
    } else if (outcome instanceof Roster.Outcome.AskMore ask) {
      fetch(node, ask.behind());
    }
  }

  private void fetch(NodeId node, long behind) {
    Attached current = attached;
    if (current == null) {
      roster.snapshotFailed(node);
      return;
    }
    byte[] request = GossipCodec.encode(new Gossip.SnapshotRequest(behind));
    Duration timeout = settings.heartbeat().multipliedBy(2);
    var unused =
        current
            .backplane()
            .request(node, CHANNEL, request, timeout)
            .whenComplete((bytes, failure) -> onLoop(() -> fetched(node, bytes, failure)));
  }

  private void fetched(NodeId node, byte @Nullable [] bytes, @Nullable Throwable failure) {
    if (bytes != null && GossipCodec.decode(node, bytes).orElse(null) instanceof Gossip.Page page) {
      follow(node, roster.page(node, page, nanoTime.getAsLong()));
      peers = roster.size();
    } else {
      log.debug("node {} did not send its links: {}", node, String.valueOf(failure));
      roster.snapshotFailed(node);
    }
  }

  /** Another node asks for our links. */
  private CompletionStage<byte[]> answer(NodeId from, byte[] payload) {
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    boolean isAccepted =
        onLoop(
            () -> {
              if (GossipCodec.decode(from, payload).orElse(null)
                  instanceof Gossip.SnapshotRequest request) {
                answer.complete(GossipCodec.encode(page(request.behind())));
              } else {
                answer.completeExceptionally(
                    new IllegalArgumentException("not a question this version knows"));
              }
            });
    if (!isAccepted) {
      answer.completeExceptionally(new IllegalStateException("this node stops"));
    }
    return answer;
  }

  private Gossip.Page page(long behind) {
    // What was not published yet is in the page already; publishing it later repeats it, which is
    // harmless.
    List<Attachment> links = new ArrayList<>();
    int bytes = 0;
    for (Attachment attachment : own.tailMap(behind, behind == Long.MIN_VALUE).values()) {
      bytes += 200 + 3 * text(attachment);
      if (bytes > PAGE_BYTES && !links.isEmpty()) {
        return new Gossip.Page(number, links, true);
      }
      links.add(attachment);
    }
    return new Gossip.Page(number, links, false);
  }

  private static int text(Attachment attachment) {
    int length = attachment.agentName().length() + attachment.agentVersion().length();
    for (var source : attachment.sources()) {
      length +=
          60
              + source.name().length()
              + source.engine().length()
              + source.productVersion().length()
              + source.reason().length();
    }
    return length;
  }

  private void beat() {
    long period = settings.heartbeat().toNanos();
    long now = nanoTime.getAsLong();
    long mute = now - publishedNanos;
    // Who can't be heard himself can't tell who else is dead: a primary of Redis is replaced.
    if (mute > 2 * period && mute < 2 * period + FAILOVER_NANOS) {
      roster.pardon(now);
    }
    roster.expire(now, period).forEach(this::forget);
    peers = roster.size();
    publishDigest();
  }

  private void forget(Roster.Gone gone) {
    log.info("node {} is gone with {} links: {}", gone.node(), gone.links().size(), gone.reason());
    tell(index.removeAll(gone.node(), List.copyOf(gone.links())));
  }

  private void answerSoon() {
    if (!isAnswerScheduled) {
      isAnswerScheduled = true;
      later(
          ANSWER_DELAY,
          () -> {
            isAnswerScheduled = false;
            publishDigest();
          });
    }
  }

  private void flushSoon() {
    if (!isFlushScheduled) {
      isFlushScheduled = true;
      later(FLUSH_DELAY, this::flush);
    }
  }

  private void flush() {
    isFlushScheduled = false;
    if (changed.isEmpty() && withdrawn.isEmpty()) {
      return;
    }
    List<Attachment> up = new ArrayList<>();
    int bytes = 0;
    List<LinkId> down = new ArrayList<>(withdrawn);
    withdrawn.clear();
    for (Attachment attachment : changed.values()) {
      bytes += 200 + 3 * text(attachment);
      if (bytes > PAGE_BYTES && !up.isEmpty()) {
        publishDelta(up, down);
        up = new ArrayList<>();
        down = new ArrayList<>();
        bytes = 0;
      }
      up.add(attachment);
    }
    changed.clear();
    publishDelta(up, down);
  }

  private void publishDelta(List<Attachment> up, List<LinkId> down) {
    long before = number++;
    publish(new Gossip.Delta(before, number, up, down));
  }

  private void publishDigest() {
    flush();
    int millis = (int) settings.heartbeat().toMillis();
    publish(new Gossip.Digest(number, own.size(), millis, Map.copyOf(loads)));
    loads.clear();
  }

  private void publish(Gossip gossip) {
    Attached current = attached;
    if (current == null) {
      published(new IllegalStateException("there is no backplane"));
      return;
    }
    try {
      var unused =
          current
              .backplane()
              .publish(TOPIC, self.value(), GossipCodec.encode(gossip))
              .whenComplete((position, failure) -> onLoop(() -> published(failure)));
    } catch (RuntimeException e) {
      published(e);
    }
  }

  /** A lost delta or digest is made up for by the next digest, so a failure is only remembered. */
  private void published(@Nullable Throwable failure) {
    if (failure == null) {
      if (publishFailures > 0) {
        log.info("other backends hear of our agents again");
      }
      publishFailures = 0;
      publishedNanos = nanoTime.getAsLong();
      trouble = "";
      return;
    }
    publishFailures++;
    if (publishFailures == Roster.HEARTBEATS) {
      log.warn("other backends do not hear of our agents: {}", failure.toString());
      trouble =
          "other backends do not hear of the agents attached here, because the backplane fails: "
              + failure.getMessage();
    }
  }

  private void tell(Set<OrgId> orgs) {
    for (OrgId org : orgs) {
      for (Consumer<OrgId> listener : listeners) {
        try {
          listener.accept(org);
        } catch (RuntimeException e) {
          log.warn("a listener to agents failed", e);
        }
      }
    }
  }

  /** False when this directory is closed. */
  private boolean onLoop(Runnable task) {
    try {
      loop.execute(guarded(task));
      return true;
    } catch (RejectedExecutionException e) {
      return false;
    }
  }

  private void later(Duration delay, Runnable task) {
    try {
      var unused = loop.schedule(guarded(task), delay.toMillis(), MILLISECONDS);
    } catch (RejectedExecutionException e) {
      log.debug("closed");
    }
  }

  private static Runnable guarded(Runnable task) {
    return () -> {
      try {
        task.run();
      } catch (RuntimeException e) {
        log.warn("gossip step failed; the next digest makes up for it", e);
      }
    };
  }
}
