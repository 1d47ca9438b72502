package io.conexor.api.call;

import io.conexor.api.ConexorException;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Receives a result.
 *
 * <p><b>Threads.</b> Called by one thread at a time, in order, mostly an I/O thread: must not
 * block. After {@link #done} or {@link #failed} nothing follows.
 */
@ConsumerType
public interface RowSink {

  /**
   * Some rows; at least one batch comes, if only to name the columns. No batch arrives beyond those
   * asked for with {@link AgentCall#request}.
   */
  void batch(RowBatch batch);

  /** The result is complete. */
  void done(QuerySummary summary);

  /** The query failed; rows handed over before are not the whole result. */
  void failed(ConexorException cause);
}
