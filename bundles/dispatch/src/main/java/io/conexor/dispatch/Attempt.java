package io.conexor.dispatch;

import io.conexor.protocol.GrowingBytes;
import org.jspecify.annotations.Nullable;

/** One call on one path. */
final class Attempt extends Slot {

  final Call call;
  final Route route;
  final long startedNanos;

  /** Belongs to the call's section. */
  boolean isAnswered;

  /** Frames taken from the relay; belongs to the call's section. */
  int received;

  /** Parts of a message too large for one frame; belongs to the call's section. */
  @Nullable GrowingBytes parts;

  /** Batches allowed so far; written in the call's section, read by the sweep. */
  volatile int granted;

  /** Written once when the relay has the whole request, read by the sweep. */
  volatile boolean isOpened;

  Attempt(Call call, Route route, long startedNanos) {
    this.call = call;
    this.route = route;
    this.startedNanos = startedNanos;
  }

  Path path() {
    return route.path();
  }
}
