package io.conexor.hub;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.WebSocketHandler;
import io.conexor.api.http.WebSocketPeer;
import io.conexor.api.http.WebSocketRoute;
import io.conexor.api.http.WebSocketRoute.Admission;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.function.Consumer;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/** The least server that puts one WebSocket route on a real socket. */
public final class RouteServer implements AutoCloseable {
  private final Server server = new Server();
  private final ServerConnector connector = new ServerConnector(server, 1, 1);

  RouteServer(WebSocketRoute route, int port) throws Exception {
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    server.setStopTimeout(0);
    server.setHandler(
        WebSocketUpgradeHandler.from(
            server,
            container -> {
              container.setMaxBinaryMessageSize(route.maxMessageBytes());
              container.addMapping(
                  route.path(),
                  (request, response, callback) -> {
                    Admission admission =
                        route.admit(exchange(request)).toCompletableFuture().join();
                    if (admission instanceof Admission.Accepted accepted) {
                      return new Endpoint(accepted.handler());
                    }
                    response.setStatus(((Admission.Rejected) admission).status());
                    callback.succeeded();
                    return null;
                  });
            }));
    server.start();
  }

  int port() {
    return connector.getLocalPort();
  }

  @Override
  public void close() throws Exception {
    server.stop();
  }

  private static HttpExchange exchange(Request request) {
    return (HttpExchange)
        Proxy.newProxyInstance(
            RouteServer.class.getClassLoader(),
            new Class<?>[] {HttpExchange.class},
            (proxy, method, args) ->
                Optional.ofNullable(request.getHeaders().get((String) args[0])));
  }

  public static final class Endpoint implements Session.Listener, WebSocketPeer {
    private final WebSocketHandler handler;
    private volatile Session session;

    Endpoint(WebSocketHandler handler) {
      this.handler = handler;
    }

    @Override
    public void onWebSocketOpen(Session newSession) {
      session = newSession;
      handler.opened(this);
      session.demand();
    }

    @Override
    public void onWebSocketBinary(ByteBuffer payload, Callback callback) {
      handler.binary(payload);
      callback.succeed();
      session.demand();
    }

    @Override
    public void onWebSocketClose(int code, String reason, Callback callback) {
      handler.closed(code, reason == null ? "" : reason);
      callback.succeed();
    }

    @Override
    public void sendBinary(ByteBuffer message, Consumer<Throwable> done) {
      session.sendBinary(message, Callback.from(() -> done.accept(null), done));
    }

    @Override
    public void sendText(String message, Consumer<Throwable> done) {
      session.sendText(message, Callback.from(() -> done.accept(null), done));
    }

    @Override
    public void close(int code, String reason) {
      session.close(code, reason, Callback.NOOP);
    }

    @Override
    public String remoteAddress() {
      return String.valueOf(session.getRemoteSocketAddress());
    }
  }
}
