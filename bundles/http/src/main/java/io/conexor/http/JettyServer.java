package io.conexor.http;

import io.conexor.api.http.HttpRoute;
import io.conexor.api.http.WebSocketRoute;
import io.conexor.api.http.WebSocketRoute.Admission;
import io.conexor.api.node.Node;
import java.io.IOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.io.ArrayByteBufferPool;
import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.ConnectionFactory;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.eclipse.jetty.util.thread.Scheduler;
import org.eclipse.jetty.websocket.core.Configuration;
import org.eclipse.jetty.websocket.core.FrameHandler;
import org.eclipse.jetty.websocket.core.WebSocketComponents;
import org.eclipse.jetty.websocket.core.WebSocketExtensionRegistry;
import org.eclipse.jetty.websocket.core.server.Handshaker;
import org.eclipse.jetty.websocket.core.server.ServerUpgradeRequest;
import org.eclipse.jetty.websocket.core.server.ServerUpgradeResponse;
import org.eclipse.jetty.websocket.core.server.WebSocketNegotiator;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The listener: Jetty's core server, one handler that never blocks, and the table of routes. Route
 * handlers run on the selector's thread.
 */
@Component(
    immediate = true, // an entry point: it listens
    service = {},
    configurationPid = JettyServer.PID)
@Designate(ocd = JettyServer.Config.class)
public final class JettyServer {

  static final String PID = "io.conexor.http";

  private static final Logger log = LoggerFactory.getLogger(JettyServer.class);

  @ObjectClassDefinition(name = "HTTP server", description = "Listens for HTTP and WebSockets")
  @interface Config {
    @AttributeDefinition(name = "Host", description = "Address to listen on")
    String host() default "0.0.0.0";

    @AttributeDefinition(name = "Port", description = "0 = any free one", min = "0", max = "65535")
    int port() default 8_080;

    @AttributeDefinition(
        name = "Port file",
        description = "Where to write the port; empty = nowhere")
    String port_file() default "";

    @AttributeDefinition(name = "Threads", description = "At most", min = "8", max = "10000")
    int threads_max() default 64;

    @AttributeDefinition(
        name = "Selectors",
        description = "0 = by processors",
        min = "0",
        max = "64")
    int selectors() default 0;

    @AttributeDefinition(
        name = "Largest body",
        description = "Bytes, whatever a route allows",
        min = "1024",
        max = "1073741824")
    int body_max_bytes() default 10_485_760;

    @AttributeDefinition(
        name = "Largest header",
        description = "Bytes of request line and headers together",
        min = "1024",
        max = "1048576")
    int header_max_bytes() default 16_384;

    @AttributeDefinition(
        name = "Idle timeout",
        description = "Milliseconds a connection may rest between requests",
        min = "1000",
        max = "3600000")
    long idle_timeout_ms() default 60_000;

    @AttributeDefinition(
        name = "Header timeout",
        description = "Milliseconds from the first byte of a header to its last",
        min = "500",
        max = "600000")
    long header_timeout_ms() default 10_000;

    @AttributeDefinition(
        name = "Body timeout",
        description = "Milliseconds from the header to the last byte of the body",
        min = "500",
        max = "3600000")
    long body_timeout_ms() default 30_000;

    @AttributeDefinition(
        name = "Request timeout",
        description = "Milliseconds after which an unanswered request is answered with 503",
        min = "1000",
        max = "3600000")
    long request_timeout_ms() default 120_000;

    @AttributeDefinition(
        name = "WebSocket idle timeout",
        description = "Milliseconds without a frame after which a socket is closed",
        min = "1000",
        max = "3600000")
    long websocket_idle_timeout_ms() default 120_000;

    @AttributeDefinition(
        name = "Connections",
        description = "At most; beyond it nothing is accepted",
        min = "10",
        max = "1000000")
    int connections_max() default 20_000;

    @AttributeDefinition(
        name = "Gone interval",
        description = "Milliseconds between looks whether clients have gone",
        min = "10",
        max = "10000")
    long gone_interval_ms() default 50;

    @AttributeDefinition(
        name = "Route grace",
        description = "Milliseconds a removed route answers 503 rather than 404",
        min = "0",
        max = "600000")
    long route_grace_ms() default 15_000;

    @AttributeDefinition(
        name = "Drain notice",
        description = "Milliseconds a drain leaves the load balancer to notice",
        min = "0",
        max = "600000")
    long drain_notice_ms() default 3_000;

    @AttributeDefinition(
        name = "Drain timeout",
        description = "Milliseconds requests in flight have to end at a drain",
        min = "0",
        max = "600000")
    long drain_timeout_ms() default 600_000;

    @AttributeDefinition(
        name = "Trusted proxies",
        description = "Addresses or CIDR blocks whose X-Forwarded-For and -Proto are believed")
    String[] proxies_trusted() default {};

