package io.conexor.api;

import static java.util.Objects.requireNonNull;

import java.io.Serial;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The one root of the product's own failures. It answers two questions: who must act, and may the
 * effect have happened?
 *
 * <p>Edges translate it by the table in docs/failure-semantics.md#errors and by nothing else.
 * Messages say what was tried, on what, why it failed and what to do; they carry no secret, no SQL
 * parameter and no stack trace.
 */
public class ConexorException extends RuntimeException {

  @Serial private static final long serialVersionUID = 1L;

  /** Who must act. */
  public enum Blame {
    /** The request itself is wrong; repeating it unchanged is useless. */
    CALLER,
    /** The request is fine but there is no room for it now. */
    CAPACITY,
    /** Something this product depends on failed or is missing. */
    DEPENDENCY,
    /** A defect of this product. */
    BUG
  }

  /** May the effect have happened? */
  public enum Applied {
    NO,
    UNKNOWN
  }

  private final Blame blame;
  private final Applied applied;
  private final String code;
  private final @Nullable Duration retryAfter;

  /**
   * @param code a stable word of lower-case letters, digits and {@code _} for programs, e.g. {@code
   *     agent_gone}
   * @param message a sentence for people
   */
  public ConexorException(Blame blame, Applied applied, String code, String message) {
    this(blame, applied, code, message, null, null);
  }

  public ConexorException(
      Blame blame, Applied applied, String code, String message, @Nullable Throwable cause) {
    this(blame, applied, code, message, cause, null);
  }

  /**
   * @param retryAfter when trying again may help, or null when nothing is known
   */
  public ConexorException(
      Blame blame,
      Applied applied,
      String code,
      String message,
      @Nullable Throwable cause,
      @Nullable Duration retryAfter) {
    super(message, cause);
    this.blame = requireNonNull(blame);
    this.applied = requireNonNull(applied);
    this.code = requireNonNull(code);
    this.retryAfter = retryAfter;
  }

  public final Blame blame() {
    return blame;
  }

  public final Applied applied() {
    return applied;
  }

  public final String code() {
    return code;
  }

  public final Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** The message, never null (unlike {@link #getMessage()} by its type). */
  public final String text() {
    String message = getMessage();
    return message == null ? code : message;
  }

  /** True when nothing happened and the cause is not the request itself. */
  public final boolean safeToRetry() {
    return applied == Applied.NO && (blame == Blame.CAPACITY || blame == Blame.DEPENDENCY);
  }
}
