package io.conexor.dispatch;

import io.conexor.api.catalog.OrgId;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many calls each organisation has on this backend. While there is room anyone may have any;
 * when there is none, whoever has less than an equal share goes on, and the others wait until calls
 * of theirs have ended. So all together have at most twice what is allowed, and for moments only.
 */
final class Shares {

  private static final class Share {
    final AtomicInteger running = new AtomicInteger();
    final AtomicInteger waiting = new AtomicInteger();

    boolean isActive() {
      return running.get() + waiting.get() > 0;
    }
  }

  private final int maxRunning;
  private final int maxWaiting;
  private final ConcurrentHashMap<OrgId, Share> shares = new ConcurrentHashMap<>();
  private final AtomicInteger running = new AtomicInteger();

  /** Organisations with a call; written by the sweep, read by callers. */
  private volatile int active = 1;

  /**
   * @param maxRunning of all organisations
   * @param maxWaiting of one organisation
   */
  Shares(int maxRunning, int maxWaiting) {
    this.maxRunning = maxRunning;
    this.maxWaiting = maxWaiting;
  }

  boolean mayRun(OrgId org) {
    return running.get() < maxRunning
        || share(org).running.get() < Math.max(1, maxRunning / active);
  }

  void started(OrgId org) {
    running.incrementAndGet();
    share(org).running.incrementAndGet();
  }

  void ended(OrgId org) {
    running.decrementAndGet();
    share(org).running.decrementAndGet();
  }

  /** False when the organisation has as many waiting calls as it may; else there is one more. */
  boolean tryWait(OrgId org) {
    AtomicInteger waiting = share(org).waiting;
    if (waiting.incrementAndGet() > maxWaiting) {
      waiting.decrementAndGet();
      return false;
    }
    return true;
  }

  void waited(OrgId org) {
    share(org).waiting.decrementAndGet();
  }

  /** Called by the sweep. */
  void sweep() {
    int count = 0;
    for (Share share : shares.values()) {
      if (share.isActive()) {
        count++;
      }
    }
    active = Math.max(1, count);
  }

  private Share share(OrgId org) {
    Share share = shares.get(org);
    return share != null ? share : shares.computeIfAbsent(org, o -> new Share());
  }
}