    @AttributeDefinition(name = "TLS certificate", description = "PEM file with the chain")
    String tls_certificate_file() default "";

    @AttributeDefinition(name = "TLS key", description = "PEM file, PKCS #8, not encrypted")
    String tls_key_file() default "";

    @AttributeDefinition(name = "TLS key store", description = "PKCS #12 file, instead of PEM")
    String tls_keystore_file() default "";

    @AttributeDefinition(
        name = "TLS key store password",
        description = "Of the PKCS #12 file",
        type = AttributeType.PASSWORD)
    String tls_keystore_password() default "";

    @AttributeDefinition(
        name = "TLS reload",
        description = "Milliseconds between looks whether the certificate changed",
        min = "1000",
        max = "86400000")
    long tls_reload_ms() default 60_000;
  }

  private final ThisNode node;
  private final Settings settings;
  private final Server server;
  private final ServerConnector connector;
  private final WebSocketComponents webSockets;
  private final Handshaker handshaker = Handshaker.newInstance();
  private final Watch watch;

  /** Replaced as a whole, under {@code this}; read by every request. */
  private volatile Routes routes = Routes.NONE;

  private final AtomicLong requests = new AtomicLong();
  private final String requestPrefix;

  @Activate
  public JettyServer(@Reference(name = "node") ThisNode node, Config config) throws Exception {
    this(node, Settings.checked(config));
  }

  JettyServer(ThisNode node, Settings settings) throws Exception {
    this(node, settings, new Buffers(new ArrayByteBufferPool()));
  }

  JettyServer(ThisNode node, Settings settings, ByteBufferPool buffers) throws Exception {
    this.node = node;
    this.settings = settings;
    this.requestPrefix = node.id().value().substring(2) + "-";
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    // Jetty looks its parts up with ServiceLoader, in the loader of whoever creates the server.
    thread.setContextClassLoader(Server.class.getClassLoader());
    try {
      QueuedThreadPool pool = new Turn.Pool(settings.threads(), 8, 60_000);
      pool.setName("conexor-http");
      pool.setDaemon(true);
      this.server = new Server(pool, null, buffers);
      this.connector = connector(pool);
      server.addConnector(connector);
      server.addBean(new NetworkConnectionLimit(settings.maxConnections(), connector));
      server.setErrorHandler(new Problems());
      server.setHandler(new Entrance());
      WebSocketExtensionRegistry none = new WebSocketExtensionRegistry();
      Set.copyOf(none.getAvailableExtensionNames()).forEach(none::unregister);
      this.webSockets =
          new WebSocketComponents(none, null, server.getByteBufferPool(), null, null, pool);
      server.addBean(webSockets);
      try {
        server.start();
      } catch (Exception e) {
        server.stop();
        throw e;
      }
    } finally {
      thread.setContextClassLoader(before);
    }
    this.watch = new Watch(settings, connector::getConnectedEndPoints);
    node.listening(
        new ThisNode.Listening(
            settings.host(),
            port(),
            settings.tls(),
            settings.maxConnections(),
            settings.drainNotice(),
            settings.drainTimeout()));
    writePort();
    log.info("listening on {}:{}{}", settings.host(), port(), settings.tls() ? " with TLS" : "");
  }

  private ServerConnector connector(QueuedThreadPool pool) throws Exception {
    HttpConfiguration http = new HttpConfiguration();
    http.setSendServerVersion(false);
    http.setSendXPoweredBy(false);
    http.setRequestHeaderSize(settings.maxHeader());
    http.setUriCompliance(UriCompliance.RFC3986);
    http.setIdleTimeout(-1);
    HttpConnectionFactory http1 = new HttpConnectionFactory(http);
    ConnectionFactory[] factories = {http1};
    if (settings.tls()) {
      http.addCustomizer(new SecureRequestCustomizer(false));
      Tls tls = new Tls(settings);
      factories =
          new ConnectionFactory[] {
            new SslConnectionFactory(tls.factory(), http1.getProtocol()), http1
          };
      reload(tls);
    }
    int processors = Runtime.getRuntime().availableProcessors();
    int selectors =
        settings.selectors() > 0 ? settings.selectors() : Math.max(1, Math.min(4, processors / 2));
    Turn turn = new Turn(pool);
    ServerConnector made =
        new ServerConnector(server, pool, null, null, 1, selectors, factories) {
          @Override
          public Executor getExecutor() {
            // Also called while this is constructed, about the pool.
            return isRunning() ? turn : super.getExecutor();
          }

          @Override
          protected SocketChannelEndPoint newEndPoint(
              SocketChannel channel, ManagedSelector selector, SelectionKey key) {
            WatchedEndPoint endPoint = new WatchedEndPoint(channel, selector, key, getScheduler());
            endPoint.setIdleTimeout(getIdleTimeout());
            return endPoint;
          }
        };
    made.setHost(settings.host());
    made.setPort(settings.port());
    made.setIdleTimeout(settings.idleTimeout().toMillis());
    made.setAcceptQueueSize(1_024);
    return made;
  }

