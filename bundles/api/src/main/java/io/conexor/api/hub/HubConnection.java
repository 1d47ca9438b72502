package io.conexor.api.hub;

import io.conexor.api.access.Principal;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ProviderType;

/**
 * One client's connection at this backend.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. Order is kept per calling thread.
 *
 * <p><b>Failure.</b> What is sent to a connection that has ended is dropped. A client that reads
 * too slowly is closed with the reason when its bound of waiting bytes is reached.
 */
@ProviderType
public interface HubConnection {

  /** Public name of the connection, the same wherever it is resumed. */
  String id();

  Principal principal();

  /** The groups it is in now. */
  Set<String> groups();

  /** Invokes a method of the client that answers nothing. */
  void send(String target, List<@Nullable Object> arguments);

  /** Joins a group at once. A name has 1 to 128 characters. */
  void join(String group);

  void leave(String group);

  /**
   * Closes it with a reason the client is told. Idempotent.
   *
   * @param mayReconnect whether a client that reconnects by itself should
   */
  void close(String reason, boolean mayReconnect);
}
