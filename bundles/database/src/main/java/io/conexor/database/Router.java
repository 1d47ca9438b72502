package io.conexor.database;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.health.Health;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Knows the servers, which of them is the primary, and which may answer a read. */
final class Router implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Router.class);

  /**
   * Who may answer a read.
   *
   * @param needed position it must have replayed
   * @param isReplica false = chosen for being the primary
   * @param isMovable another could do it as well, so it need not bear with this one
   */
  record Choice(Server server, long needed, int timeline, boolean isReplica, boolean isMovable) {
    /** The same server, if it has what the token proves as well. */
    Choice atLeast(CommitToken token) {
      long position = Long.compareUnsigned(needed, token.lsn()) >= 0 ? needed : token.lsn();
      return new Choice(
          server, position, Math.max(timeline, token.timeline()), isReplica, isMovable);
    }

    /** Whether its last look shows that it is fresh enough, so that nobody needs to ask it. */
    boolean isProven(long life) {
      View view = server.view();
      return life != 0
          && life == view.life()
          && view.timeline() >= timeline
          && Long.compareUnsigned(view.lsn(), needed) >= 0;
    }
  }

  private final Settings settings;
  private final List<Server> servers;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  /** The newest ever seen; written under the lock, read anywhere. */
  private volatile int newestTimeline;

  private int present = -1; // index of the primary; guarded by lock
  private final Positions positions = new Positions(); // guarded by lock
  private long since = System.nanoTime(); // of the last change of primary; guarded by lock
  private final Events events = new Events();
  private final List<PatroniWatch> patronis;

  Router(DatabaseEndpoints endpoints, Settings settings) {
    this.settings = settings;
    this.servers =
        endpoints.endpoints().stream()
            .map(
                endpoint ->
                    new Server(
                        endpoints, endpoint, settings, events, this::looked, this::othersAnswer))
            .toList();
    this.patronis =
        endpoints.patroni().stream()
            .map(each -> new PatroniWatch(each, settings, this::heard))
            .toList();
    // INVARIANT: watches begin when the list is complete
    servers.forEach(Server::start);
    patronis.forEach(PatroniWatch::start);
  }

  private boolean othersAnswer(Server silent) {
    for (Server server : servers) {
      if (server != silent && !server.isSuspect() && server.view().role() != View.Role.DOWN) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void close() {
    patronis.forEach(PatroniWatch::close);
    servers.forEach(Server::close);
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** A connection to a primary of an older timeline must not be written to. */
  boolean isStale(int timeline) {
    return timeline < newestTimeline;
  }

  private void looked(Server looked) {
    lock.lock();
    try {
      for (Server server : servers) {
        View view = server.view();
        if (view.role() == View.Role.PRIMARY && view.timeline() > newestTimeline) {
          newestTimeline = view.timeline();
          positions.clear();
        }
      }
      judge();
      if (present >= 0 && servers.get(present) == looked) {
        View view = looked.view();
        positions.add(view.atNanos(), view.lsn());
      }
      measure(looked);
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Patroni may know of a primary that this backend cannot reach: then the one in reach is stale.
   */
  private void heard(PatroniWatch.Said said) {
    lock.lock();
    try {
      if (said.isPrimary() && said.timeline() > newestTimeline) {
        newestTimeline = said.timeline();
        positions.clear();
        judge();
        changed.signalAll();
      }
      servers.forEach(Server::poke);
    } finally {
      lock.unlock();
    }
  }

  private void judge() {
    List<View> views = servers.stream().map(Server::view).toList();
    int before = present;
    present = View.primary(views, newestTimeline, before);
    for (int i = 0; i < views.size(); i++) {
      if (i != present
          && views.get(i).role() == View.Role.PRIMARY
          && views.get(i).timeline() < newestTimeline) {
        servers.get(i).takeOut();
      }
    }
    if (present != before) {
      moved(before);
      for (Server server : servers) {
        server.hurry = present < 0;
        if (present < 0) {
          server.poke();
        }
      }
    }
  }

  private void moved(int before) {
    long now = System.nanoTime();
    String from = before < 0 ? "none" : servers.get(before).toString();
    String to = present < 0 ? "none" : servers.get(present).toString();
    String why = before < 0 ? "" : reason(servers.get(before).view());
    long lasted = now - since;
    since = now;
    String what = "primary " + from + " -> " + to + ", timeline " + newestTimeline;
    events.add(what, why, lasted);
    log.info(
        "PostgreSQL {} after {} ms{}", what, lasted / 1_000_000, why.isEmpty() ? "" : ": " + why);
  }

  private String reason(View was) {
    return switch (was.role()) {
      case DOWN -> was.why();
      case REPLICA -> "it is a replica now";
      case PRIMARY -> was.timeline() < newestTimeline ? "a newer timeline was seen" : "";
    };
  }

  private void measure(Server looked) {
    View view = looked.view();
    if (view.role() != View.Role.REPLICA || positions.isEmpty()) {
      looked.lagNanos = 0;
      looked.lagBytes = 0;
      return;
    }
    looked.lagBytes = Math.max(0, positions.lastLsn() - view.lsn());
    looked.lagNanos = positions.age(reference(), view.lsn());
    boolean is =
        Positions.inRotation(looked.inRotation, looked.lagNanos, settings.maxLag().toNanos());
    if (is != looked.inRotation) {
      log.info(
          "PostgreSQL replica {} {}: {} ms and {} bytes behind",
          looked,
          is ? "gets reads again" : "gets no more reads",
          looked.lagNanos / 1_000_000,
          looked.lagBytes);
      looked.inRotation = is;
    }
  }

  /** Lag is counted up to now, or up to when there last was a primary that could go on. */
  private long reference() {
    return present >= 0 ? System.nanoTime() : positions.lastAt();
  }

  @Nullable Server primaryNow() {
    lock.lock();
    try {
      return present < 0 ? null : servers.get(present);
    } finally {
      lock.unlock();
    }
  }

  Server awaitPrimary(Deadline deadline, @Nullable Throwable lastTrouble) {
    lock.lock();
    try {
      while (present < 0) {
        long left = deadline.remainingNanos();
        if (left == 0) {
          throw away("there is no PostgreSQL primary", lastTrouble);
        }
        changed.awaitNanos(left);
      }
      return servers.get(present);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw away("interrupted while waiting for a PostgreSQL primary", e);
    } finally {
      lock.unlock();
    }
  }

  /** Waits for news from the watches, a moment at most. */
  // every caller is a loop that looks again; waking early costs one more look
  @SuppressWarnings("WaitNotInLoop")
  void pause(Deadline deadline, long mostMillis) {
    lock.lock();
    try {
      changed.awaitNanos(
          Math.min(deadline.remainingNanos(), TimeUnit.MILLISECONDS.toNanos(mostMillis)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw away("interrupted while waiting for PostgreSQL", e);
    } finally {
      lock.unlock();
    }
  }

  static ConexorException away(String why, @Nullable Throwable cause) {
    return new ConexorException(
        Blame.DEPENDENCY,
        Applied.NO,
        "database_unavailable",
        why + "; nothing was changed, try again",
        cause,
        Duration.ofSeconds(1));
  }

  /**
   * The replica good enough that is least busy and nearest, else the primary; null if nobody can
   * answer now.
   *
   * @param without servers not to choose, by bit
   */
  @Nullable Choice choose(Consistency consistency, long without) {
    lock.lock();
    try {
      Server best = null;
      int fit = present >= 0 && !servers.get(present).isSuspect() ? 1 : 0;
      double bestCost = Double.MAX_VALUE;
      long needed = 0;
      int timeline = newestTimeline;
      boolean replicas = !(consistency instanceof Consistency.Strong);
      if (consistency instanceof Consistency.Session session) {
        needed = session.token().lsn();
        timeline = session.token().timeline();
        if (session.maxLag().isPresent()) {
          timeline = Math.max(timeline, newestTimeline);
          replicas = !positions.isEmpty();
          long recent =
              replicas ? positions.needed(reference(), session.maxLag().get().toNanos()) : 0;
          needed = Long.compareUnsigned(recent, needed) > 0 ? recent : needed;
        }
      } else if (consistency instanceof Consistency.Eventual eventual) {
        // how old a replica is can't be told before a primary was seen
        replicas = !positions.isEmpty();
        if (replicas) {
          needed = positions.needed(reference(), eventual.maxLag().toNanos());
        }
      }
      for (int i = 0; replicas && i < servers.size(); i++) {
        Server server = servers.get(i);
        View view = server.view();
        if ((without >> i & 1) != 0
            || view.role() != View.Role.REPLICA
            || server.isSuspect()
            || !server.inRotation
            || view.timeline() < timeline) {
          continue;
        }
        boolean proven = Long.compareUnsigned(view.lsn(), needed) >= 0;
        fit++;
        // one that was behind may have caught up since, which costs a question
        double cost = (1.0 + server.atWork()) * view.latencyNanos() * (proven ? 1 : 100);
        if (cost < bestCost) {
          best = server;
          bestCost = cost;
        }
      }
      if (best != null) {
        return new Choice(best, needed, timeline, true, fit > 1);
      }
      // a token of a newer timeline than the primary's proves that there is a newer primary
      return present >= 0
              && (without >> present & 1) == 0
              && servers.get(present).view().timeline() >= timeline
          ? new Choice(servers.get(present), 0, Math.max(newestTimeline, timeline), false, false)
          : null;
    } finally {
      lock.unlock();
    }
  }

  long bit(Server server) {
    return 1L << servers.indexOf(server);
  }

  /** For graphs; the health check has the same for people. */
  Map<String, Double> gauges() {
    Map<String, Double> all = new HashMap<>();
    for (Server server : servers) {
      View view = server.view();
      String label = "server=\"" + server + "\"";
      all.put("up{" + label + "}", view.role() == View.Role.DOWN ? 0.0 : 1.0);
      all.put("primary{" + label + "}", view.role() == View.Role.PRIMARY ? 1.0 : 0.0);
      if (view.role() == View.Role.REPLICA) {
        all.put("lag_seconds{" + label + "}", server.lagNanos / 1e9);
        all.put("lag_bytes{" + label + "}", (double) server.lagBytes);
      }
      server.writes().gauges(label + ",pool=\"write\"", all);
      server.reads().gauges(label + ",pool=\"read\"", all);
    }
    lock.lock();
    try {
      all.put("without_primary_seconds", present >= 0 ? 0 : (System.nanoTime() - since) / 1e9);
    } finally {
      lock.unlock();
    }
    all.put("role_changes_total", (double) events.count());
    return all;
  }

  Health health() {
    Map<String, String> facts = new HashMap<>();
    StringBuilder trouble = new StringBuilder();
    for (Server server : servers) {
      View view = server.view();
      String text = view.role() + ", timeline " + view.timeline();
      if (view.role() == View.Role.DOWN) {
        text = "DOWN: " + view.why();
        trouble.append(trouble.isEmpty() ? "" : "; ").append(server).append(' ').append(text);
      } else if (view.role() == View.Role.REPLICA) {
        text +=
            ", lag " + server.lagNanos / 1_000_000 + " ms, " + server.lagBytes + " bytes behind";
        if (!server.inRotation) {
          trouble.append(trouble.isEmpty() ? "" : "; ").append(server);
          trouble.append(" is ").append(server.lagNanos / 1_000_000).append(" ms behind");
        }
      } else if (isStale(view.timeline())) {
        text += ", stale: a newer timeline was seen";
        trouble.append(trouble.isEmpty() ? "" : "; ").append(server).append(" is a stale primary");
      }
      if (server.isBehindUnknownPooler()) {
        trouble.append(trouble.isEmpty() ? "" : "; ").append(server);
        trouble.append(" is a pooler in transaction mode: set database.pooler=transaction");
      }
      facts.put(server.toString(), text);
      facts.put(
          server + " connections (active/idle/waiting)",
          "write " + server.writes().gauges() + ", read " + server.reads().gauges());
      facts.put(
          server + " waits for connections",
          "write " + server.writes().waits() + "; read " + server.reads().waits());
    }
    for (PatroniWatch patroni : patronis) {
      facts.put("Patroni at " + patroni.at(), patroni.said().toString());
    }
    facts.put("events, newest first", String.join(" | ", events.newestFirst()));
    lock.lock();
    try {
      if (present < 0) {
        // the backend still serves from its caches: the load balancer must not take it out
        return Health.degraded(
            "no PostgreSQL primary for "
                + (System.nanoTime() - since) / 1_000_000
                + " ms: changes get 503. "
                + trouble,
            facts);
      }
      if (servers.get(present).isSuspect()) {
        return Health.degraded(
            "the PostgreSQL primary " + servers.get(present) + " does not answer", facts);
      }
      String refusal = servers.get(present).view().why();
      if (!refusal.isEmpty()) {
        return Health.degraded(
            "the PostgreSQL primary " + servers.get(present) + " takes no writes: " + refusal,
            facts);
      }
    } finally {
      lock.unlock();
    }
    return trouble.isEmpty()
        ? Health.healthy(facts)
        : Health.degraded("PostgreSQL: " + trouble, facts);
  }

  /** For tests: lets some server's look happen now. */
  List<Server> servers() {
    return servers;
  }
}
