package io.conexor.dispatch;

import io.conexor.api.agent.Attachment;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** The ways to one source, and the calls that wait for one. Takes no lock. */
final class Source {

  /** Names a source. */
  record Key(OrgId org, String name) {}

  private record Known(List<Attachment> from, List<Route> routes) {}

  private final Calls calls;
  final Key key;
  private final Map<UUID, AgentStats> stats = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<Call> queue = new ConcurrentLinkedQueue<>();
  private final AtomicInteger queued = new AtomicInteger();
  private final AtomicInteger pumping = new AtomicInteger();

  /** Replaced by whoever finds that the directory's list is another one. */
  private volatile Known known = new Known(List.of(), List.of());

  /** Written by any caller; when an agent was last known. */
  private volatile long servedNanos;

  /** Written by any caller: since when the only ways lead to backends that are silent; 0 = not. */
  private volatile long silentNanos;

  Source(Calls calls, Key key, long servedNanos) {
    this.calls = calls;
    this.key = key;
    this.servedNanos = servedNanos;
  }

  int queued() {
    return queued.get();
  }

  long servedNanos() {
    return servedNanos;
  }

  /** Inside the call's section: launches it, queues it or refuses it. */
  void admit(Call call) {
    if (queued.get() == 0 && tryLaunch(call)) {
      return;
    }
    Wait wait = expectedWait();
    if (wait.nanos() > calls.queueWaitNanos()
        || wait.nanos() + withMargin(wait.serviceNanos())
            > call.request.deadline().remainingNanos()) {
      call.onRefused(Failures.sourceBusy(key.name(), queued.get(), wait.nanos()));
      return;
    }
    if (queued.incrementAndGet() > calls.maxQueued()) {
      queued.decrementAndGet();
      call.onRefused(Failures.sourceBusy(key.name(), calls.maxQueued(), wait.nanos()));
      return;
    }
    if (!calls.shares().tryWait(key.org())) {
      queued.decrementAndGet();
      call.onRefused(Failures.organisationBusy(wait.nanos()));
      return;
    }
    call.queuedAt(calls.now());
    queue.add(call);
    // A place may have become free between the look and the queue.
    pump();
  }

  /** Half of all answers take longer than the mean. */
  private static long withMargin(long serviceNanos) {
    return serviceNanos + serviceNanos / 16;
  }

  /** How long one who comes now waits for his place, and then for his answer. */
  private record Wait(long nanos, long serviceNanos) {}

  /** By how fast the agents are; zero when nobody waits or nothing is known. */
  private Wait expectedWait() {
    int ahead = queued.get();
    if (ahead == 0) {
      return new Wait(0, 0);
    }
    long now = calls.now();
    double perNano = 0;
    int inFlight = 0;
    UUID last = null;
    for (Route route : routes()) {
      UUID process = route.attachment().process();
      long latency = route.stats().serviceNanos(now);
      if (!process.equals(last) && latency > 0) {
        perNano += (double) route.stats().inFlight() / latency;
        inFlight += route.stats().inFlight();
      }
      last = process;
    }
    return perNano == 0
        ? new Wait(0, 0)
        : new Wait((long) (ahead / perNano), (long) (inFlight / perNano));
  }

  /** Inside the call's section: asks a second agent, if one has room. */
  void hedge(Call call) {
    if (queued.get() == 0 && choose(call) instanceof Choice.Go go) {
      call.launch(this, go.route());
    }
  }

  /** True when the call needs no place in the queue. */
  private boolean tryLaunch(Call call) {
    Choice choice = choose(call);
    if (choice instanceof Choice.Go go) {
      call.launch(this, go.route());
      return true;
    }
    return isSettled(call, choice);
  }

  /** True when it can't be waited out, and the call was told. */
  private boolean isSettled(Call call, Choice choice) {
    if (choice instanceof Choice.Broken broken) {
      call.onRefused(Failures.broken(broken.agent(), key.name(), broken.pauseNanos()));
      return true;
    }
    if (choice instanceof Choice.Nobody) {
      List<Route> now = routes();
      if (!now.isEmpty() && now.stream().noneMatch(call.request::mayRunOn)) {
        call.onRefused(Failures.writeNotAnnounced(key.name()));
        return true;
      }
      if (waits(call)) {
        return false;
      }
      call.onNobody(!routes().isEmpty());
      return true;
    }
    return false;
  }

  private Choice choose(Call call) {
    if (!calls.shares().mayRun(key.org())) {
      return new Choice.Busy();
    }
    Route holder = holder(call);
    if (holder != null) {
      return new Choice.Go(holder);
    }
    Choice choice =
        Choice.choose(routes(), call::excludes, calls.now(), ThreadLocalRandom.current());
    if (choice instanceof Choice.Go && silentNanos != 0) {
      silentNanos = 0;
    }
    return choice;
  }

  /** The way to the agent that has the query already, with a place taken there. */
  private @Nullable Route holder(Call call) {
    UUID process = calls.holders().of(call);
    AgentId agent = call.request.life().agent();
    if (process == null && agent == null) {
      return null;
    }
    int least = Integer.MAX_VALUE;
    if (!call.request.life().isOne()) {
      // The same request again may as well be a new one: whoever asks the same over and over must
      // not have it all run at one agent.
      for (Route route : routes()) {
        least = Math.min(least, route.stats().inFlight());
      }
    }
    for (Route route : routes()) {
      if (least != Integer.MAX_VALUE && route.stats().inFlight() > least + 1) {
        continue;
      }
      boolean isHolder =
          process == null
              ? route.attachment().agent().equals(agent)
              : route.attachment().process().equals(process);
      if (isHolder && !call.excludes(route) && route.stats().tryAcquire(route.limit())) {
        return route;
      }
    }
    return null;
  }

