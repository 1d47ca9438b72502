package io.conexor.api.node;

import io.conexor.api.Subscription;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/**
 * This backend process.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. Listeners run on an unspecified
 * thread and must not block.
 */
@ProviderType
public interface Node {

  /** The state of the process as the load balancer should see it. */
  enum State {
    /** Listening and willing. */
    SERVING,
    /** Finishing what it has, taking nothing new; {@code /health} says 503. */
    DRAINING
  }

  NodeId id();

  /** The product version, e.g. {@code 0.1.0}. */
  String version();

  Instant startedAt();

  State state();

  /** Calls the listener once for every later change of state. */
  Subscription onState(java.util.function.Consumer<State> listener);

  /**
   * Turns to {@link State#DRAINING} and completes when no request is in flight, or when the limit
   * has passed. Idempotent.
   *
   * @param limit the longest wait; positive
   */
  CompletionStage<Void> drain(Duration limit);
}
