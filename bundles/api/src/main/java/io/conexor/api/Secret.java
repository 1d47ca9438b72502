package io.conexor.api;

import static java.util.Objects.requireNonNull;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/**
 * A password, key or token. It prints as {@code ***}; only {@link #reveal()} gives the text.
 * Compares in constant time.
 */
public final class Secret {

  private final String text;

  public Secret(String text) {
    this.text = requireNonNull(text);
  }

  /** The text itself. Never log it, never put it into a message. */
  public String reveal() {
    return text;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Secret that
        && MessageDigest.isEqual(
            text.getBytes(StandardCharsets.UTF_8), that.text.getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return "***";
  }
}
