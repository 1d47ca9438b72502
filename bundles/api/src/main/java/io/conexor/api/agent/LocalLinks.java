package io.conexor.api.agent;

import io.conexor.api.Subscription;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.osgi.annotation.versioning.ConsumerType;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The agents' links that end at this backend.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks; {@link #find} takes no lock.
 */
@ProviderType
public interface LocalLinks {

  Optional<AgentLink> find(LinkId link);

  Collection<AgentLink> links();

  /**
   * Sends what arrives on all links, present and future, to the listener. One listener at a time; a
   * second is an {@link IllegalStateException}.
   */
  Subscription listen(Listener listener);

  /**
   * Receives from links. For one link: one call at a time, in order, on an I/O thread; must not
   * block.
   */
  @ConsumerType
  interface Listener {
    void opened(AgentLink link);

    /**
     * A stream item or completion.
     *
     * @param message one hub message without its length prefix; backed by an array; valid only
     *     during the call
     */
    void message(AgentLink link, ByteBuffer message);

    /** All that had arrived together was handed over; what was held back for company may go. */
    default void idle(AgentLink link) {}

    /**
     * The agent has these queries: some that run for long, some whose results it keeps. Told when
     * the list has changed.
     */
    default void held(AgentLink link, List<UUID> queries) {}

    /** Calls sent over it and not answered have an unknown outcome. */
    void closed(AgentLink link, String reason);
  }
}
