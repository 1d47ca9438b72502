package io.conexor.agent.executor;

import io.conexor.api.link.BackendLinks.BackendLink;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** A reader of a recorded result: a call of some link. */
final class Reading implements Target {
  final Kept kept;
  final BackendLink link;
  final int callId;
  private final Consumer<Reading> done;
  private final AtomicInteger credit;

  /** Guarded by the kept query. */
  int next;

  Reading(Kept kept, BackendLink link, int callId, int window, Consumer<Reading> done) {
    this.kept = kept;
    this.link = link;
    this.callId = callId;
    this.credit = new AtomicInteger(Math.max(1, window));
    this.done = done;
  }

  boolean hasCredit() {
    return credit.get() > 0;
  }

  void takeCredit() {
    credit.decrementAndGet();
  }

  @Override
  public void credit(int batches) {
    credit.addAndGet(batches);
    kept.pump(this);
  }

  /** It heard the end. */
  void done() {
    done.accept(this);
  }
}
