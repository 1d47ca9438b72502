package io.conexor.api.call;

import io.conexor.api.catalog.AgentId;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/** A call under way. Methods may be called from any thread and do not block. */
@ProviderType
public interface AgentCall {

  /** Allows more batches. The first {@link AgentCalls#INITIAL_BATCHES} need no asking. */
  void request(int batches);

  /**
   * Stops it: the statement is cancelled in the database and the sink hears {@code failed} with
   * code {@code cancelled}, unless it ended before.
   *
   * @param reason for the log and the audit
   */
  void cancel(String reason);

  /**
   * Leaves it to its agent, where {@link QueryLife.Kind#RESULT} finds it under this id; for calls
   * that are not of their link alone. The sink hears nothing more. The agent may have ended it just
   * now, so whoever promises its result has to look first ({@link QueryLife.Kind#STATE}).
   *
   * @return the agent; empty, and nothing has changed, when it is not under way at one, or rows
   *     were handed over already
   */
  default CompletionStage<Optional<AgentId>> detach(UUID queryId, Duration keep) {
    return CompletableFuture.completedFuture(Optional.empty());
  }
}
