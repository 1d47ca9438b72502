package io.conexor.agent.link;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.conexor.api.Subscription;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agent's links to the fleet: as many as there are backends, up to a limit, each to another
 * one. All state belongs to one owner thread; public methods hop onto it.
 */
@Component(
    service = {BackendLinks.class, Callable.class, Supplier.class},
    configurationPid = LinkConfig.PID,
    configurationPolicy = ConfigurationPolicy.REQUIRE,
    property = {"conexor.drain:Boolean=true", "conexor.check:Boolean=true"})
@Designate(ocd = LinkConfig.class)
public final class Links implements BackendLinks, Callable<Boolean>, Supplier<List<String>> {
  private static final Logger log = LoggerFactory.getLogger(Links.class);
  static final AgentMessage CLOSING = new AgentMessage.Closing("the agent stops");

  private static final Duration TICK = Duration.ofMillis(100);

  private final LinkSettings settings;
  private final Socket.Dialer dialer;
  private final LongSupplier nanoTime;
  private final String version;
  private final ScheduledExecutorService owner;
  private final UUID process = UUID.randomUUID();

  // Owned by the owner thread.
  private final List<Link> links = new ArrayList<>();
  private List<SourceOffer> offers = List.of();
  private int fleetSize = 1;
  private long epoch;
  private long heartbeats;
  private long lastTick;
  private long graceUntil;
  private boolean isDraining;
  private @Nullable CompletableFuture<Boolean> drained;
  private long idleSince;

  /** Written by {@link #serve}, read by the owner. */
  private volatile @Nullable Handler handler;

  /** Written by the owner, read by anyone. */
  private volatile List<Status> published = List.of();

  @Activate
  public Links(LinkConfig config) {
    this(LinkSettings.checked(config));
  }

  private Links(LinkSettings settings) {
    this(settings, settings.dialer(), System::nanoTime, BundleVersion.read());
  }

