package io.conexor.api.call;

import io.conexor.api.Deadline;
import io.conexor.api.catalog.OrgId;
import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Runs one call on one of the agents that serve a source, wherever that agent is attached.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. The sink may be called before {@link
 * #start} returns.
 *
 * <p><b>Failure.</b> The sink hears exactly one of {@code done} and {@code failed}, at the latest
 * moments after the deadline. Before the first batch was handed over a repeatable call is tried on
 * other agents within its deadline; afterwards, and for other calls, a loss is reported with what
 * is known: {@code NO} when no agent can have started it, else {@code UNKNOWN}.
 */
@ProviderType
public interface AgentCalls {

  /** Batches that may arrive before the first {@link AgentCall#request}. */
  int INITIAL_BATCHES = 4;

  /** Starts a query. Refusals (no agent, queue full) reach the sink too. */
  AgentCall start(QueryCall call, RowSink sink);

  /** Asks an agent for the structure of a source; a large one takes seconds. */
  CompletionStage<SourceSchema> discover(OrgId org, String source, Deadline deadline);
}
