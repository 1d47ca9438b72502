package io.conexor.dispatch;

import io.conexor.api.agent.AgentLink;

/** One call on one link. */
final class Attempt {

  final Call call;
  final Route route;
  final AgentLink link;
  final long startedNanos;

  /** Set by {@link SlotTable#put} before the attempt can be found there. */
  int id;

  /** Belongs to the call's section. */
  boolean isAnswered;

  Attempt(Call call, Route route, AgentLink link, long startedNanos) {
    this.call = call;
    this.route = route;
    this.link = link;
    this.startedNanos = startedNanos;
  }
}
