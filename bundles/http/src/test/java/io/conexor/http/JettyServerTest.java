package io.conexor.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.http.WebSocketHandler;
import io.conexor.api.http.WebSocketPeer;
import io.conexor.api.http.WebSocketRoute;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.eclipse.jetty.util.thread.Invocable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class JettyServerTest {

  private final ThisNode node = new ThisNode();
  private JettyServer server;

  static Settings settings() {
    return new Settings(
        "127.0.0.1",
        0,
        "",
        32,
        1,
        1 << 20,
        8_192,
        Duration.ofSeconds(30),
        Duration.ofSeconds(1),
        Duration.ofSeconds(5),
        Duration.ofSeconds(2),
        Duration.ofSeconds(30),
        1_000,
        Duration.ofMillis(50),
        Duration.ofSeconds(2),
        Duration.ofMillis(100),
        Duration.ofSeconds(30),
        new TrustedProxies(new String[] {"127.0.0.0/8"}),
        "",
        "",
        "",
        "",
        Duration.ofMinutes(1));
  }

  @BeforeEach
  void start() throws Exception {
    server = new JettyServer(node, settings());
  }

  @AfterEach
  void stop() {
    server.close();
  }

  record Route(String path, int maxBodyBytes, Consumer<HttpExchange> action) implements HttpRoute {
    @Override
    public void handle(HttpExchange exchange) {
      action.accept(exchange);
    }
  }

  private void route(String path, Consumer<HttpExchange> action) {
    server.addRoute(new Route(path, 1_000, action), Map.of());
  }

  private HttpResponse<String> get(String path) throws Exception {
    return HttpClient.newHttpClient()
        .send(HttpRequest.newBuilder(uri("http", path)).build(), BodyHandlers.ofString());
  }

  private URI uri(String scheme, String path) {
    return URI.create(scheme + "://127.0.0.1:" + server.port() + path);
  }

  private Socket dial() throws IOException {
    Socket socket = new Socket("127.0.0.1", server.port());
    socket.setSoTimeout(10_000);
    return socket;
  }

  private static void send(Socket socket, String text) throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    out.flush();
  }

  private static String readUntil(Socket socket, String end) throws IOException {
    StringBuilder text = new StringBuilder();
    InputStream in = socket.getInputStream();
    for (int b = in.read(); b >= 0; b = in.read()) {
      text.append((char) b);
      if (text.toString().endsWith(end)) {
        break;
      }
    }
    return text.toString();
  }

  /** Lets a peer be silent for a while; nothing is waited for. */
  private static void pause(long millis) {
    await().pollDelay(Duration.ofMillis(millis)).until(() -> true);
  }

  private static void text(HttpExchange exchange, String text) {
    exchange.respond(200, "text/plain", text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void the_server_calls_handlers_on_the_selector() throws Exception {
    AtomicReference<String> thread = new AtomicReference<>();
    route(
        "/a",
        exchange -> {
          thread.set(Invocable.isNonBlockingInvocation() + " " + Thread.currentThread().getName());
          text(exchange, "ok");
        });

    assertThat(server.jetty().getInvocationType()).isEqualTo(Invocable.InvocationType.NON_BLOCKING);
    assertThat(get("/a").body()).isEqualTo("ok");
    assertThat(thread.get()).contains("conexor-http");
  }

  @Test
  void the_longest_path_wins_and_whole_segments_count() throws Exception {
    route("/a", exchange -> text(exchange, "short"));
    route("/a/b", exchange -> text(exchange, "long"));

    assertThat(get("/a/b/c").body()).isEqualTo("long");
    assertThat(get("/a/bc").body()).isEqualTo("short");
    assertThat(get("/ab").statusCode()).isEqualTo(404);
  }

  @Test
  void errors_are_problems_without_traces_or_versions() throws Exception {
    route(
        "/broken",
        exchange -> {
          throw new IllegalStateException("inner secret");
        });

    HttpResponse<String> missing = get("/nowhere");
    assertThat(missing.headers().firstValue("content-type")).hasValue("application/problem+json");
    assertThat(missing.headers().firstValue("server")).isEmpty();
    assertThat(missing.headers().firstValue("x-content-type-options")).hasValue("nosniff");
    assertThat(missing.headers().firstValue("x-request-id")).isPresent();

    HttpResponse<String> broken = get("/broken");
    assertThat(broken.statusCode()).isEqualTo(500);
    assertThat(broken.body()).doesNotContain("secret").doesNotContain("java");
    try (Socket socket = dial()) {
      send(socket, "GARBAGE\r\n\r\n");
      assertThat(readUntil(socket, "}")).startsWith("HTTP/1.1 400").doesNotContain("Jetty");
    }
    try (Socket socket = dial()) {
      send(socket, "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x".repeat(9_000) + "\r\n\r\n");
      assertThat(readUntil(socket, "}")).startsWith("HTTP/1.1 431");
    }
  }

  @Test
  void a_body_is_bounded_whether_it_says_its_length_or_not() throws Exception {
    route("/echo", exchange -> text(exchange, exchange.body().length + " bytes"));
    HttpClient client = HttpClient.newHttpClient();
    HttpRequest.Builder request = HttpRequest.newBuilder(uri("http", "/echo"));

    assertThat(post(client, request, 1_000).body()).isEqualTo("1000 bytes");
    assertThat(post(client, request, 1_001).statusCode()).isEqualTo(413);
    try (Socket socket = dial()) {
      send(socket, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      send(socket, "5\r\nabcde\r\n");
      send(socket, "3\r\nabc\r\n0\r\n\r\n");
      assertThat(readUntil(socket, "bytes")).endsWith("8 bytes");
    }
  }

  private static HttpResponse<String> post(HttpClient client, HttpRequest.Builder request, int size)
      throws Exception {
    return client.send(
        request.POST(HttpRequest.BodyPublishers.ofByteArray(new byte[size])).build(),
        BodyHandlers.ofString());
  }

  @Test
  void a_client_that_goes_is_noticed_within_a_quarter_of_a_second() throws Exception {
    AtomicLong goneAt = new AtomicLong();
    CompletableFuture<HttpExchange> arrived = new CompletableFuture<>();
    route(
        "/slow",
        exchange -> {
          exchange.onGone(() -> goneAt.set(System.nanoTime()));
          arrived.complete(exchange);
        });
    Socket socket = dial();
    send(socket, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    arrived.get(5, TimeUnit.SECONDS);

    pause(200);
    assertThat(goneAt.get()).isZero();
    long closedAt = System.nanoTime();
    socket.close();

    await().atMost(Duration.ofSeconds(2)).until(() -> goneAt.get() != 0);
    assertThat(Duration.ofNanos(goneAt.get() - closedAt)).isLessThan(Duration.ofMillis(250));
    text(arrived.get(), "too late");
    await().atMost(Duration.ofSeconds(2)).until(() -> node.inFlight() == 0);
  }

  @Test
  void a_half_closed_client_counts_as_gone_and_still_gets_its_answer() throws Exception {
    CompletableFuture<HttpExchange> arrived = new CompletableFuture<>();
    route("/slow", exchange -> exchange.onGone(() -> arrived.complete(exchange)));
    try (Socket socket = dial()) {
      send(socket, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
      socket.shutdownOutput();
      text(arrived.get(5, TimeUnit.SECONDS), "bye");
      assertThat(readUntil(socket, "bye")).contains("200 OK").endsWith("bye");
    }
  }

  @Test
  void requests_sent_ahead_survive_being_looked_at() throws Exception {
    Queue<HttpExchange> waiting = new ConcurrentLinkedQueue<>();
    AtomicLong gone = new AtomicLong();
    route(
        "/slow",
        exchange -> {
          exchange.onGone(gone::incrementAndGet);
          waiting.add(exchange);
        });
    try (Socket socket = dial()) {
      send(socket, "GET /slow/0 HTTP/1.1\r\nHost: a\r\n\r\n");
      for (int i = 0; i < 20; i++) {
        int number = i;
        await().atMost(Duration.ofSeconds(5)).until(() -> !waiting.isEmpty());
        HttpExchange exchange = waiting.remove();
        assertThat(exchange.path()).isEqualTo("/slow/" + number);
        pause(110);
        String ahead =
            "POST /slow/" + (i + 1) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 700\r\n\r\n";
        send(socket, ahead + "x".repeat(350));
        pause(120);
        send(socket, "x".repeat(350));
        text(exchange, "answer " + i + ".");
        assertThat(readUntil(socket, "answer " + i + ".")).contains("200 OK");
      }
      assertThat(gone.get()).isZero();
    }
    // With bytes in store, too, going is noticed.
    await().atMost(Duration.ofSeconds(2)).until(() -> gone.get() == 1);
  }

  @Test
  void keep_alive_goes_on_after_a_long_request() throws Exception {
    Queue<HttpExchange> waiting = new ConcurrentLinkedQueue<>();
    route("/slow", waiting::add);
    route("/fast", exchange -> text(exchange, "fast."));
    try (Socket socket = dial()) {
      for (int i = 0; i < 3; i++) {
        send(socket, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        await().atMost(Duration.ofSeconds(5)).until(() -> !waiting.isEmpty());
        pause(250);
        text(waiting.remove(), "slow.");
        assertThat(readUntil(socket, "slow.")).endsWith("slow.");
        send(socket, "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n");
        assertThat(readUntil(socket, "fast.")).endsWith("fast.");
      }
    }
  }

  @Test
  void a_request_nobody_answers_is_answered_by_the_server() throws Exception {
    route("/never", exchange -> {});

    HttpResponse<String> answer = get("/never");

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.headers().firstValue("retry-after")).isPresent();
  }

  @Test
  void a_header_that_trickles_in_is_cut_off() throws Exception {
    try (Socket socket = dial()) {
      send(socket, "GET / HTTP/1.1\r\n");
      long start = System.nanoTime();
      boolean cut = false;
      while (!cut && System.nanoTime() - start < TimeUnit.SECONDS.toNanos(10)) {
        try {
          send(socket, "X: y\r\n");
          pause(100);
        } catch (IOException e) {
          cut = true;
        }
      }
      assertThat(cut).isTrue();
    }
  }

  @Test
  void a_removed_route_is_missed_for_a_while_only() throws Exception {
    Route route = new Route("/a", 10, exchange -> text(exchange, "ok"));
    server.addRoute(route, Map.of());
    server.removeRoute(route);

    HttpResponse<String> missing = get("/a/x");
    assertThat(missing.statusCode()).isEqualTo(503);
    assertThat(missing.headers().firstValue("retry-after")).hasValue("1");
    await().atMost(Duration.ofSeconds(5)).until(() -> get("/a/x").statusCode() == 404);
    server.addRoute(route, Map.of());
    assertThat(get("/a").body()).isEqualTo("ok");
  }

  @Test
  void the_forwarded_address_is_believed_from_trusted_proxies() throws Exception {
    route("/who", exchange -> text(exchange, exchange.remoteAddress() + " " + exchange.isSecure()));
    HttpRequest request =
        HttpRequest.newBuilder(uri("http", "/who"))
            .header("X-Forwarded-For", "1.2.3.4, 9.9.9.9, 127.0.0.2")
            .header("X-Forwarded-Proto", "https")
            .build();

    assertThat(HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body())
        .isEqualTo("9.9.9.9 true");
  }

  @Test
  void a_stream_comes_in_pieces_and_an_aborted_one_is_seen_as_such() throws Exception {
    route(
        "/stream",
        exchange -> {
          var stream = exchange.stream(200, "text/plain");
          byte[] piece = "piece".getBytes(StandardCharsets.UTF_8);
          stream.write(piece, 0, 5).thenRun(() -> end(exchange, stream));
        });

    assertThat(get("/stream/end").body()).isEqualTo("piece");
    try (Socket socket = dial()) {
      send(socket, "GET /stream/abort HTTP/1.1\r\nHost: a\r\n\r\n");
      assertThat(readUntil(socket, "0\r\n\r\n")).contains("piece").doesNotContain("0\r\n\r\n");
    }
  }

  private static void end(HttpExchange exchange, io.conexor.api.http.HttpStream stream) {
    if (exchange.path().endsWith("end")) {
      stream.end();
    } else {
      stream.abort();
    }
  }

  /** Sends everything back. */
  static final class Echo implements WebSocketHandler {
    final AtomicReference<WebSocketPeer> peer = new AtomicReference<>();
    final CompletableFuture<Integer> closed = new CompletableFuture<>();

    @Override
    public void opened(WebSocketPeer opened) {
      peer.set(opened);
    }

    @Override
    public void binary(ByteBuffer message) {
      byte[] copy = new byte[message.remaining()];
      message.get(copy);
      peer.get().sendBinary(ByteBuffer.wrap(copy), failure -> {});
    }

    @Override
    public void text(String message) {
      peer.get().sendText(message, failure -> {});
    }

    @Override
    public void closed(int code, String reason) {
      closed.complete(code);
    }
  }

  record Sockets(String path, int maxMessageBytes, CompletionStage<Admission> admission)
      implements WebSocketRoute {
    @Override
    public CompletionStage<Admission> admit(HttpExchange handshake) {
      return admission;
    }
  }

  /** Collects what a client hears. */
  static final class Ear implements WebSocket.Listener {
    final Queue<String> texts = new ConcurrentLinkedQueue<>();
    final AtomicLong bytes = new AtomicLong();
    final CompletableFuture<Integer> closed = new CompletableFuture<>();

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
      texts.add(data.toString());
      socket.request(1);
      return null;
    }

    @Override
    public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer data, boolean last) {
      bytes.addAndGet(data.remaining());
      socket.request(1);
      return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
      closed.complete(code);
      return null;
    }
  }

  private WebSocket open(Ear ear) {
    return HttpClient.newHttpClient()
        .newWebSocketBuilder()
        .buildAsync(uri("ws", "/ws"), ear)
        .join();
  }

  @Test
  void messages_pass_whole_in_both_directions() throws Exception {
    Echo echo = new Echo();
    CompletableFuture<WebSocketRoute.Admission> later = new CompletableFuture<>();
    server.addSockets(new Sockets("/ws", 300_000, later), Map.of());
    later.completeOnTimeout(
        new WebSocketRoute.Admission.Accepted(echo), 100, TimeUnit.MILLISECONDS);
    Ear ear = new Ear();
    WebSocket socket = open(ear);

    socket.sendText("hällo", true).join();
    socket.sendBinary(ByteBuffer.wrap(new byte[100_000]), false).join();
    socket.sendBinary(ByteBuffer.wrap(new byte[150_000]), true).join();
    socket.sendPing(ByteBuffer.wrap(new byte[3])).join();

    await().atMost(Duration.ofSeconds(5)).until(() -> ear.bytes.get() == 250_000);
    assertThat(ear.texts).containsExactly("hällo");
    assertThat(node.inFlight()).isZero();
    socket.sendClose(1000, "done").join();
    assertThat(echo.closed.get(5, TimeUnit.SECONDS)).isEqualTo(1000);
  }

  @Test
  void a_message_that_is_too_large_closes_with_1009() throws Exception {
    Echo echo = new Echo();
    accept(echo);
    Ear ear = new Ear();
    WebSocket socket = open(ear);

    // The client takes one send at a time and drops a second one.
    socket.sendBinary(ByteBuffer.wrap(new byte[900]), false).join();
    socket.sendBinary(ByteBuffer.wrap(new byte[900]), true);

    assertThat(ear.closed.get(5, TimeUnit.SECONDS)).isEqualTo(1009);
    echo.closed.get(5, TimeUnit.SECONDS);
  }

  private Sockets accept(Echo echo) {
    Sockets route =
        new Sockets(
            "/ws",
            1_000,
            CompletableFuture.completedFuture(new WebSocketRoute.Admission.Accepted(echo)));
    server.addSockets(route, Map.of());
    return route;
  }

  @Test
  void sockets_of_a_removed_route_are_closed_with_1012() throws Exception {
    Echo echo = new Echo();
    Sockets route = accept(echo);
    Ear ear = new Ear();
    open(ear);
    await().atMost(Duration.ofSeconds(5)).until(() -> echo.peer.get() != null);

    server.removeSockets(route);

    assertThat(ear.closed.get(5, TimeUnit.SECONDS)).isEqualTo(1012);
    echo.closed.get(5, TimeUnit.SECONDS);
  }

  @Test
  void a_refused_upgrade_is_a_problem() throws Exception {
    server.addSockets(
        new Sockets(
            "/ws",
            1_000,
            CompletableFuture.completedFuture(
                new WebSocketRoute.Admission.Rejected(401, "no such key"))),
        Map.of());
    try (Socket socket = dial()) {
      send(
          socket,
          "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      assertThat(readUntil(socket, "}")).startsWith("HTTP/1.1 401").contains("no such key");
    }
    assertThat(get("/ws").statusCode()).isEqualTo(426);
  }

  @Test
  void a_drain_waits_for_what_is_in_flight() throws Exception {
    CompletableFuture<HttpExchange> arrived = new CompletableFuture<>();
    route("/slow", arrived::complete);
    Socket socket = dial();
    send(socket, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    HttpExchange exchange = arrived.get(5, TimeUnit.SECONDS);

    CompletableFuture<Void> drained = node.drain(Duration.ofSeconds(5)).toCompletableFuture();
    pause(300);
    assertThat(drained).isNotDone();
    text(exchange, "done.");

    drained.get(5, TimeUnit.SECONDS);
    assertThat(readUntil(socket, "done.")).contains("Connection: close");
    socket.close();
  }
}
