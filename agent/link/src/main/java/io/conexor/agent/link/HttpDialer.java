package io.conexor.agent.link;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.conexor.api.Secret;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentWire;
import java.net.ConnectException;
import java.net.ProxySelector;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpTimeoutException;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** Dials backends with the JDK's WebSocket client. */
final class HttpDialer implements Socket.Dialer, AutoCloseable {
  /** A buffer larger than this is given back after the message it was made for. */
  private static final int KEPT_BUFFER = 64 * 1024;

  private final URI uri;
  private final Secret key;
  private final Duration connectTimeout;
  private final Optional<Secret> proxyAuthorization;
  private final HttpClient client;
  private final Set<Receiver> open = ConcurrentHashMap.newKeySet();

  HttpDialer(
      URI uri,
      Secret key,
      Duration connectTimeout,
      Optional<HttpProxy> proxy,
      Optional<SSLContext> tls) {
    this.uri = uri;
    this.key = key;
    this.connectTimeout = connectTimeout;
    this.proxyAuthorization = proxy.flatMap(HttpProxy::authorization).map(Secret::new);
    if (proxyAuthorization.isPresent()) {
      HttpProxy.allowBasicLogin();
    }
    // What arrives is handled where it is read: nobody behind a listener blocks, and a hop to
    // another thread would cost as much as the rest.
    HttpClient.Builder builder =
        HttpClient.newBuilder().connectTimeout(connectTimeout).executor(Runnable::run);
    proxy.ifPresent(through -> builder.proxy(ProxySelector.of(through.address())));
    tls.ifPresent(builder::sslContext);
    client = builder.build();
  }

  @Override
  public CompletionStage<Socket> dial(String linked, Socket.Listener listener) {
    Receiver receiver = new Receiver(listener);
    WebSocket.Builder builder =
        client
            .newWebSocketBuilder()
            .connectTimeout(connectTimeout)
            .header(AgentWire.KEY_HEADER, key.reveal());
    proxyAuthorization.ifPresent(login -> builder.header("Proxy-Authorization", login.reveal()));
    if (!linked.isEmpty()) {
      builder.header(AgentWire.LINKED_HEADER, linked);
    }
    return builder
        .buildAsync(uri, receiver)
        .handle(
            (webSocket, failure) -> {
              if (webSocket == null) {
                throw new CompletionException(explain(failure));
              }
              open.add(receiver);
              var unused = receiver.gone.whenComplete((result, error) -> open.remove(receiver));
              return new JdkSocket(webSocket, receiver);
            });
  }

