package io.conexor.api.hub;

import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Keeps what another backend needs to resume a connection: facts about it, and the messages the
 * client has not acknowledged, numbered without gaps.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks.
 *
 * <p><b>Atomicity.</b> Each call happens as a whole or not at all. A record belongs to one owner at
 * a time: {@link #takeOver} raises its fence, and whoever holds a lower fence changes nothing any
 * more.
 *
 * <p><b>Failure.</b> A failed stage means that the outcome is unknown. Every call may be repeated:
 * a repeated {@link #save} that had happened is {@link Saved#BEHIND}, and then a whole one settles
 * it.
 */
@ProviderType
public interface ResumeStore {

  /**
   * Changes a record, or makes it with a whole change, and renews its time to live.
   *
   * @param fence as given by {@link #takeOver}; 1 for a new record
   * @param timeToLive 1 s to 1 day
   */
  CompletionStage<Saved> save(
      String connection, NodeId owner, long fence, Change change, Duration timeToLive);

  /** Who owns a record and what it says about the connection, without the messages. */
  CompletionStage<Optional<Kept>> find(String connection);

  /** Makes a node the owner, with a fence of its own, and gives everything there is. */
  CompletionStage<Optional<Kept>> takeOver(String connection, NodeId by, Duration timeToLive);

  /** Forgets a record unless somebody with a higher fence has taken it over. */
  CompletionStage<Void> remove(String connection, long fence);

  /** The outcome of {@link #save}. */
  enum Saved {
    SAVED,
    /**
     * Nothing changed: the record is missing, or its messages are not those before the change's.
     */
    BEHIND,
    /** Nothing changed: another node has taken it over. */
    TAKEN
  }

  /**
   * What changes.
   *
   * @param isWhole whether this is all there is to keep, whatever the record says
   * @param facts the new facts; empty keeps those there are
   * @param first the number of the first of the messages
   * @param messages added at the end
   * @param acknowledged messages up to this number are dropped
   */
  record Change(
      boolean isWhole,
      Optional<byte[]> facts,
      long first,
      List<byte[]> messages,
      long acknowledged) {
    public Change {
      messages = List.copyOf(messages);
    }
  }

  /**
   * A record.
   *
   * @param first the number of the first message, or of the next one when there is none
   */
  record Kept(NodeId owner, long fence, byte[] facts, long first, List<byte[]> messages) {
    public Kept {
      messages = List.copyOf(messages);
    }
  }
}
