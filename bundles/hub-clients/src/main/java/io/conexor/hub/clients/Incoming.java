package io.conexor.hub.clients;

import io.conexor.api.hub.Upload;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A stream from a client. Its state belongs to its session's order of tasks. */
final class Incoming implements Upload {
  private static final int MAX_WAITING = 1_024;

  private record Receiver(Consumer<@Nullable Object> onItem, Consumer<Optional<String>> onEnd) {}

  private final ClientSession session;

  /** An array of one item each, as a deque takes no null. */
  private final Deque<@Nullable Object[]> waiting = new ArrayDeque<>();

  private @Nullable Receiver receiver;
  private boolean isOver;

  /** The client's error, once it is over. */
  private Optional<String> error = Optional.empty();

  Incoming(ClientSession session) {
    this.session = session;
  }

  @Override
  public void receive(Consumer<@Nullable Object> onItem, Consumer<Optional<String>> onEnd) {
    session.run(
        () -> {
          if (receiver != null) {
            throw new IllegalStateException("an upload has one receiver");
          }
          Receiver mine = new Receiver(onItem, onEnd);
          receiver = mine;
          waiting.forEach(item -> session.guarded(() -> onItem.accept(item[0])));
          waiting.clear();
          if (isOver) {
            session.guarded(() -> onEnd.accept(error));
          }
        });
  }

  /** From the session's tasks. */
  void item(@Nullable Object item) {
    Receiver current = receiver;
    if (isOver) {
      return;
    }
    if (current != null) {
      session.guarded(() -> current.onItem().accept(item));
    } else if (waiting.size() < MAX_WAITING) {
      waiting.add(new Object[] {item});
    } else {
      waiting.clear();
      end(Optional.of("more than " + MAX_WAITING + " items came before anybody wanted them"));
    }
  }

  /** From the session's tasks. */
  void end(Optional<String> newError) {
    if (isOver) {
      return;
    }
    isOver = true;
    error = newError;
    Receiver current = receiver;
    if (current != null) {
      session.guarded(() -> current.onEnd().accept(newError));
    }
  }
}
