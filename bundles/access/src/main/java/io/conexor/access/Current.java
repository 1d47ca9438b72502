package io.conexor.access;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * A service that may be replaced while this component lives. The framework binds the new one before
 * it unbinds the old one, hence clear() only clears what is still there.
 */
final class Current<T> {

  private final String what;

  /** Written by the framework, read by everybody. */
  private final AtomicReference<@Nullable T> service = new AtomicReference<>();

  Current(String what) {
    this.what = what;
  }

  void set(T replacement) {
    service.set(replacement);
  }

  void clear(T gone) {
    service.compareAndSet(gone, null);
  }

  T get() {
    T current = service.get();
    if (current == null) {
      throw new ConexorException(
          Blame.DEPENDENCY,
          Applied.NO,
          "service_away",
          "the " + what + " is being replaced; try again in a moment",
          null,
          Duration.ofSeconds(1));
    }
    return current;
  }
}
