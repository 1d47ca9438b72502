package io.conexor.itests.architecture.bad;

/** Says neither who must act nor whether it happened. */
public class BadException extends RuntimeException {
  private static final long serialVersionUID = 1;
}