  Links(LinkSettings settings, Socket.Dialer dialer, LongSupplier nanoTime, String version) {
    this.settings = settings;
    this.dialer = dialer;
    this.nanoTime = nanoTime;
    this.version = version;
    this.lastTick = nanoTime.getAsLong();
    this.graceUntil = lastTick;
    this.owner =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-agent-link-owner");
              thread.setDaemon(true);
              return thread;
            });
    var unused =
        owner.scheduleWithFixedDelay(
            this::safeTick, TICK.toMillis(), TICK.toMillis(), MILLISECONDS);
    log.info(
        "agent '{}' {}, process {}, dials {} once something serves its calls",
        settings.agentName(),
        version,
        process,
        settings.uri());
    if (settings.sendsKeyInTheClear()) {
      log.warn(
          "the agent's key travels unencrypted to {}: use https in backend.url", settings.uri());
    }
  }

  @Deactivate
  void deactivate() {
    run(() -> closeAll("the agent stops"));
    owner.shutdown();
    try {
      if (!owner.awaitTermination(2, SECONDS)) {
        owner.shutdownNow();
      }
    } catch (InterruptedException e) {
      owner.shutdownNow();
      Thread.currentThread().interrupt();
    }
    if (dialer instanceof HttpDialer http) {
      http.close();
    }
  }

  // BackendLinks

  @Override
  public synchronized Subscription serve(Handler newHandler) {
    if (handler != null) {
      throw new IllegalStateException("there is a handler already");
    }
    handler = newHandler;
    run(this::changed);
    return () -> unserve(newHandler);
  }

  private synchronized void unserve(Handler old) {
    if (handler == old) {
      handler = null;
      run(() -> closeAll("nothing serves calls"));
    }
  }

  @Override
  public void offer(List<SourceOffer> sources) {
    List<SourceOffer> copy = List.copyOf(sources);
    run(
        () -> {
          if (!copy.equals(offers)) {
            offers = copy;
            links.forEach(link -> link.send(helloAgain()));
          }
        });
  }

  @Override
  public List<Status> status() {
    return published;
  }

  /** For {@code check}: what there is to say about each link, beginning with ok, wait or wrong. */
  @Override
  public List<String> get() {
    List<Status> now = published;
    List<String> up =
        now.stream()
            .filter(each -> each.state().equals("UP"))
            .map(each -> "ok: a link to backend " + each.node() + " at " + settings.uri())
            .toList();
    if (!up.isEmpty()) {
      return up;
    }
    return now.isEmpty()
        ? List.of("wait: " + settings.uri() + " was not dialled yet")
        : now.stream()
            .map(
                each ->
                    (each.state().equals("DOWN") ? "wrong: " : "wait: ")
                        + settings.uri()
                        + ": "
                        + each.reason())
            .distinct()
            .toList();
  }

  /** The drain: tells the backends, waits until no call is running, and closes. */
  @Override
  public Boolean call() throws InterruptedException {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    run(() -> drain(done));
    try {
      return done.get(settings.drainTimeout().toMillis(), MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      log.warn("calls were still running after {}; closing anyway", settings.drainTimeout());
      run(() -> closeAll("the agent stops"));
      return false;
    }
  }

  private void drain(CompletableFuture<Boolean> done) {
    if (!isDraining) {
      isDraining = true;
      idleSince = now();
      log.info("draining: {} calls are running", inFlight());
      links.forEach(link -> link.send(CLOSING));
      drained = done;
    } else if (drained != null) {
      var unused = drained.whenComplete((result, failure) -> done.complete(true));
    } else {
      done.complete(true);
    }
  }

  // For links, on the owner thread unless said otherwise

  LinkSettings settings() {
    return settings;
  }

  LongSupplier nanoTime() {
    return nanoTime;
  }

  long now() {
    return nanoTime.getAsLong();
  }

  boolean isDraining() {
    return isDraining;
  }

  /** Runs an action on the owner thread; from any thread. Nothing happens after the end. */
  void run(Runnable action) {
    try {
      owner.execute(
          () -> {
            try {
              action.run();
            } catch (RuntimeException e) {
              log.error("a link could not be looked after; going on", e);
            }
          });
    } catch (RejectedExecutionException e) {
      log.debug("the links are closed already");
    }
  }

  /** A hello for a new link: each has a higher epoch than all before. */
  AgentMessage.Hello hello() {
    epoch++;
    return helloAgain();
  }

  private AgentMessage.Hello helloAgain() {
    List<AgentMessage.Source> sources = new ArrayList<>(offers.size());
    for (SourceOffer offer : offers) {
      sources.add(
          new AgentMessage.Source(
              offer.name(),
              offer.engine(),
              offer.productVersion(),
              offer.isReadOnly(),
              offer.maxRows(),
              offer.maxBytes(),
              offer.maxConcurrent(),
              offer.state().name(),
              offer.reason()));
    }
    return new AgentMessage.Hello(
        AgentWire.VERSION, version, process.toString(), settings.agentName(), sources, epoch);
  }

  AgentMessage.Heartbeat heartbeat() {
    List<AgentMessage.SourceState> states = new ArrayList<>(offers.size());
    for (SourceOffer offer : offers) {
      states.add(new AgentMessage.SourceState(offer.name(), offer.state().name(), offer.reason()));
    }
    Handler current = handler;
    List<String> held = current == null ? List.of() : current.held();
    if (held.size() > AgentWire.MAX_HELD) {
      held = held.subList(0, AgentWire.MAX_HELD);
    }
    return new AgentMessage.Heartbeat(inFlight(), 0, states, ++heartbeats, held);
  }

  byte[] encoded(AgentMessage message) {
    GrowingBytes out = new GrowingBytes(128, AgentWire.MAX_MESSAGE_BYTES);
    new AgentEncoder(out).message(message);
    return out.toByteArray();
  }

  void fleetIs(int size) {
    if (size != fleetSize) {
      log.debug("the fleet has {} backends", size);
      fleetSize = Math.max(1, size);
    }
    changed();
  }

  /** Dials, adds and removes links until there are as many as there should be. */
  void changed() {
    Handler current = handler;
    if (current == null || isDraining) {
      publish();
      return;
    }
    int wanted = Math.min(settings.maxLinks(), fleetSize);
    while (active() < wanted) {
      links.add(new Link(freeNumber(), this, now()));
    }
    removeSurplus(wanted);
    // One at a time: a backend that was reached has to be known before the next dial can avoid it.
    if (links.stream().noneMatch(link -> link.state() == Link.State.CONNECTING)) {
      long now = now();
      links.stream()
          .filter(link -> link.isDue(now))
          .min(Comparator.comparingInt(Link::number))
          .ifPresent(link -> link.dial(dialer, current, linkedNodes()));
    }
    publish();
  }

  void publish() {
    published = links.stream().map(Link::status).toList();
  }

  private long active() {
    return links.stream().filter(link -> link.state() != Link.State.CLOSING).count();
  }

  private void removeSurplus(int wanted) {
    List<Link> idle =
        links.stream()
            .filter(link -> link.state() == Link.State.DOWN)
            .sorted(Comparator.comparingInt(Link::number).reversed())
            .toList();
    for (Link link : idle) {
      if (active() > wanted) {
        links.remove(link);
      }
    }
  }

  private int freeNumber() {
    int number = 1;
    while (isTaken(number)) {
      number++;
    }
    return number;
  }

  private boolean isTaken(int number) {
    return links.stream().anyMatch(link -> link.number() == number);
  }

  private String linkedNodes() {
    return links.stream()
        .map(Link::node)
        .filter(node -> !node.isEmpty())
        .collect(Collectors.joining(","));
  }

  private int inFlight() {
    Handler current = handler;
    return current == null ? 0 : Math.max(0, current.inFlight().getAsInt());
  }

  private void closeAll(String why) {
    links.forEach(link -> link.close(why));
    links.clear();
    publish();
    CompletableFuture<Boolean> waiting = drained;
    if (waiting != null) {
      drained = null;
      waiting.complete(true);
    }
  }

  private void safeTick() {
    try {
      tick();
    } catch (RuntimeException e) {
      log.error("looking after the links failed; going on", e);
    }
  }

  private void tick() {
    long now = now();
    if (now - lastTick > settings.liveness().toNanos() / 3) {
      // This process stood still itself: what the backends sent meanwhile is still to be read.
      log.warn("this process stood still for {} ms", NANOSECONDS.toMillis(now - lastTick));
      graceUntil = now + settings.liveness().toNanos();
    }
    lastTick = now;
    boolean mayBlame = now - graceUntil >= 0;
    for (Link link : List.copyOf(links)) {
      link.tick(now, mayBlame);
    }
    if (isDraining) {
      if (inFlight() > 0) {
        idleSince = now;
      } else if (drained != null && now - idleSince >= settings.drainQuiet().toNanos()) {
        log.info("drained");
        closeAll("the agent stops");
      }
    } else {
      changed();
    }
  }
}
