package io.conexor.api.hub;

import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.osgi.annotation.versioning.ProviderType;

/** A stream from the client, part of an invocation. */
@ProviderType
public interface Upload {

  /**
   * Receives the items, also those that arrived before, and then the end. To be called once, from
   * within {@link Hub#invoked} or soon: what waits is bounded. One call at a time, in order, and
   * nothing may block.
   *
   * @param onEnd called with the client's error, or empty when it ended well
   */
  void receive(Consumer<@Nullable Object> onItem, Consumer<Optional<String>> onEnd);
}
