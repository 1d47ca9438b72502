package io.conexor.agent.link;

/** Why no link came about, in words that say what to do. */
final class DialException extends Exception {
  private static final long serialVersionUID = 1L;

  private final boolean isAlreadyLinked;

  DialException(String message) {
    this(message, false);
  }

  DialException(String message, boolean isAlreadyLinked) {
    super(message);
    this.isAlreadyLinked = isAlreadyLinked;
  }

  /** The load balancer chose a backend to which there is a link already. */
  boolean isAlreadyLinked() {
    return isAlreadyLinked;
  }
}
