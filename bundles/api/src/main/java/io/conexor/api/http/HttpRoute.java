package io.conexor.api.http;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * Serves every request whose path is {@link #path()} or lies below it. Registered as a service; the
 * longest matching path wins, and a higher service ranking among equal paths.
 *
 * <p><b>Threads.</b> {@link #handle} runs on an I/O thread and must not block; hop to an executor
 * of your own for anything that may. Several calls run concurrently.
 *
 * <p><b>Failure.</b> An exception thrown by {@link #handle} becomes a 500 problem without details
 * and is logged by the server.
 */
@ConsumerType
public interface HttpRoute {

  /**
   * Absolute path without a trailing slash, e.g. {@code /mcp}; constant for the lifetime of the
   * service.
   */
  String path();

  /**
   * The largest request body accepted, in bytes; more is answered with 413 before {@link #handle}
   * is called. Never above the server's own ceiling.
   */
  int maxBodyBytes();

  /** Answers the exchange now or later, exactly once. The whole body has been received. */
  void handle(HttpExchange exchange);
}
