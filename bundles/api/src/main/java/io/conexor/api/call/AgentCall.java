package io.conexor.api.call;

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
}
