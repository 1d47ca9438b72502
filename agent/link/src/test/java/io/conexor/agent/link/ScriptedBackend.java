package io.conexor.agent.link;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.Handshake;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * A real WebSocket server that plays backends by script: each new socket is answered by the node
 * that {@link #route} names, as behind a load balancer.
 */
public final class ScriptedBackend implements AutoCloseable {
  private final Server server = new Server();
  private final ServerConnector connector;

  final List<Client> clients = new CopyOnWriteArrayList<>();
  final List<String> linkedHeaders = new CopyOnWriteArrayList<>();

  /** Names and values of all headers of dials, in lower case. */
  final List<String> headers = new CopyOnWriteArrayList<>();

  /** Which node the next socket reaches. */
  volatile Supplier<String> route = () -> "node-1";

  volatile int refuseWith;
  volatile int fleetSize = 1;
  volatile boolean isWelcoming = true;

  ScriptedBackend(int port) throws Exception {
    this(port, null);
  }

  ScriptedBackend(int port, SslContextFactory.Server tls) throws Exception {
    connector = tls == null ? new ServerConnector(server) : new ServerConnector(server, tls);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    server.setStopTimeout(0);
    server.setHandler(
        WebSocketUpgradeHandler.from(
            server,
            container -> {
              container.setMaxBinaryMessageSize(8 << 20);
              container.addMapping(
                  "/hub/agents",
                  (request, response, callback) -> {
                    String linked = request.getHeaders().get("Conexor-Linked");
                    request
                        .getHeaders()
                        .forEach(field -> headers.add(field.toString().toLowerCase(Locale.ROOT)));
                    linkedHeaders.add(linked == null ? "" : linked);
                    String node = route.get();
                    int status =
                        linked != null && List.of(linked.split(",")).contains(node)
                            ? 409
                            : refuseWith;
                    if (status != 0) {
                      response.setStatus(status);
                      callback.succeeded();
                      return null;
                    }
                    return new Client(node, request.getHeaders().get("X-API-Key"));
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

  /** The agent behind one socket. */
  public final class Client implements Session.Listener {
    final String node;
    final String key;
    final List<AgentMessage> heard = new CopyOnWriteArrayList<>();
    volatile Session session;
    volatile boolean isMute;
    volatile Integer closeCode;
    private boolean shookHands;

    Client(String node, String key) {
      this.node = node;
      this.key = key;
    }

    @Override
    public void onWebSocketOpen(Session newSession) {
      session = newSession;
      clients.add(this);
      session.demand();
    }

    @Override
    public void onWebSocketBinary(ByteBuffer payload, Callback callback) {
      byte[] bytes = new byte[payload.remaining()];
      payload.get(bytes);
      callback.succeed();
      int from = 0;
      if (!shookHands) {
        shookHands = true;
        from = Handshake.readRequest(bytes, 0, bytes.length).length();
        send(Handshake.response(null));
      }
      FrameReader frames = new FrameReader().reset(bytes, from, bytes.length - from);
      while (frames.next()) {
        AgentMessage message = AgentDecoder.fromAgent(frames);
        heard.add(message);
        if (message instanceof AgentMessage.Hello && isWelcoming) {
          say(new AgentMessage.Welcome(1, node, "1", fleetSize, 100, "agent-1"));
        }
      }
      if (!isMute) {
        say(AgentMessage.Ping.INSTANCE);
      }
      session.demand();
    }

    @Override
    public void onWebSocketClose(int code, String reason, Callback callback) {
      closeCode = code;
      clients.remove(this);
      callback.succeed();
    }

    @Override
    public void onWebSocketError(Throwable cause) {
      clients.remove(this);
    }

    <T extends AgentMessage> List<T> heard(Class<T> type) {
      return heard.stream().filter(type::isInstance).map(type::cast).toList();
    }

    void say(AgentMessage message) {
      GrowingBytes out = new GrowingBytes(0, 1 << 20);
      new AgentEncoder(out).message(message);
      send(out.toByteArray());
    }

    void send(byte[] bytes) {
      session.sendBinary(ByteBuffer.wrap(bytes), Callback.NOOP);
    }
  }
}
