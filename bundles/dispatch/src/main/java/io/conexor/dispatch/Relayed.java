package io.conexor.dispatch;

import io.conexor.api.agent.AgentLink;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import org.jspecify.annotations.Nullable;

/** A call of another backend over a link of this one. */
final class Relayed extends Slot {

  final NodeId from;

  /** The id under which the other backend knows it. */
  final int originId;

  final AgentLink link;

  /** The request as far as it has come; null once it was sent. Belongs to the receiving thread. */
  @Nullable GrowingBytes request;

  /** Batches allowed so far; belongs to the receiving thread. */
  int granted;

  /** How often in a row the other backend did not name it; belongs to the receiving thread. */
  int unlisted;

  /**
   * Frames on their way to the other backend. Written by the link's thread once a frame is in the
   * outbox, read by the receiving thread.
   */
  volatile int sent;

  Relayed(NodeId from, int originId, AgentLink link) {
    this.from = from;
    this.originId = originId;
    this.link = link;
  }
}
