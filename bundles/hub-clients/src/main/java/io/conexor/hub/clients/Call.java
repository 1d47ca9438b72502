package io.conexor.hub.clients;

import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/** One invocation by a client. Its state belongs to its session's order of tasks. */
final class Call implements HubCall {
  private final ClientSession session;
  private final @Nullable String id;
  private final Request request;
  private final List<String> uploadIds;

  boolean ended;
  boolean cancelled;
  private final List<Runnable> onCancel = new ArrayList<>(1);

  Call(ClientSession session, @Nullable String id, Request request, List<String> uploadIds) {
    this.session = session;
    this.id = id;
    this.request = request;
    this.uploadIds = uploadIds;
  }

  /** Null when the client waits for nothing. */
  @Nullable String id() {
    return id;
  }

  List<String> uploadIds() {
    return uploadIds;
  }

  @Override
  public HubConnection connection() {
    return session;
  }

  @Override
  public Request request() {
    return request;
  }

  @Override
  public CompletionStage<Void> item(@Nullable Object item) {
    CompletableFuture<Void> next = new CompletableFuture<>();
    session.item(this, item, next);
    return next;
  }

  @Override
  public void complete(@Nullable Object result) {
    session.completed(this, result, null);
  }

  @Override
  public void fail(String error) {
    session.completed(this, null, error);
  }

  @Override
  public void onCancel(Runnable action) {
    session.run(
        () -> {
          if (cancelled) {
            action.run();
          } else if (!ended) {
            onCancel.add(action);
          }
        });
  }

  /** From the session's tasks: the client wants no more of it. */
  void cancel() {
    if (!cancelled && !ended) {
      cancelled = true;
      List.copyOf(onCancel).forEach(session::guarded);
      onCancel.clear();
    }
  }
}
