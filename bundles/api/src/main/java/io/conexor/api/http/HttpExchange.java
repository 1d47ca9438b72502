package io.conexor.api.http;

import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * One request and its answer.
 *
 * <p><b>Threads.</b> Request facts may be read from any thread until the answer is complete. The
 * answer is given by one thread at a time; none of the methods blocks.
 *
 * <p><b>Failure.</b> Answering a client that has gone is not an error: it is dropped, and {@link
 * #onGone} tells.
 */
@ProviderType
public interface HttpExchange {

  /** Upper case, e.g. {@code POST}. */
  String method();

  /** The decoded absolute path without query, normalised: no {@code ..}, no empty segments. */
  String path();

  /** First value of a query parameter, decoded. */
  Optional<String> queryParameter(String name);

  /** First value of a header; the name is case-insensitive. */
  Optional<String> header(String name);

  /** All values of a header in order; empty when absent. */
  List<String> headers(String name);

  /** The whole body; empty when there was none. The array belongs to the route from now on. */
  byte[] body();

  /** The peer's address as text; behind a trusted proxy the forwarded one. */
  String remoteAddress();

  /** True for HTTPS, or when a trusted proxy says so. */
  boolean isSecure();

  /**
   * Names this request in logs, audit and the {@code X-Request-Id} response header. Taken from the
   * client when sane, else made.
   */
  String requestId();

  /**
   * Runs the action once when the client goes away before the answer is complete, at most about 250
   * ms after its connection closed. Runs at once when it has gone already. The action must not
   * block. At most one action is kept; a later call replaces it.
   */
  void onGone(Runnable action);

  /** Adds a response header; before the answer starts. */
  HttpExchange withHeader(String name, String value);

  /** Gives the whole answer. The array is read later and must not be changed any more. */
  void respond(int status, String contentType, byte[] body, int offset, int length);

  /** Gives the whole answer. */
  default void respond(int status, String contentType, byte[] body) {
    respond(status, contentType, body, 0, body.length);
  }

  /** Gives an answer without a body. */
  void respond(int status);

  /** Starts an answer whose length is not known yet. */
  HttpStream stream(int status, String contentType);
}
