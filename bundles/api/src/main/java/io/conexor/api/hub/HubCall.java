package io.conexor.api.hub;

import java.util.List;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ProviderType;

/**
 * One invocation by a client.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. It ends once: with {@link #complete},
 * {@link #fail}, or the end of the connection; what comes later is dropped.
 *
 * <p><b>Resumed connections.</b> When the connection goes on at another backend while this one
 * lives, the call goes on too, and its items and its end find the client there.
 */
@ProviderType
public interface HubCall {

  HubConnection connection();

  Request request();

  /**
   * Sends one item of a stream.
   *
   * @return completes when the next item should be sent: this is the back-pressure. Fails with
   *     {@link java.util.concurrent.CancellationException} when nobody wants more.
   */
  CompletionStage<Void> item(@Nullable Object item);

  /** Ends it well; the result of a stream is dropped, as is any result nobody waits for. */
  void complete(@Nullable Object result);

  /** Ends it with an error for people. */
  void fail(String error);

  /**
   * Runs the action once when the client cancels, or its connection ends for good; at once when
   * that has happened already. Must not block. A cancelled call still has to end.
   */
  void onCancel(Runnable action);

  /**
   * What the client asked for.
   *
   * @param isStream whether it wants items
   * @param uploads the streams it sends along, in the order of the protocol
   */
  record Request(
      String target, List<@Nullable Object> arguments, boolean isStream, List<Upload> uploads) {}
}
