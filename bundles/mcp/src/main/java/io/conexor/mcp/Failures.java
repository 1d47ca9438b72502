package io.conexor.mcp;

import io.conexor.api.ConexorException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds what is known about a failure. */
final class Failures {

  private static final Logger log = LoggerFactory.getLogger(Failures.class);

  private Failures() {}

  static ConexorException known(@Nullable Throwable failure) {
    Throwable cause = failure;
    while (cause != null && !(cause instanceof ConexorException) && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof ConexorException known) {
      return known;
    }
    log.error("a request failed in an unforeseen way", failure);
    return new ConexorException(
        ConexorException.Blame.BUG,
        ConexorException.Applied.UNKNOWN,
        "internal",
        "the request failed inside the server; see its log");
  }
}
