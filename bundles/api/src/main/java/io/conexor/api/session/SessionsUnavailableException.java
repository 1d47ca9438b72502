package io.conexor.api.session;

import io.conexor.api.ConexorException;
import java.io.Serial;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** The store did not answer. Nothing is known about the session; nobody is logged out by this. */
public final class SessionsUnavailableException extends ConexorException {

  @Serial private static final long serialVersionUID = 1L;

  public SessionsUnavailableException(Applied applied, String message, @Nullable Throwable cause) {
    super(Blame.DEPENDENCY, applied, "sessions_unavailable", message, cause, Duration.ofSeconds(1));
  }
}
