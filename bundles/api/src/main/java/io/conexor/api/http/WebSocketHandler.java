package io.conexor.api.http;

import java.nio.ByteBuffer;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * The receiving half of one WebSocket.
 *
 * <p><b>Threads.</b> Calls come one at a time, in order, on I/O threads; they must not block.
 * {@link #closed} is the last one.
 */
@ConsumerType
public interface WebSocketHandler {

  /** The socket is open; sending may begin. */
  void opened(WebSocketPeer peer);

  /** A whole binary message; the buffer is valid only during the call. */
  void binary(ByteBuffer message);

  /** A whole text message. */
  void text(String message);

  /**
   * The socket is gone.
   *
   * @param code a WebSocket close code; 1006 when the connection broke
   */
  void closed(int code, String reason);
}
