package io.conexor.itests.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import tools.jackson.databind.JsonNode;

/** A client of revision 2026-07-28 that shows what goes over the wire. */
record McpClient(String url, String key) {

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  /** The result of a tool that did not fail. */
  JsonNode call(String tool, Object... arguments) {
    JsonNode result = result(tool, arguments);
    if (result.path("isError").asBoolean(true)) {
      throw new AssertionError(tool + ": " + result);
    }
    return result.get("structuredContent");
  }

  /** The text of a tool that failed. */
  String error(String tool, Object... arguments) {
    JsonNode result = result(tool, arguments);
    if (!result.path("isError").asBoolean(false)) {
      throw new AssertionError(tool + " did not fail: " + result);
    }
    return result.get("content").get(0).get("text").asString();
  }

  JsonNode result(String tool, Object... arguments) {
    HttpResponse<String> answer = send(request("tools/call", call(tool, map(arguments)), tool));
    JsonNode result = last(answer).get("result");
    if (answer.statusCode() != 200 || result == null) {
      throw new AssertionError(tool + ": " + answer.statusCode() + " " + answer.body());
    }
    return result;
  }

  /** The response, also when it is the last of several events. */
  static JsonNode last(HttpResponse<String> answer) {
    String body = answer.body();
    boolean isStream =
        answer.headers().firstValue("Content-Type").orElse("").startsWith("text/event-stream");
    return Tenant.parse(isStream ? body.substring(body.lastIndexOf("data: ") + 6) : body);
  }

  /** All rows of a tool, page by page. */
  List<JsonNode> pages(String tool, int limit, Object... arguments) {
    List<JsonNode> rows = new ArrayList<>();
    Map<String, Object> page = map(arguments);
    page.put("limit", limit);
    while (true) {
      JsonNode result =
          call(
              tool,
              page.entrySet().stream()
                  .flatMap(e -> java.util.stream.Stream.of(e.getKey(), e.getValue()))
                  .toArray());
      result.get("rows").forEach(rows::add);
      if (!result.has("nextCursor")) {
        return rows;
      }
      page.put("cursor", result.get("nextCursor").asString());
    }
  }

  List<String> tools() {
    List<String> names = new ArrayList<>();
    Map<String, Object> params = new LinkedHashMap<>();
    while (true) {
      JsonNode result = last(send(request("tools/list", params, null))).get("result");
      result.get("tools").forEach(tool -> names.add(tool.get("name").asString()));
      if (!result.has("nextCursor")) {
        return names;
      }
      params.put("cursor", result.get("nextCursor").asString());
    }
  }

  static Map<String, Object> call(String tool, Map<String, Object> arguments) {
    Map<String, Object> params = new LinkedHashMap<>();
    params.put("name", tool);
    params.put("arguments", arguments);
    return params;
  }

  static Map<String, Object> map(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      map.put((String) pairs[i], pairs[i + 1]);
    }
    return map;
  }

  HttpRequest.Builder request(String method, Map<String, Object> params, String name) {
    Map<String, Object> all = new LinkedHashMap<>(params);
    Map<String, Object> meta = new LinkedHashMap<>();
    meta.put("io.modelcontextprotocol/protocolVersion", "2026-07-28");
    meta.put("io.modelcontextprotocol/clientCapabilities", Map.of());
    if (params.get("_meta") instanceof Map<?, ?> more) {
      more.forEach((key, value) -> meta.put((String) key, value));
    }
    all.put("_meta", meta);
    HttpRequest.Builder request =
        post(Map.of("jsonrpc", "2.0", "id", 1, "method", method, "params", all))
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Method", method);
    return name == null ? request : request.header("Mcp-Name", name);
  }

  HttpRequest.Builder post(Object body) {
    return HttpRequest.newBuilder(URI.create(url))
        .timeout(Duration.ofSeconds(60))
        .header("X-API-Key", key)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .POST(BodyPublishers.ofString(Tenant.json(body)));
  }

  static HttpResponse<String> send(HttpRequest.Builder request) {
    try {
      return HTTP.send(request.build(), BodyHandlers.ofString(UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** Cancelling the future closes the connection. */
  static CompletableFuture<HttpResponse<InputStream>> begin(HttpRequest.Builder request) {
    return HTTP.sendAsync(request.build(), BodyHandlers.ofInputStream());
  }
}
