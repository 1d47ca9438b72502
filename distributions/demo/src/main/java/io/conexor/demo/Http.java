package io.conexor.demo;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** JSON over HTTP to one server. */
final class Http {

  static final JsonMapper JSON = JsonMapper.builder().build();

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(5))
          .build();
  private final String base;

  Http(String base) {
    this.base = base;
  }

  String base() {
    return base;
  }

  record Answer(int status, JsonNode body, java.net.http.HttpHeaders headers) {

    boolean isOk() {
      return status / 100 == 2;
    }

    /** The body of an answer that has to be a good one. */
    JsonNode orFail(String what) {
      if (!isOk()) {
        String detail = body.path("detail").asString("");
        throw new DemoException(
            what
                + " was answered with "
                + status
                + ": "
                + (detail.isEmpty() ? body.toString() : detail));
      }
      return body;
    }
  }

  Answer get(String path, Map<String, String> headers) throws IOException, InterruptedException {
    return send("GET", path, headers, null);
  }

  Answer post(String path, Map<String, String> headers, Object body)
      throws IOException, InterruptedException {
    return send("POST", path, headers, body);
  }

  private Answer send(
      String method, String path, Map<String, String> headers, @Nullable Object body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(40));
    headers.forEach(request::header);
    if (body == null) {
      request.method(method, HttpRequest.BodyPublishers.noBody());
    } else {
      request.header("Content-Type", "application/json");
      request.method(method, HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(body)));
    }
    HttpResponse<String> response =
        client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    return new Answer(
        response.statusCode(),
        body(response.headers().firstValue("Content-Type").orElse(""), response.body()),
        response.headers());
  }

  /** An answer of MCP that takes long comes as a stream of events, of which the last counts. */
  private static JsonNode body(String type, String text) {
    if (type.startsWith("text/event-stream")) {
      String last =
          text.lines().filter(line -> line.startsWith("data:")).reduce("data:null", (a, b) -> b);
      return JSON.readTree(last.substring("data:".length()));
    }
    return type.contains("json") ? JSON.readTree(text) : JSON.getNodeFactory().stringNode(text);
  }
}
