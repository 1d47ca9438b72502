package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.protocol.json.JsonReader;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;

/** A client that speaks the JSON protocol byte by byte, so that it can also speak it wrongly. */
final class TestClient implements WebSocket.Listener {
  static final HttpClient HTTP =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
  static final Duration SOON = Duration.ofSeconds(30);

  final List<Map<String, @Nullable Object>> messages = new CopyOnWriteArrayList<>();
  final CompletableFuture<String> closed = new CompletableFuture<>();
  final boolean reads;
  private final StringBuilder partial = new StringBuilder();
  private @Nullable WebSocket socket;

  private TestClient(boolean reads) {
    this.reads = reads;
  }

  /** An answer to a plain request. */
  record Answer(int status, String body) {
    Map<String, @Nullable Object> json() {
      byte[] bytes = body.getBytes(UTF_8);
      return JsonReader.object(bytes, 0, bytes.length);
    }
  }

  static Answer request(String method, String url, String key, String body, String... headers)
      throws IOException, InterruptedException {
    HttpResponse<String> response =
        HTTP.send(request(method, url, key, headers, body), HttpResponse.BodyHandlers.ofString());
    return new Answer(response.statusCode(), response.body());
  }

  static HttpRequest request(String method, String url, String key, String[] headers, String body) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(url))
            .timeout(Duration.ofSeconds(60))
            .method(method, HttpRequest.BodyPublishers.ofString(body));
    if (!key.isEmpty()) {
      request.header("X-API-Key", key);
    }
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return request.build();
  }

  static Answer negotiate(String url, String key, boolean resumable)
      throws IOException, InterruptedException {
    return request(
        "POST",
        url + "/negotiate?negotiateVersion=1" + (resumable ? "&useStatefulReconnect=true" : ""),
        key,
        "");
  }

  static String token(Answer negotiated) {
    return URLEncoder.encode((String) negotiated.json().get("connectionToken"), UTF_8);
  }

  /** Opens a socket and shakes hands. */
  static TestClient connect(String url, String key) {
    TestClient client = open(url, key, true);
    client.handshake();
    return client;
  }

  static TestClient open(String url, String key, boolean reads) {
    TestClient client = new TestClient(reads);
    client.socket =
        HTTP.newWebSocketBuilder()
            .header("X-API-Key", key)
            .connectTimeout(Duration.ofSeconds(20))
            .buildAsync(URI.create(url.replaceFirst("http", "ws")), client)
            .join();
    return client;
  }

  /** The status with which an upgrade is refused. */
  static int refusal(String url, String key) {
    try {
      open(url, key, true);
      return 101;
    } catch (CompletionException e) {
      return ((WebSocketHandshakeException) e.getCause()).getResponse().statusCode();
    }
  }

  void handshake() {
    send("{\"protocol\":\"json\",\"version\":1}");
    until(Map::isEmpty);
  }

  WebSocket socket() {
    WebSocket current = socket;
    if (current == null) {
      throw new IllegalStateException("not open");
    }
    return current;
  }

  void send(String json) {
    socket().sendText(json + "\u001e", true).join();
  }

  void invoke(String id, String target, String arguments) {
    send(
        "{\"type\":1,\"invocationId\":\"%s\",\"target\":\"%s\",\"arguments\":[%s]}"
            .formatted(id, target, arguments));
  }

  @Nullable Object result(String id) {
    return until(m -> Long.valueOf(3).equals(m.get("type")) && id.equals(m.get("invocationId")))
        .get("result");
  }

  Map<String, @Nullable Object> until(Predicate<Map<String, @Nullable Object>> wanted) {
    Awaitility.await("in " + messages).atMost(SOON).until(() -> messages.stream().anyMatch(wanted));
    return messages.stream().filter(wanted).findFirst().orElseThrow();
  }

  /** Code and reason of the close frame. */
  String closed() throws Exception {
    return closed.get(SOON.toSeconds(), TimeUnit.SECONDS);
  }

  /** Cuts the connection without a word. */
  void cut() {
    socket().abort();
  }

  @Override
  public void onOpen(WebSocket webSocket) {
    if (reads) {
      webSocket.request(1);
    }
  }

  @Override
  public CompletionStage<?> onText(WebSocket webSocket, CharSequence data, boolean last) {
    partial.append(data);
    int end = partial.indexOf("\u001e");
    while (end >= 0) {
      byte[] json = partial.substring(0, end).getBytes(UTF_8);
      messages.add(JsonReader.object(json, 0, json.length));
      partial.delete(0, end + 1);
      end = partial.indexOf("\u001e");
    }
    webSocket.request(1);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<?> onClose(WebSocket webSocket, int statusCode, String reason) {
    closed.complete(statusCode + " " + reason);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public void onError(WebSocket webSocket, Throwable error) {
    closed.complete("1006 " + error);
  }
}
