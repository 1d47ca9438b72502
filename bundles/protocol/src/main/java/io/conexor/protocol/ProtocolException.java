package io.conexor.protocol;

/**
 * Bytes which break a protocol or one of its limits. The only exception that decoding throws,
 * whatever the bytes are.
 *
 * <p>The message says what was expected and found, never what the bytes held: it may be sent to the
 * other side.
 */
public final class ProtocolException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final long position;

  /**
   * @param position index of the offending byte, counted from the start of the transport message
   */
  public ProtocolException(String message, long position) {
    super(message + " (at byte " + position + ")");
    this.position = position;
  }

  /** Index of the offending byte, counted from the start of the transport message. */
  public long position() {
    return position;
  }
}
