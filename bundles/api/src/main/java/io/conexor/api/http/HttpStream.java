package io.conexor.api.http;

import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/**
 * An answer that is sent in pieces.
 *
 * <p><b>Ordering.</b> One write at a time: the next one starts after the stage of the one before
 * has completed. This is the back-pressure.
 */
@ProviderType
public interface HttpStream {

  /**
   * Sends and flushes a piece. The stage fails with an {@link java.io.IOException} when the client
   * has gone.
   */
  CompletionStage<Void> write(byte[] bytes, int offset, int length);

  /** Ends the answer well. */
  void end();

  /**
   * Ends the answer so that the client can tell it is incomplete (the connection or stream is
   * reset).
   */
  void abort();
}
