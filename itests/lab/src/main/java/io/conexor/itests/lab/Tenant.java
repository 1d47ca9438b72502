package io.conexor.itests.lab;

import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/**
 * An organisation seen by its administrator, through REST. The bodies of requests are maps, lists
 * and plain values.
 *
 * @param url of the backend asked
 * @param token of an administrator, {@code adm_...}
 */
public record Tenant(String url, String organisation, String token) {

  public static final String EMAIL = "admin@example.org";
  public static final String PASSWORD = "correct horse battery";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** An agent and its key. */
  public record Agent(String id, String name, String key) {}

  /** An MCP server: its path and a key. */
  public record McpServer(String id, String path, String key) {}

  /** First-run set-up of a backend by its URL and the text of its set-up token. */
  public static Tenant setUp(String url, String setupToken, String organisation) {
    HttpResponse<String> made =
        send(
            url,
            "POST",
            "/setup",
            Map.of(
                "token", setupToken,
                "organisation", organisation,
                "email", EMAIL,
                "password", PASSWORD),
            Map.of());
    expect(201, made);
    return signIn(url, organisation, EMAIL);
  }

  /** As an administrator who is there already, with the password of all of them. */
  static Tenant signIn(String url, String organisation, String email) {
    HttpResponse<String> login =
        send(url, "POST", "/login", Map.of("email", email, "password", PASSWORD), Map.of());
    expect(200, login);
    String cookie = login.headers().firstValue("Set-Cookie").orElseThrow().split(";", 2)[0];
    HttpResponse<String> key =
        send(
            url,
            "POST",
            "/keys",
            Map.of("kind", "ADMIN", "name", "lab"),
            Map.of(
                "Cookie", cookie, "X-CSRF-Token", parse(login.body()).get("csrfToken").asString()));
    expect(201, key);
    return new Tenant(url, organisation, parse(key.body()).get("key").asString());
  }

  /** The same organisation, asked through another backend. */
  public Tenant at(String otherUrl) {
    return new Tenant(otherUrl, organisation, token);
  }

  /** The same organisation with another key of its own. */
  public Tenant withOwnKey() {
    String key = post("/keys", Map.of("kind", "ADMIN", "name", "lab")).get("key").asString();
    return new Tenant(url, organisation, key);
  }

  /** Makes an agent that may serve these sources (none = any), and its key. */
  public Agent agent(String name, String... allowedSources) {
    String id =
        post("/agents", Map.of("name", name, "allowedSources", List.of(allowedSources)))
            .get("id")
            .asString();
    return new Agent(id, name, key("AGENT", id));
  }

  /** Makes an MCP server with generated tools and the free query tool, and its key. */
  public McpServer mcpServer(String name, List<String> sources, String... toolIds) {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("name", name);
    body.put("sources", sources);
    body.put("generatedTools", true);
    body.put("freeQuery", true);
    body.put("tools", List.of(toolIds));
    JsonNode made = post("/mcp-servers", body);
    String id = made.get("id").asString();
    return new McpServer(id, made.get("path").asString(), key("SERVER", id));
  }

  private String key(String kind, String owner) {
    return post("/keys", Map.of("kind", kind, "name", "lab", "owner", owner)).get("key").asString();
  }

  /** GET below {@code /api/v1}; fails unless the answer is 200. */
  public JsonNode get(String path) {
    return parse(expect(200, call("GET", path, null)).body());
  }

  /** POST below {@code /api/v1}; fails unless the answer is 2xx. */
  public JsonNode post(String path, Object body) {
    HttpResponse<String> answer = call("POST", path, body);
    if (answer.statusCode() / 100 != 2) {
      expect(200, answer);
    }
    return parse(answer.body());
  }

  /** Any request below {@code /api/v1}, any answer. */
  public HttpResponse<String> call(String method, String path, @Nullable Object body) {
    return send(url, method, path, body, Map.of("X-API-Key", token));
  }

  public static JsonNode parse(String json) {
    return JSON.readTree(json);
  }

  public static String json(Object value) {
    return JSON.writeValueAsString(value);
  }

  /** What {@code /health} tells somebody who may see details. */
  public String health() {
    return Backend.send(
            HttpRequest.newBuilder(URI.create(url + "/health")).header("X-API-Key", token))
        .body();
  }

  private static HttpResponse<String> send(
      String url, String method, String path, @Nullable Object body, Map<String, String> headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(url + "/api/v1" + path))
            .method(
                method,
                body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(json(body)));
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    headers.forEach(request::header);
    return Backend.send(request);
  }

  private static HttpResponse<String> expect(int status, HttpResponse<String> answer) {
    if (answer.statusCode() != status) {
      throw new AssertionError(
          answer.request().method()
              + " "
              + answer.uri()
              + " was answered with "
              + answer.statusCode()
              + ": "
              + answer.body()
              + "\n"
              + ProductProcess.tails(30));
    }
    return answer;
  }
}
