package io.conexor.hub.clients;

import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.HubConnectionState;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Single;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/** The unmodified Java client of SignalR, which collects what it is told and why it ended. */
final class JavaClient implements AutoCloseable {
  static final int SECONDS = 40;

  final HubConnection hub;
  final List<String> told = new CopyOnWriteArrayList<>();
  final List<String> ends = new CopyOnWriteArrayList<>();

  JavaClient(String url, String key, TransportEnum transport) {
    hub =
        HubConnectionBuilder.create(url)
            .withTransport(transport)
            .withAccessTokenProvider(Single.just(key))
            .build();
    hub.on("told", told::add, String.class);
    hub.onClosed(failure -> ends.add(failure == null ? "as it was told" : String.valueOf(failure)));
  }

  JavaClient start() {
    hub.start().timeout(SECONDS, TimeUnit.SECONDS).blockingAwait();
    return this;
  }

  <T> T invoke(Class<T> type, String target, Object... arguments) {
    return hub.invoke(type, target, arguments).timeout(SECONDS, TimeUnit.SECONDS).blockingGet();
  }

  void invoke(String target, Object... arguments) {
    hub.invoke(target, arguments).timeout(SECONDS, TimeUnit.SECONDS).blockingAwait();
  }

  /** Completes when the hub says that it is done. */
  CompletableFuture<Void> begin(String target, Object... arguments) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    var unused =
        hub.invoke(target, arguments)
            .subscribe(() -> done.complete(null), done::completeExceptionally);
    return done;
  }

  String node() {
    return invoke(String.class, "Node");
  }

  boolean isConnected() {
    return hub.getConnectionState() == HubConnectionState.CONNECTED;
  }

  @Override
  public void close() {
    hub.close();
  }
}
