package io.conexor.api.http;

import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Accepts WebSockets on one exact path, or on all paths one segment below it. Registered as a
 * service. An {@link HttpRoute} may share the path; upgrades come here.
 */
@ConsumerType
public interface WebSocketRoute {

  /**
   * Absolute path, e.g. {@code /hub/agents}; constant. One that ends in {@code /*} stands for every
   * path with one more segment in its place that no exact route has.
   */
  String path();

  /** The largest message accepted, in bytes; a larger one closes the socket with 1009. */
  int maxMessageBytes();

  /**
   * Decides about an upgrade. May complete later, on any thread; must not block.
   *
   * @param handshake the upgrade request; only its request facts may be used
   */
  CompletionStage<Admission> admit(HttpExchange handshake);

  /** The decision about an upgrade. */
  sealed interface Admission {
    /** Opens the socket for this handler. */
    record Accepted(WebSocketHandler handler) implements Admission {}

    /** Answers with an HTTP status (4xx or 5xx) and a sentence for people. */
    record Rejected(int status, String reason) implements Admission {}
  }
}