  /** Gives closing handshakes a moment to end. */
  @Override
  public void close() {
    CompletableFuture<?>[] gone =
        open.stream().map(receiver -> receiver.gone).toArray(CompletableFuture<?>[]::new);
    try {
      CompletableFuture.allOf(gone).get(500, MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      // the connections are cut with the process or by the backend's liveness
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private DialException explain(@Nullable Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof WebSocketHandshakeException handshake) {
        return explain(handshake.getResponse().statusCode());
      }
      if (cause instanceof SSLException) {
        return new DialException(
            "no trusted TLS connection to %s (%s): check tls.ca.file or tls.truststore.file, and that the host name is the certificate's"
                .formatted(uri, cause.getMessage()));
      }
      if (cause instanceof UnknownHostException || cause instanceof UnresolvedAddressException) {
        return new DialException("the host name in backend.url is not known: " + uri.getHost());
      }
      if (cause instanceof HttpTimeoutException) {
        return new DialException(
            "no answer from %s within %d ms".formatted(uri, connectTimeout.toMillis()));
      }
      String said = cause.getMessage();
      if (said != null && said.contains("status code 407")) {
        return explain(407);
      }
      if (cause instanceof ConnectException) {
        return new DialException("%s is not reachable".formatted(uri));
      }
    }
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    return new DialException("no connection to %s: %s".formatted(uri, cause));
  }

  private DialException explain(int status) {
    return switch (status) {
      case 401 ->
          new DialException(
              "the backend refuses the agent's key (401): check `key`; it may be mistyped, expired or revoked");
      case 403 -> new DialException("the key is no agent's key (403): agents' keys start with pk_");
      case 404 ->
          new DialException("no hub for agents at %s (404): check backend.url".formatted(uri));
      case 407 ->
          new DialException(
              "the proxy refuses the login (407): check proxy.user and proxy.password; only Basic logins are supported, and outside of the agent's archive the JVM needs -Djdk.http.auth.tunneling.disabledSchemes=none");
      case 409 -> new DialException("this backend has a link already", true);
      case 429 ->
          new DialException("the backend has as many links of this agent as it takes (429)");
      case 502, 503, 504 ->
          new DialException(
              "no backend takes links now (%d): starting, draining or full".formatted(status));
      default ->
          new DialException(
              "%s answers %d instead of opening a WebSocket: check backend.url and what lies between"
                  .formatted(uri, status));
    };
  }

  private record JdkSocket(WebSocket webSocket, Receiver receiver) implements Socket {
    @Override
    public void send(ByteBuffer message, Consumer<@Nullable Throwable> done) {
      var unused =
          webSocket
              .sendBinary(message, true)
              .whenComplete((result, failure) -> done.accept(failure));
    }

    @Override
    public void close(int code, String reason) {
      // A close frame has room for 123 bytes.
      String text = reason.getBytes(UTF_8).length <= 123 ? reason : "";
      var unused = webSocket.sendClose(code, text).exceptionally(failure -> null);
      // The backend may never answer.
      CompletableFuture.delayedExecutor(2, SECONDS, Runnable::run).execute(this::abort);
    }

    @Override
    public void abort() {
      webSocket.abort();
      receiver.gone.complete(null); // an abort tells the listener nothing
    }
  }

  /**
   * Joins the parts in which the client delivers messages. Its calls come one at a time, in order.
   */
  private static final class Receiver implements WebSocket.Listener {
    private final Socket.Listener listener;
    private final CompletableFuture<Void> gone = new CompletableFuture<>();
    private GrowingBytes message = newBuffer();

    Receiver(Socket.Listener listener) {
      this.listener = listener;
    }

    private static GrowingBytes newBuffer() {
      return new GrowingBytes(0, AgentWire.MAX_MESSAGE_BYTES);
    }

    @Override
    public void onOpen(WebSocket webSocket) {
      // Once for all: nobody behind the listener blocks, and asking for each message has the client
      // switch its interest in the socket off and on.
      webSocket.request(Long.MAX_VALUE);
    }

    @Override
    public @Nullable CompletionStage<?> onBinary(
        WebSocket webSocket, ByteBuffer data, boolean last) {
      listener.sign();
      try {
        message.put(data);
      } catch (ProtocolException e) {
        listener.closed("the backend sent " + e.getMessage());
        webSocket.abort();
        return null;
      }
      if (last) {
        listener.message(message.array(), 0, message.size());
        message.clear();
        if (message.array().length > KEPT_BUFFER) {
          message = newBuffer();
        }
      }
      return null;
    }

    @Override
    public @Nullable CompletionStage<?> onText(
        WebSocket webSocket, CharSequence data, boolean last) {
      return onBinary(webSocket, UTF_8.encode(data.toString()), last);
    }

    @Override
    public @Nullable CompletionStage<?> onPing(WebSocket webSocket, ByteBuffer data) {
      listener.sign();
      return null;
    }

    @Override
    public @Nullable CompletionStage<?> onPong(WebSocket webSocket, ByteBuffer data) {
      listener.sign();
      return null;
    }

    @Override
    public @Nullable CompletionStage<?> onClose(WebSocket webSocket, int code, String reason) {
      gone.complete(null);
      listener.closed(reason.isEmpty() ? "the backend closed it with " + code : reason);
      return null;
    }

    @Override
    public void onError(WebSocket webSocket, Throwable error) {
      gone.complete(null);
      listener.closed("the connection broke: " + error);
    }
  }
}
