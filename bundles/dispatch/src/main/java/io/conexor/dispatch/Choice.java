package io.conexor.dispatch;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/** Which way a call goes, and why not. Pure but for the place it takes at the chosen agent. */
sealed interface Choice {

  /** This way; a place there is taken. */
  record Go(Route route) implements Choice {}

  /** All are at their limit. */
  record Busy() implements Choice {}

  /** No agent that was not tried. */
  record Nobody() implements Choice {}

  /** All that are left fail again and again. */
  record Broken(String agent, long pauseNanos) implements Choice {}

  /**
   * Agents that are well first, then those whose database probe fails. A broken one is probed by a
   * single call after its pause, else left out.
   *
   * @param routes those of one run of an agent together; the first of them that is not excluded
   *     stands for it
   */
  static Choice choose(
      List<Route> routes, Predicate<Route> isExcluded, long now, RandomGenerator random) {
    List<Route> well = new ArrayList<>(routes.size());
    List<Route> down = new ArrayList<>(0);
    Route broken = null;
    Route taken = null;
    for (Route route : routes) {
      if ((taken != null && taken.attachment().process().equals(route.attachment().process()))
          || isExcluded.test(route)) {
        continue;
      }
      taken = route;
      if (route.stats().isBroken()) {
        if (route.stats().tryProbe(now) && route.stats().tryAcquire(route.limit())) {
          return new Go(route);
        }
        broken = route;
      } else if (route.state() == io.conexor.api.agent.SourceOffer.State.DOWN) {
        down.add(route);
      } else {
        well.add(route);
      }
    }
    List<Route> candidates = well.isEmpty() ? down : well;
    if (candidates.isEmpty()) {
      return broken == null
          ? new Nobody()
          : new Broken(broken.attachment().agentName(), broken.stats().pauseNanos(now));
    }
    return takeBest(candidates, now, random);
  }

  private static Choice takeBest(List<Route> candidates, long now, RandomGenerator random) {
    int size = candidates.size();
    if (size > 1) {
      int first = random.nextInt(size);
      int second = random.nextInt(size - 1);
      if (second >= first) {
        second++;
      }
      Route a = candidates.get(first);
      Route b = candidates.get(second);
      Route better = isBetter(b, a, now) ? b : a;
      if (better.stats().tryAcquire(better.limit())) {
        return new Go(better);
      }
    }
    for (Route route : candidates) {
      if (route.stats().tryAcquire(route.limit())) {
        return new Go(route);
      }
    }
    return new Busy();
  }

  /**
   * Latencies within a factor of two count as equal, so that noise does not starve an agent; then
   * the one with less in flight wins, and a local one among equals.
   */
  static boolean isBetter(Route one, Route other, long now) {
    long latency = one.stats().latencyNanos(now);
    long otherLatency = other.stats().latencyNanos(now);
    int load = one.stats().inFlight();
    int otherLoad = other.stats().inFlight();
    boolean isAboutEqual =
        latency == 0
            || otherLatency == 0
            || (latency <= 2 * otherLatency && otherLatency <= 2 * latency);
    if (!isAboutEqual) {
      return (load + 1.0) * latency < (otherLoad + 1.0) * otherLatency;
    }
    if (one.isLocal() != other.isLocal()) {
      return one.isLocal() ? load <= otherLoad + 1 : load + 1 < otherLoad;
    }
    return load < otherLoad;
  }
}
