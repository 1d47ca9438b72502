package io.conexor.api.backplane;

import io.conexor.api.Subscription;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ConsumerType;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Messages between the backends of one fleet, on two paths.
 *
 * <p><b>Events</b> last: {@link #publish} appends to a bounded stream, every subscriber on every
 * backend (the publisher's own too) receives each event once and in order per key, also after the
 * transport failed over or the subscriber was slow. What was trimmed before it could be read is
 * reported by {@link EventListener#gap}, never skipped in silence.
 *
 * <p><b>Direct messages</b> are fast and may be lost: {@link #send} and {@link #request} address
 * one node. Messages of one sender to one node arrive in order or not at all.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. Listeners of one subscription are
 * called one at a time, must not block for long, and an exception of theirs is logged and counted,
 * not fatal.
 *
 * <p><b>Failure.</b> A failed {@code publish} has an unknown outcome ({@link BackplaneException});
 * publishing again may duplicate, so events are written to be idempotent. A failed {@code request}
 * says {@code NO} when it is certain that the node never received it.
 *
 * <p><b>Swap.</b> When the service is replaced, consumers subscribe anew on the new one; positions
 * do not carry over unless the swap migrated them, in which case they do. A position of an unknown
 * epoch is reported as a gap.
 */
@ProviderType
public interface Backplane {

  /** The largest payload on either path, in bytes. */
  int MAX_PAYLOAD = 1 << 20;

  /**
   * Appends an event.
   *
   * @return completes with its position when the stream has it
   */
  CompletionStage<Position> publish(Topic topic, String key, byte[] payload);

  /** The partition that has the events of a key, the same on every backend. */
  int partitionOf(Topic topic, String key);

  /**
   * Delivers the events of a topic.
   *
   * @param from by partition, the last position already processed; partitions not named start at
   *     the present
   */
  Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener);

  /**
   * Sends a message to one node, this one included.
   *
   * @return completes when handed to the transport; that says nothing about arrival
   */
  CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload);

  /**
   * Receives the messages sent to this node on a channel. At most one receiver per channel; a
   * second one is an {@link IllegalStateException}.
   */
  Subscription receive(Channel channel, MessageListener listener);

  /**
   * Asks one node.
   *
   * @param timeout positive; afterwards the stage fails with {@code Applied.UNKNOWN}
   */
  CompletionStage<byte[]> request(NodeId to, Channel channel, byte[] payload, Duration timeout);

  /** Answers the requests sent to this node on a channel. At most one responder per channel. */
  Subscription answer(Channel channel, Responder responder);

  /** Receives events. */
  @ConsumerType
  interface EventListener {
    /**
     * Delivery in a partition that was not named begins after this position. Not called for a
     * partition that never had an event.
     */
    default void starts(Position after) {}

    void event(Event event);

    /**
     * Events are missing between the two positions; what they said must be learned in another way.
     * Delivery goes on after {@code resumesAt}.
     *
     * @param lastSeen null when nothing had been seen
     */
    void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt);
  }

  /** Receives direct messages. */
  @ConsumerType
  interface MessageListener {
    /**
     * @param payload must not be changed
     */
    void message(NodeId from, byte[] payload);
  }

  /** Answers requests. */
  @ConsumerType
  interface Responder {
    /**
     * A failed stage, or an exception, reaches the asker as a {@link BackplaneException} with this
     * message.
     */
    CompletionStage<byte[]> answer(NodeId from, byte[] payload);
  }
}
