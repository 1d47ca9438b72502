package io.conexor.api.hub;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The connections of one hub on all backends.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks.
 *
 * <p><b>Ordering.</b> Messages of one backend to the same audience arrive in order; to different
 * audiences in any order.
 *
 * <p><b>Failure.</b> When the stage of a {@code send} completes, every connection that is open gets
 * the message, also if the backplane's transport fails over. A failed stage means that it may or
 * may not arrive; a connection of this very backend may be reached although others are not.
 */
@ProviderType
public interface HubClients {

  /** Invokes a method that answers nothing on all clients of the audience. */
  CompletionStage<Void> send(Audience to, String target, List<@Nullable Object> arguments);

  /**
   * Invokes a method of one client and waits for its result.
   *
   * @param timeout positive; afterwards the stage fails with {@code Applied.UNKNOWN}
   * @return fails with a {@code CALLER} error that holds the client's error, or when this backend
   *     knows that there is no such connection
   */
  CompletionStage<@Nullable Object> invoke(
      String connection, String target, List<@Nullable Object> arguments, Duration timeout);

  /** Puts a connection anywhere into a group; completes when that is certain to happen. */
  CompletionStage<Void> join(String connection, String group);

  CompletionStage<Void> leave(String connection, String group);

  /** Closes a connection anywhere. */
  CompletionStage<Void> close(String connection, String reason, boolean mayReconnect);
}
