package io.conexor.itests.lab;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import tools.jackson.databind.JsonNode;

/**
 * A client of {@link ChatHub} on one WebSocket (the SignalR protocol in JSON, without negotiation):
 * says numbers at a steady rate, and notes what it hears of whom, once and in order or not.
 */
final class Chatter implements WebSocket.Listener, AutoCloseable {

  private static final char END = 0x1e;

  private final String name;
  private final WebSocket socket;
  private final StringBuilder partial = new StringBuilder();
  private final Map<String, Integer> heard = new ConcurrentHashMap<>();
  private final Queue<String> troubles = new ConcurrentLinkedQueue<>();
  private final AtomicInteger acknowledged = new AtomicInteger();
  private final Thread speaker;
  // Written by the speaker, read by the test.
  private volatile int said;
  // Written by the test, read by the speaker.
  private volatile boolean stops;

  Chatter(String name, Tenant tenant, Duration pause) {
    this.name = name;
    try {
      socket =
          HttpClient.newHttpClient()
              .newWebSocketBuilder()
              .header("X-API-Key", tenant.token())
              .connectTimeout(Duration.ofSeconds(10))
              .buildAsync(URI.create(tenant.url().replaceFirst("^http", "ws") + "/hub/chat"), this)
              .get(20, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new IllegalStateException("no connection to the chat", e);
    }
    send("{\"protocol\":\"json\",\"version\":1}");
    speaker = new Thread(() -> speak(pause), "chatter-" + name);
    speaker.setDaemon(true);
  }

  Chatter start() {
    speaker.start();
    return this;
  }

  private void speak(Duration pause) {
    while (!stops) {
      said++;
      send(
          "{\"type\":1,\"invocationId\":\"%d\",\"target\":\"say\",\"arguments\":[\"%s\",%d]}"
              .formatted(said, name, said));
      if (said % 100 == 0) {
        send("{\"type\":6}");
      }
      LockSupport.parkNanos(pause.toNanos());
    }
  }

  private synchronized void send(String message) {
    socket.sendText(message + END, true).orTimeout(30, TimeUnit.SECONDS).join();
  }

  /** Says nothing more. */
  void hush() throws InterruptedException {
    stops = true;
    speaker.join(30_000);
  }

  String name() {
    return name;
  }

  int said() {
    return said;
  }

  boolean isAcknowledged() {
    return acknowledged.get() == said;
  }

  /** The last number heard of somebody; whatever came twice, or not in order, is a trouble. */
  int heard(String of) {
    return heard.getOrDefault(of, 0);
  }

  Queue<String> troubles() {
    return troubles;
  }

  @Override
  public CompletionStage<?> onText(WebSocket from, CharSequence text, boolean last) {
    partial.append(text);
    for (int end = partial.indexOf("" + END); end >= 0; end = partial.indexOf("" + END)) {
      read(partial.substring(0, end));
      partial.delete(0, end + 1);
    }
    from.request(1);
    return null;
  }

  private void read(String message) {
    JsonNode parsed = Tenant.parse(message);
    switch (parsed.path("type").asInt(0)) {
      case 1 -> {
        String of = parsed.get("arguments").get(0).asString();
        int number = parsed.get("arguments").get(1).asInt();
        Integer before = heard.put(of, number);
        if (number != (before == null ? 0 : before) + 1) {
          troubles.add("%s: %d after %s".formatted(of, number, before));
        }
      }
      case 3 -> {
        acknowledged.incrementAndGet();
        if (parsed.has("error")) {
          troubles.add(message);
        }
      }
      case 7 -> troubles.add(message);
      default -> {
        if (parsed.has("error")) {
          troubles.add(message);
        }
      }
    }
  }

  @Override
  public CompletionStage<?> onClose(WebSocket from, int status, String reason) {
    if (!stops) {
      troubles.add("closed with " + status + " " + reason);
    }
    return null;
  }

  @Override
  public void onError(WebSocket from, Throwable error) {
    troubles.add(error.toString());
  }

  @Override
  public void close() {
    stops = true;
    socket.abort();
  }

  @Override
  public String toString() {
    return "%s: said %d, acknowledged %d, heard %s, %d troubles %s"
        .formatted(
            name,
            said,
            acknowledged.get(),
            heard,
            troubles.size(),
            troubles.stream().limit(5).toList());
  }
}
