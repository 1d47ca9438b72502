package io.conexor.api;

/** Ends what it was returned for. */
@FunctionalInterface
public interface Subscription extends AutoCloseable {

  /** Idempotent; does not throw. A delivery already under way may still finish afterwards. */
  @Override
  void close();
}
