package io.conexor.demo;

import org.jspecify.annotations.Nullable;

/** Something a person has to see to; the message says what. */
final class DemoException extends RuntimeException {

  DemoException(String message) {
    super(message);
  }

  DemoException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
