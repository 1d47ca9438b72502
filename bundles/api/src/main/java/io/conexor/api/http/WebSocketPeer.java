package io.conexor.api.http;

import java.nio.ByteBuffer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The sending half of one WebSocket.
 *
 * <p><b>Threads.</b> At most one send may be under way; the next one starts after {@code done} of
 * the one before was called. {@link #close} may be called at any time from any thread.
 */
@ProviderType
public interface WebSocketPeer {

  /**
   * Sends one binary message without blocking.
   *
   * @param done called once, with null on success or the cause; possibly before this method
   *     returns. The buffer must stay unchanged until then.
   */
  void sendBinary(ByteBuffer message, Consumer<@Nullable Throwable> done);

  /** Sends one text message without blocking; as {@link #sendBinary}. */
  void sendText(String message, Consumer<@Nullable Throwable> done);

  /**
   * Starts the closing handshake; the connection is cut after a short bound whatever the peer does.
   * Idempotent.
   */
  void close(int code, String reason);

  /** The peer's address as text. */
  String remoteAddress();
}
