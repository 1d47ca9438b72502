package io.conexor.dispatch;

import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.LinkId;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentMessage;
import java.util.UUID;

/** How to reach an agent. Two are equal when they use the same link. */
sealed interface Path {

  /** False when nothing was sent, nor will be. */
  boolean open(Attempt attempt, GrowingBytes message);

  /**
   * Allows more batches.
   *
   * @param total all that were ever allowed
   */
  void credit(Attempt attempt, int batches, int total);

  void cancel(Attempt attempt);

  /** The agent shall go on without us, and keep the result for so long under this id. */
  void detach(Attempt attempt, UUID queryId, int keepMillis);

  /** False while it had better not be taken. */
  boolean isUsable();

  /** A link of this backend. */
  record Local(AgentLink link) implements Path {

    @Override
    public boolean open(Attempt attempt, GrowingBytes message) {
      return link.send(message.array(), 0, message.size());
    }

    @Override
    public void credit(Attempt attempt, int batches, int total) {
      GrowingBytes credit = Request.credit(attempt.id, batches);
      link.send(credit.array(), 0, credit.size());
    }

    @Override
    public void cancel(Attempt attempt) {
      GrowingBytes cancel = Request.cancel(attempt.id);
      link.send(cancel.array(), 0, cancel.size());
    }

    @Override
    public void detach(Attempt attempt, UUID queryId, int keepMillis) {
      GrowingBytes detach =
          Request.detach(new AgentMessage.Detach(attempt.id, queryId.toString(), keepMillis));
      link.send(detach.array(), 0, detach.size());
    }

    @Override
    public boolean isUsable() {
      return true;
    }
  }

  /** A link of another backend, which passes on what is sent. */
  record Remote(RelayOrigin origin, NodeId node, LinkId link) implements Path {

    @Override
    public boolean open(Attempt attempt, GrowingBytes message) {
      return origin.open(attempt, this, message);
    }

    @Override
    public void credit(Attempt attempt, int batches, int total) {
      origin.credit(attempt, this, total);
    }

    @Override
    public void cancel(Attempt attempt) {
      origin.cancel(attempt, this);
    }

    @Override
    public void detach(Attempt attempt, UUID queryId, int keepMillis) {
      origin.detach(attempt, this, queryId, keepMillis);
    }

    @Override
    public boolean isUsable() {
      return origin.isUsable(node);
    }
  }
}
