package io.conexor.itests.interop;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.itests.lab.Backend;
import io.conexor.itests.lab.LogsOfFailures;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Ten thousand malformed requests against the whole. Each is answered with the error of its own
 * protocol; afterwards everything works and nothing has grown. The seed is printed and can be given
 * with {@code -Dgarbage.seed}.
 */
@ExtendWith(LogsOfFailures.class)
class GarbageIT {

  private static final int REQUESTS = Integer.getInteger("garbage.requests", 10_000);
  private static final int CLIENTS = 4;

  private static final String[] MCP = {
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"query\",\"arguments\":{\"sql\":\"SELECT 1\"}}}",
    "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}}",
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}}}",
    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}"
  };
  private static final String[][] REST = {
    {"/query", "{\"source\":\"goods\",\"sql\":\"SELECT 1\",\"parameters\":[1],\"limit\":1}"},
    {"/agents", "{\"name\":\"\\u0000\",\"allowedSources\":[\"x\"]}"},
    {"/sources", "{\"name\":\"goods\",\"engine\":\"postgresql\"}"},
    {
      "/tools",
      "{\"name\":\"t t\",\"source\":\"goods\",\"sql\":\"SELECT 1\",\"parameters\":[{\"name\":\"a\"}]}"
    },
    {"/mcp-servers", "{\"name\":\"S\",\"sources\":[\"goods\"]}"},
    {"/keys", "{\"kind\":\"SERVER\",\"owner\":\"nobody\",\"name\":\"k\"}"},
    {
      "/setup",
      "{\"token\":\"x\",\"organisation\":\"acme\",\"email\":\"a@b.c\",\"password\":\"long enough it is\"}"
    }
  };
  private static final String[] VALUES = {
    "null",
    "true",
    "-1",
    "1e999",
    "9223372036854775808",
    "\"\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "\"\\ud800\"",
    "0.1",
    "\"\\u0000\""
  };

  @RegisterExtension static final Shop shop = new Shop();

  private final Map<String, AtomicInteger> answers = new ConcurrentHashMap<>();

  @Test
  void ten_thousand_malformed_requests_leave_it_healthy() throws Exception {
    long seed = Long.getLong("garbage.seed", 20_260_728);
    System.out.println("garbage.seed=" + seed);
    Backend backend = shop.open().backend();
    flood(seed + 1, REQUESTS / 10);
    long heap = backend.liveHeapKiB();
    long threads = backend.threads();
    long resident = backend.residentKiB();
    answers.clear();

    flood(seed, REQUESTS);

    System.out.printf(
        "answers %s; KiB of live heap %d -> %d, resident %d -> %d, threads %d -> %d%n",
        new java.util.TreeMap<>(answers),
        heap,
        backend.liveHeapKiB(),
        resident,
        backend.residentKiB(),
        threads,
        backend.threads());
    assertThat(answers.values().stream().mapToInt(AtomicInteger::get).sum()).isEqualTo(REQUESTS);
    assertThat(backend.get("/health").body()).contains("\"HEALTHY\"");
    assertThat(shop.open().process().isAlive()).isTrue();
    assertThat(shop.open().mcp().call("count_log").get("rowCount").asInt()).isEqualTo(1);
    assertThat(backend.liveHeapKiB() - heap).as("growth of the live heap, KiB").isLessThan(16_384);
    assertThat(backend.threads() - threads).as("growth of threads").isLessThanOrEqualTo(8);
    assertThat(backend.residentKiB()).as("resident memory, KiB").isLessThan(600_000);
    assertThat(backend.output()).doesNotContain(" ERROR ", "OutOfMemory");
  }

  private void flood(long seed, int requests) throws Exception {
    ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int client = 0; client < CLIENTS; client++) {
        int first = client;
        running.add(
            clients.submit(
                () -> {
                  try (Wire wire = new Wire(shop.open().backend().port())) {
                    for (int i = first; i < requests; i += CLIENTS) {
                      one(new Random(seed * 31 + i), i, wire);
                    }
                  }
                  return null;
                }));
      }
      for (Future<?> each : running) {
        try {
          each.get(180, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
          if (e.getCause() instanceof AssertionError wrong) {
            throw wrong;
          }
          throw e;
        }
      }
    } finally {
      clients.shutdownNow();
    }
  }

  private void one(Random random, int number, Wire wire) throws Exception {
    Shop.Open open = shop.open();
    int kind = random.nextInt(100);
    if (number % 100 == 0) {
      frames(random);
    } else if (kind < 15) {
      bytes(random);
    } else if (kind < 50) {
      byte[] body = broken(random, MCP[random.nextInt(MCP.length)]);
      String headers = "X-API-Key: " + open.server().key() + "\r\n";
      if (random.nextInt(4) == 0) {
        headers += "Mcp-Session-Id: " + word(random) + "\r\n";
      }
      if (random.nextInt(4) == 0) {
        headers +=
            "MCP-Protocol-Version: "
                + (random.nextBoolean() ? "2026-07-28" : word(random))
                + "\r\n";
      }
      mcp(wire.ask("POST", open.server().path(), headers, body), body);
    } else if (kind < 80) {
      String[] operation = REST[random.nextInt(REST.length)];
      byte[] body = broken(random, operation[1]);
      rest(
          wire.ask(
              "POST",
              "/api/v1" + operation[0],
              "X-API-Key: " + open.tenant().token() + "\r\n",
              body),
          body);
    } else if (kind < 95) {
      forged(random, wire, open);
    } else {
      large(random, wire, open);
    }
  }

  private void count(String what) {
    answers.computeIfAbsent(what, key -> new AtomicInteger()).incrementAndGet();
  }

  private static String word(Random random) {
    StringBuilder word = new StringBuilder();
    for (int i = 1 + random.nextInt(60); i > 0; i--) {
      word.append((char) ('!' + random.nextInt(94)));
    }
    return word.toString();
  }

  /** Flips bytes, cuts, doubles, or puts values of other types where there were others. */
  private static byte[] broken(Random random, String json) {
    if (random.nextInt(3) == 0) {
      String[] parts = json.split("(?<=:)(?=[\"\\[{0-9])", -1);
      int at = 1 + random.nextInt(parts.length - 1);
      parts[at] =
          VALUES[random.nextInt(VALUES.length)]
              + parts[at].replaceFirst("^(\"[^\"]*\"|[0-9]+|\\[[^\\]]*\\]|\\{[^}]*\\})", "");
      return String.join("", parts).getBytes(UTF_8);
    }
    byte[] bytes = json.getBytes(UTF_8);
    switch (random.nextInt(4)) {
      case 0 -> {
        return java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length));
      }
      case 1 -> {
        return (json + json).getBytes(UTF_8);
      }
      case 2 -> {
        return "[".repeat(1 + random.nextInt(5_000)).getBytes(UTF_8);
      }
      default -> {
        for (int i = 1 + random.nextInt(6); i > 0; i--) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        }
        return bytes;
      }
    }
  }

  /** What breaks may happen to be right: the answer is then a result. Else JSON-RPC's own error. */
  private void mcp(Answer answer, byte[] sent) {
    String shown = answer + "\n to " + new String(sent, ISO_8859_1);
    assertThat(answer.status).as(shown).isIn(200, 202, 400, 404);
    assertThat(answer.body).doesNotContain("Exception", "\tat ");
    if (answer.status == 202) {
      count("mcp 202");
      return;
    }
    JsonNode message = json(answer);
    assertThat(message.path("jsonrpc").asString("")).as(shown).isEqualTo("2.0");
    if (message.has("error")) {
      int code = message.get("error").get("code").asInt();
      assertThat(code).as(shown).isIn(-32700, -32600, -32601, -32602, -32020, -32022);
      count("mcp " + answer.status + " " + code);
    } else {
      assertThat(message.has("result")).as(shown).isTrue();
      count("mcp " + answer.status + " result");
    }
  }

  private void rest(Answer answer, byte[] sent) {
    String shown = answer + "\n to " + new String(sent, ISO_8859_1);
    assertThat(answer.body).doesNotContain("Exception", "\tat ");
    if (answer.status < 300) {
      count("rest " + answer.status);
      return;
    }
    assertThat(answer.status).as(shown).isIn(400, 401, 403, 404, 405, 409, 413, 415, 429);
    assertThat(json(answer).path("code").asString("")).as(shown).isNotEmpty();
    count("rest " + answer.status);
  }

  private static JsonNode json(Answer answer) {
    try {
      return Tenant.parse(answer.body);
    } catch (JacksonException e) {
      throw new AssertionError(answer.toString(), e);
    }
  }

  private void forged(Random random, Wire wire, Shop.Open open) throws IOException {
    String real = random.nextBoolean() ? open.server().key() : open.tenant().token();
    char[] letters = real.toCharArray();
    for (int i = 1 + random.nextInt(3); i > 0; i--) {
      int at = 4 + random.nextInt(letters.length - 4);
      letters[at] = letters[at] == 'x' ? 'y' : 'x';
    }
    String header =
        switch (random.nextInt(4)) {
          case 0 -> "X-API-Key: " + new String(letters);
          case 1 -> "Authorization: Bearer " + new String(letters);
          case 2 -> "Authorization: " + word(random);
          default -> "Cookie: conexor_session=" + word(random).replaceAll("[;,=\"]", "x");
        };
    boolean toMcp = random.nextBoolean();
    String path = toMcp ? open.server().path() : "/api/v1/agents";
    Answer answer =
        wire.ask(
            toMcp ? "POST" : "GET",
            path,
            header + "\r\n",
            toMcp ? MCP[3].getBytes(UTF_8) : new byte[0]);
    assertThat(answer.status).as(header + "\n" + answer).isEqualTo(401);
    assertThat(answer.head).contains("WWW-Authenticate");
    JsonNode body = json(answer);
    assertThat(toMcp ? body.has("error") : body.has("code")).as(header + "\n" + answer).isTrue();
    count("forged 401");
  }

  private void large(Random random, Wire wire, Shop.Open open) throws IOException {
    boolean toMcp = random.nextBoolean();
    String path = toMcp ? open.server().path() : "/api/v1/query";
    String key = toMcp ? open.server().key() : open.tenant().token();
    if (random.nextInt(4) > 0) {
      // Announced and never sent: refused by its length alone.
      Answer answer =
          wire.raw(
              "POST "
                  + path
                  + " HTTP/1.1\r\nHost: x\r\nX-API-Key: "
                  + key
                  + "\r\nContent-Length: "
                  + (20_000_000L + random.nextInt(1_000_000_000))
                  + "\r\n\r\n");
      assertThat(answer.status).as(answer.toString()).isEqualTo(413);
    } else {
      byte[] body = new byte[1_200_000];
      java.util.Arrays.fill(body, (byte) '[');
      Answer answer = wire.ask("POST", path, "X-API-Key: " + key + "\r\n", body);
      assertThat(answer.status).as(answer.toString()).isEqualTo(413);
    }
    wire.reset();
    count("large 413");
  }

  private void bytes(Random random) throws IOException {
    byte[] junk = new byte[1 + random.nextInt(600)];
    random.nextBytes(junk);
    if (random.nextInt(3) == 0) {
      byte[] start = "GET /health HTTP/1.1\r\nHost: x\r\nX: ".getBytes(ISO_8859_1);
      System.arraycopy(start, 0, junk, 0, Math.min(start.length, junk.length));
    }
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress("127.0.0.1", shop.open().backend().port()), 5_000);
      socket.setSoTimeout(20_000);
      socket.getOutputStream().write(junk);
      socket.shutdownOutput();
      String answer = new String(socket.getInputStream().readAllBytes(), ISO_8859_1);
      // Cut off, or HTTP's own error; a header that happens to be whole is answered.
      assertThat(answer.isEmpty() || answer.matches("(?s)HTTP/1\\.[01] (2|4|505).*"))
          .as(answer)
          .isTrue();
      count(answer.isEmpty() ? "bytes closed" : "bytes " + answer.substring(9, 12));
    } catch (SocketException e) {
      count("bytes closed");
    }
  }

  private void frames(Random random) throws Exception {
    boolean isForged = random.nextInt(4) == 0;
    CompletableFuture<Integer> closed = new CompletableFuture<>();
    WebSocket.Listener listener =
        new WebSocket.Listener() {
          @Override
          public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            closed.complete(code);
            return null;
          }

          @Override
          public void onError(WebSocket socket, Throwable error) {
            closed.complete(1006);
          }
        };
    WebSocket socket;
    try {
      socket =
          HTTP.newWebSocketBuilder()
              .connectTimeout(Duration.ofSeconds(20))
              .header("X-API-Key", isForged ? "pk_" + "x".repeat(40) : stranger().key())
              .buildAsync(
                  URI.create("ws://127.0.0.1:" + shop.open().backend().port() + "/hub/agents"),
                  listener)
              .get(20, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      assertThat(e.getCause()).isInstanceOf(java.net.http.WebSocketHandshakeException.class);
      assertThat(
              ((java.net.http.WebSocketHandshakeException) e.getCause()).getResponse().statusCode())
          .isEqualTo(401);
      count("frames 401");
      return;
    }
    byte[] junk = new byte[1 + random.nextInt(2_000)];
    random.nextBytes(junk);
    try {
      if (random.nextBoolean()) {
        String hello = "{\"protocol\":\"messagepack\",\"version\":1}\u001e";
        socket.sendBinary(ByteBuffer.wrap(hello.getBytes(UTF_8)), true).get(20, TimeUnit.SECONDS);
      }
      if (random.nextInt(4) == 0) {
        socket.sendText(word(random), true).get(20, TimeUnit.SECONDS);
      } else {
        socket.sendBinary(ByteBuffer.wrap(junk), true).get(20, TimeUnit.SECONDS);
      }
    } catch (ExecutionException e) {
      // It was closed already.
    }
    int code = closed.get(20, TimeUnit.SECONDS);
    assertThat(code).isIn(1002, 1003, 1006, 1007, 1008, 1009);
    socket.abort();
    count("frames " + code);
  }

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static Tenant.Agent stranger;

  private static synchronized Tenant.Agent stranger() {
    if (stranger == null) {
      stranger = shop.open().tenant().agent("stranger");
    }
    return stranger;
  }

  /** With what went before on the same connection, which may be to blame. */
  private record Answer(int status, String head, String body, String before) {}

  /** HTTP by hand, since clients send nothing malformed. Keeps its connection while it can. */
  private static final class Wire implements AutoCloseable {
    private final int port;
    private String before = "";
    private Socket socket;

    Wire(int port) {
      this.port = port;
    }

    Answer ask(String method, String path, String headers, byte[] body) throws IOException {
      byte[] head =
          (method
                  + " "
                  + path
                  + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                  + "Accept: application/json\r\n"
                  + headers
                  + "Content-Length: "
                  + body.length
                  + "\r\n\r\n")
              .getBytes(ISO_8859_1);
      byte[] all = java.util.Arrays.copyOf(head, head.length + body.length);
      System.arraycopy(body, 0, all, head.length, body.length);
      return send(all);
    }

    Answer raw(String request) throws IOException {
      return send(request.getBytes(ISO_8859_1));
    }

    private Answer send(byte[] request) throws IOException {
      if (socket == null) {
        socket = new Socket();
        socket.connect(new InetSocketAddress("127.0.0.1", port), 5_000);
        socket.setSoTimeout(30_000);
        socket.setTcpNoDelay(true);
      }
      try {
        socket.getOutputStream().write(request);
      } catch (SocketException e) {
        // Refused while it was being sent; the answer is there all the same.
      }
      InputStream in = socket.getInputStream();
      StringBuilder head = new StringBuilder();
      while (head.indexOf("\r\n\r\n") < 0) {
        int c = in.read();
        if (c < 0) {
          throw new IOException("no answer but: " + head);
        }
        head.append((char) c);
      }
      String text = head.toString();
      int status = Integer.parseInt(text.substring(9, 12));
      java.util.regex.Matcher length =
          java.util.regex.Pattern.compile("(?i)content-length: (\\d+)").matcher(text);
      byte[] body = in.readNBytes(length.find() ? Integer.parseInt(length.group(1)) : 0);
      if (text.toLowerCase(java.util.Locale.ROOT).contains("connection: close")) {
        reset();
      }
      Answer answer = new Answer(status, text, new String(body, UTF_8), before);
      before =
          new String(request, 0, Math.min(600, request.length), ISO_8859_1)
              + "\n-> "
              + status
              + " "
              + answer.body;
      return answer;
    }

    void reset() throws IOException {
      if (socket != null) {
        socket.close();
        socket = null;
      }
    }

    @Override
    public void close() throws IOException {
      reset();
    }
  }
}
