package io.conexor.api.link;

import io.conexor.api.Subscription;
import io.conexor.api.agent.SourceOffer;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.IntSupplier;
import org.osgi.annotation.versioning.ConsumerType;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The agent's links to the backends.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks.
 *
 * <p><b>Failure.</b> Links that break are dialled again for ever; nothing here throws because of
 * the network.
 */
@ProviderType
public interface BackendLinks {

  /**
   * Serves calls on all links, present and future. One handler at a time; a second is an {@link
   * IllegalStateException}. No link is dialled before there is one.
   */
  Subscription serve(Handler handler);

  /** What is offered has changed; sent to all backends with the next heartbeat at the latest. */
  void offer(List<SourceOffer> sources);

  /** For {@code check} and the shell. */
  List<Status> status();

  /** Serves calls. For one link: one call at a time, in order, on an I/O thread; must not block. */
  @ConsumerType
  interface Handler {
    /**
     * A stream invocation, a cancel invocation, a {@code credit} or a {@code detach} invocation.
     *
     * @param message one hub message without its length prefix; backed by an array; valid only
     *     during the call
     */
    void message(BackendLink link, ByteBuffer message);

    /** Nobody waits for its calls here any more. */
    void closed(BackendLink link);

    /** Calls running now, for heartbeats and the drain. */
    IntSupplier inFlight();

    /** Ids of queries that backends should ask this agent about, for heartbeats. */
    default List<String> held() {
      return List.of();
    }
  }

  /** One link. */
  @ProviderType
  interface BackendLink {
    /**
     * Queues whole, length-prefixed hub messages; as {@link io.conexor.api.agent.AgentLink#send}.
     */
    boolean send(byte[] bytes, int offset, int length);

    /** Bytes queued and not yet written. */
    long queuedBytes();
  }

  /**
   * How one link is doing.
   *
   * @param state {@code DOWN}, {@code CONNECTING}, {@code UP} or {@code CLOSING}
   * @param node the backend's node id; empty while unknown
   * @param reason of the state, for people
   */
  record Status(int number, String state, String node, String reason) {}
}