  private List<Route> routes() {
    List<Attachment> now = calls.directory().serving(key.org(), key.name());
    if (!now.isEmpty()) {
      servedNanos = calls.now();
    }
    Known current = known;
    if (current.from() != now) {
      Calls.Routes routes = calls.routes(now, key.name(), this::stats);
      current = new Known(now, routes.routes());
      // A link the hub has not shown yet is looked for again by the next call.
      if (routes.isLasting()) {
        known = current;
      }
      if (stats.size() > 2 * now.size() + 16) {
        stats.keySet().removeIf(p -> now.stream().noneMatch(a -> a.process().equals(p)));
      }
    }
    return current.routes();
  }

  private AgentStats stats(UUID process) {
    return stats.computeIfAbsent(process, p -> new AgentStats());
  }

  /** Launches what waits and has a place now. One thread works; others leave it a round to do. */
  void pump() {
    if (queued.get() == 0 || pumping.getAndIncrement() != 0) {
      return;
    }
    int rounds = 1;
    do {
      boolean isMoving = true;
      while (isMoving) {
        isMoving = pumpOne();
      }
      rounds = pumping.addAndGet(-rounds);
    } while (rounds != 0);
  }

  /**
   * What can't be answered in time any more is not begun: agents that are busy with answers nobody
   * waits for have no place for those that somebody does.
   */
  private void launch(Call call, Route route) {
    long service = route.stats().serviceNanos(calls.now());
    boolean isTooLate =
        call.waitUntilNanos() == 0
            && !call.hasExclusions()
            && withMargin(service) > call.request.deadline().remainingNanos();
    if (isTooLate) {
      route.stats().release();
      int waiting = queued.get();
      call.post(() -> call.onRefused(Failures.sourceBusy(key.name(), waiting, service)));
    } else {
      call.post(() -> call.launch(this, route));
    }
  }

  /** Moves the first call that can be moved; those that wait for a way do not hold up others. */
  private boolean pumpOne() {
    for (Call call : queue) {
      if (call.isEnded()) {
        take(call);
        continue;
      }
      Choice choice = choose(call);
      if (choice instanceof Choice.Go go) {
        if (take(call)) {
          launch(call, go.route());
        } else {
          go.route().stats().release();
        }
        return true;
      }
      if (choice instanceof Choice.Busy && !call.hasExclusions()) {
        return false;
      }
      boolean isHopeless =
          choice instanceof Choice.Broken || (choice instanceof Choice.Nobody && !waits(call));
      if (isHopeless && take(call)) {
        call.post(
            () -> {
              if (!isSettled(call, choice)) {
                admit(call);
              }
            });
        return true;
      }
    }
    return false;
  }

  /**
   * True while an agent may come, or a way be found to one that the call did not try. The clock
   * starts when the last way was seen or lost. What a backend has that is silent is waited for
   * longer: the way to it may come back.
   */
  private boolean waits(Call call) {
    List<Route> now = routes();
    boolean mayCome = now.isEmpty();
    boolean isSilent = false;
    for (Route route : now) {
      if (call.request.mayRunOn(route) && !call.hasTried(route)) {
        mayCome = true;
        isSilent |= !route.path().isUsable();
      }
    }
    if (!mayCome) {
      return false;
    }
    if (call.waitUntilNanos() == 0 && isSilent) {
      if (silentNanos == 0) {
        silentNanos = calls.now();
      }
      call.waitUntil(silentNanos + Math.max(calls.relayWaitNanos(), calls.agentWaitNanos()));
    } else if (call.waitUntilNanos() == 0) {
      long since = now.isEmpty() ? servedNanos : calls.now();
      call.waitUntil(since + calls.agentWaitNanos());
    }
    return call.waitUntilNanos() - calls.now() > 0;
  }

  private boolean take(Call call) {
    if (queue.remove(call)) {
      queued.decrementAndGet();
      calls.shares().waited(key.org());
      return true;
    }
    return false;
  }

  /** Called by the sweep: ends what has waited too long, and pumps. */
  void sweep(long now) {
    if (silentNanos != 0) {
      List<Route> known = routes();
      if (known.isEmpty() || known.stream().anyMatch(route -> route.path().isUsable())) {
        silentNanos = 0; // the next silence is another one
      }
    }
    if (queued.get() == 0) {
      return;
    }
    for (Call call : queue) {
      if (call.isEnded()) {
        take(call);
      } else if (call.request.deadline().passed()) {
        if (take(call)) {
          call.post(call::onDeadline);
        }
      } else if (now - call.queuedNanos() > calls.queueWaitNanos()
          && call.waitUntilNanos() == 0
          && take(call)) {
        int waiting = queued.get();
        call.post(
            () -> call.onRefused(Failures.sourceBusy(key.name(), waiting, calls.queueWaitNanos())));
      }
    }
    pump();
  }

  /** Ends all that wait. */
  void close(io.conexor.api.ConexorException reason) {
    for (Call call : queue) {
      if (take(call)) {
        call.post(() -> call.onRefused(reason));
      }
    }
  }
}
