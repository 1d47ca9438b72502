package io.conexor.rest;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A problem as RFC 9457 writes it. How an error becomes a status: the table in
 * docs/failure-semantics.md#errors, which is {@link #status}.
 */
record Problem(
    int status,
    String code,
    String detail,
    Applied applied,
    Optional<Duration> retryAfter,
    List<FieldProblem> fields) {

  /** What is wrong with one field of a request. */
  record FieldProblem(String field, String message) {}

  /** Carries a problem up to the edge. */
  static final class Raised extends RuntimeException {
    private static final long serialVersionUID = 1L;
    final transient Problem problem;

    Raised(Problem problem) {
      super(problem.detail(), null, false, false);
      this.problem = problem;
    }
  }

  static Problem of(int status, String code, String detail) {
    return new Problem(status, code, detail, Applied.NO, Optional.empty(), List.of());
  }

  static Problem of(ConexorException e) {
    boolean isOurs = e.blame() == ConexorException.Blame.BUG;
    return new Problem(
        status(e),
        e.code(),
        isOurs ? "the server failed; the request id leads to the cause in its log" : e.text(),
        e.applied(),
        e.retryAfter().or(() -> defaultRetry(e)),
        List.of());
  }

  static Raised raise(int status, String code, String detail) {
    return new Raised(of(status, code, detail));
  }

  private static int status(ConexorException e) {
    return switch (e.blame()) {
      case CALLER -> callerStatus(e.code());
      case CAPACITY -> 429;
      // 503 invites a proxy to try elsewhere, which is right only when nothing has happened.
      case DEPENDENCY -> e.applied() == Applied.NO ? 503 : 504;
      case BUG -> 500;
    };
  }

  private static int callerStatus(String code) {
    if (code.endsWith("_unknown")) {
      return 404;
    }
    if (code.endsWith("_taken") || code.equals("last_administrator")) {
      return 409;
    }
    return 400;
  }

  private static Optional<Duration> defaultRetry(ConexorException e) {
    return e.safeToRetry() ? Optional.of(Duration.ofSeconds(1)) : Optional.empty();
  }

  String title() {
    return switch (status) {
      case 400 -> "The request is wrong";
      case 401 -> "Who is asking is not known";
      case 403 -> "Not allowed";
      case 404 -> "There is no such thing";
      case 405 -> "The method does not fit";
      case 406 -> "No such representation";
      case 409 -> "In conflict with what is there";
      case 413 -> "Too large";
      case 415 -> "The body's type does not fit";
      case 429 -> "Too much at once";
      case 503 -> "Not available now";
      case 504 -> "The outcome is unknown";
      default -> "The server failed";
    };
  }
}
