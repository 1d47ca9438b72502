package io.conexor.runtime;

/**
 * The start failed for a reason a person can mend; the message is all they need, so no trace is
 * printed.
 */
public final class LaunchException extends RuntimeException {

  public LaunchException(String message) {
    super(message);
  }

  public LaunchException(String message, Throwable cause) {
    super(message, cause);
  }
}