  private void reload(Tls tls) {
    Thread thread =
        new Thread(
            () -> {
              try {
                while (!server.isStopped() || !server.isStarted()) {
                  TimeUnit.MILLISECONDS.sleep(settings.tlsReload().toMillis());
                  if (server.isStopped()) {
                    return;
                  }
                  tls.reloadWhenChanged();
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "conexor-http-tls");
    thread.setDaemon(true);
    thread.start();
  }

  private void writePort() throws IOException {
    if (!settings.portFile().isEmpty()) {
      Path file = Path.of(settings.portFile()).toAbsolutePath();
      Path fresh = file.resolveSibling(file.getFileName() + ".new");
      Files.writeString(fresh, port() + "\n");
      Files.move(fresh, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }
  }

  int port() {
    return connector.getLocalPort();
  }

  Server jetty() {
    return server;
  }

  Settings settings() {
    return settings;
  }

  boolean isDraining() {
    return node.state() == Node.State.DRAINING;
  }

  void ended() {
    node.end();
  }

  String requestId(@Nullable String offered) {
    if (offered != null && !offered.isEmpty() && offered.length() <= 64) {
      boolean sane = true;
      for (int i = 0; i < offered.length() && sane; i++) {
        char c = offered.charAt(i);
        sane = c < 128 && (Character.isLetterOrDigit(c) || c == '-' || c == '_' || c == '.');
      }
      if (sane) {
        return offered;
      }
    }
    return requestPrefix + Long.toString(requests.incrementAndGet(), 36);
  }

  @Reference(
      name = "routes",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void addRoute(HttpRoute route, Map<String, Object> properties) {
    change(
        table ->
            table.with(new Routes.Bound(route, route.path(), ranking(properties), id(properties))));
    log.info("route {} serves", route.path());
  }

  void removeRoute(HttpRoute route) {
    long until = System.nanoTime() + settings.routeGrace().toNanos();
    change(table -> table.without(route, until));
    log.info("route {} gone", route.path());
  }

  @Reference(
      name = "sockets",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void addSockets(WebSocketRoute route, Map<String, Object> properties) {
    change(
        table ->
            table.with(
                new Routes.BoundSocket(route, route.path(), ranking(properties), id(properties))));
    log.info("WebSocket route {} serves", route.path());
  }

  void removeSockets(WebSocketRoute route) {
    Routes.BoundSocket bound = routes.socket(route);
    long until = System.nanoTime() + settings.routeGrace().toNanos();
    change(table -> table.without(route, until));
    if (bound != null) {
      bound.open().forEach(socket -> socket.close(1012, "the service restarts; connect again"));
    }
    log.info("WebSocket route {} gone", route.path());
  }

  private synchronized void change(UnaryOperator<Routes> change) {
    routes = change.apply(routes);
  }

  private static long ranking(Map<String, Object> properties) {
    return properties.get("service.ranking") instanceof Number ranking ? ranking.longValue() : 0;
  }

  private static long id(Map<String, Object> properties) {
    return properties.get("service.id") instanceof Number id ? id.longValue() : 0;
  }

  @Deactivate
  void close() {
    node.listening(null);
    try {
      // No new connections; those at rest are closed. Nothing waits for it: stop() below is final.
      var shutdown = connector.shutdown();
      log.debug("shutting down: {}", shutdown);
      for (Routes.BoundSocket bound : routes.sockets()) {
        bound.open().forEach(socket -> socket.close(1012, "the service restarts; connect again"));
      }
      long until = System.nanoTime() + Duration.ofMillis(500).toNanos();
      while (System.nanoTime() - until < 0
          && routes.sockets().stream().anyMatch(bound -> !bound.open().isEmpty())) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    watch.close();
    try {
      server.setStopTimeout(0);
      server.stop();
    } catch (Exception e) { // LifeCycle declares nothing narrower
      log.error("the HTTP server did not stop cleanly", e);
    }
  }

  /** The one handler. NON_BLOCKING, so that Jetty calls it on the selector's thread. */
  private final class Entrance extends Handler.Abstract.NonBlocking {
    @Override
    public boolean handle(Request request, Response response, Callback callback) {
      String path = request.getHttpURI().getDecodedPath();
      node.begin();
      Exchange exchange = new Exchange(JettyServer.this, request, response, callback, clean(path));
      if (path == null || exchange.path().isEmpty() || path.contains("/../")) {
        exchange.problem(400, "bad_request", "the path is not valid");
        return true;
      }
      Routes table = routes;
      if (request.getHeaders().contains(HttpHeader.UPGRADE, "websocket")
          && "GET".equals(request.getMethod())) {
        upgrade(table, exchange);
        return true;
      }
      Routes.Bound bound = table.http(exchange.path());
      if (table.isVacant(exchange.path(), bound == null ? 0 : bound.path().length())) {
        exchange.withHeader("Retry-After", "1");
        exchange.problem(503, "restarting", "this part of the server restarts; try again");
      } else if (bound == null) {
        if (table.socket(exchange.path()) != null) {
          exchange.withHeader("Upgrade", "websocket");
          exchange.problem(426, "upgrade_required", "this path takes WebSockets only");
        } else {
          exchange.problem(404, "not_found", "nothing is served at this path");
        }
      } else if ("TRACE".equals(request.getMethod()) || "CONNECT".equals(request.getMethod())) {
        exchange.problem(405, "method_not_allowed", "this method is not served");
      } else {
        new BodyReader(exchange, bound.route(), settings).read(JettyServer.this::serve);
      }
      return true;
    }
  }

  private static String clean(@Nullable String path) {
    if (path == null || !path.startsWith("/")) {
      return "";
    }
    if (!path.contains("//")) {
      return path;
    }
    return path.replaceAll("/{2,}", "/");
  }

  private void serve(Exchange exchange, HttpRoute route) {
    try {
      route.handle(exchange);
    } catch (RuntimeException | StackOverflowError e) {
      log.error("route {} failed on request {}", route.path(), exchange.requestId(), e);
      exchange.problem(500, "internal", "the request failed inside the server; see its log");
    }
    if (!exchange.isComplete()) {
      watch.add(exchange);
    }
  }

  private void upgrade(Routes table, Exchange exchange) {
    Routes.BoundSocket bound = table.socket(exchange.path());
    if (bound == null) {
      if (table.isVacant(exchange.path(), 0)) {
        exchange.withHeader("Retry-After", "1");
        exchange.problem(503, "restarting", "this part of the server restarts; try again");
      } else {
        exchange.problem(404, "not_found", "no WebSocket is served at this path");
      }
      return;
    }
    if (isDraining()) {
      exchange.withHeader("Retry-After", "1");
      exchange.problem(503, "draining", "this backend takes nothing new; connect to another");
      return;
    }
    try {
      bound
          .route()
          .admit(exchange)
          .whenComplete(
              (admission, failure) -> {
                if (admission instanceof Admission.Accepted accepted) {
                  open(bound, exchange, accepted);
                } else if (admission instanceof Admission.Rejected rejected) {
                  int status = rejected.status() >= 400 ? rejected.status() : 403;
                  exchange.problem(status, Problems.code(status), rejected.reason());
                } else {
                  log.error("route {} failed to decide about an upgrade", bound.path(), failure);
                  exchange.withHeader("Retry-After", "1");
                  exchange.problem(503, "unavailable", "could not decide about this socket now");
                }
              });
    } catch (RuntimeException e) {
      log.error("route {} failed on an upgrade", bound.path(), e);
      exchange.problem(500, "internal", "the request failed inside the server; see its log");
    }
  }

  private void open(Routes.BoundSocket bound, Exchange exchange, Admission.Accepted accepted) {
    if (!exchange.takeOver()) {
      return;
    }
    Socket socket =
        new Socket(
            accepted.handler(),
            bound.route().maxMessageBytes(),
            exchange.remoteAddress(),
            connector.getScheduler(),
            bound.open()::remove);
    WebSocketNegotiator negotiator =
        new WebSocketNegotiator() {
          @Override
          public FrameHandler negotiate(
              ServerUpgradeRequest request, ServerUpgradeResponse response, Callback callback) {
            bound.open().add(socket);
            return socket;
          }

          @Override
          public void customize(Configuration configuration) {
            configuration.setIdleTimeout(settings.webSocketIdleTimeout());
            configuration.setMaxFrameSize(bound.route().maxMessageBytes());
            configuration.setAutoFragment(true);
          }
        };
    Callback completion = exchange.completion();
    Response response = exchange.response();
    try {
      if (!handshaker.upgradeRequest(
          negotiator, exchange.request, response, completion, webSockets, null)) {
        response.setStatus(400);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, Problems.TYPE);
        byte[] body = Problems.json(400, "bad_request", "not a WebSocket upgrade of version 13");
        response.write(true, java.nio.ByteBuffer.wrap(body), completion);
      }
      if (routes.socket(bound.route()) == null) {
        socket.close(1012, "the service restarts; connect again");
      }
    } catch (RuntimeException e) {
      bound.open().remove(socket);
      Response.writeError(exchange.request, response, completion, e);
    }
  }

  /** For tests that look at the scheduler Jetty uses. */
  Scheduler scheduler() {
    return connector.getScheduler();
  }
}
