package io.conexor.agent.link;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** An open WebSocket to a backend. */
interface Socket {
  /** Sends one binary message; one at a time. */
  void send(ByteBuffer message, Consumer<@Nullable Throwable> done);

  /** Starts the closing handshake. */
  void close(int code, String reason);

  /** Cuts the connection. */
  void abort();

  /** Hears from a socket: one call at a time, in order, on an I/O thread. */
  interface Listener {
    /** Anything arrived, a part of a message too. */
    void sign();

    /** A whole message; the bytes are valid during the call. */
    void message(byte[] bytes, int offset, int length);

    void closed(String reason);
  }

  /** Opens sockets. */
  interface Dialer {
    /**
     * @param linked ids of nodes with a link already, joined by commas
     * @return fails with a {@link DialException} and nothing else
     */
    CompletionStage<Socket> dial(String linked, Listener listener);
  }
}
