package io.conexor.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/**
 * What an administrator does once, through the REST API alone. Each step looks first whether it has
 * been done, so that an interrupted demo is continued.
 */
final class Setup {

  static final String ORGANISATION = "demo";
  static final String EMAIL = "admin@example.org";
  static final String NAME = "world"; // of the data source and its MCP server
  static final String AGENT = "beside-the-database";
  static final String TOOL = "largest_cities";

  private static final String API = "/api/v1";

  private final Http http;
  private final Secrets secrets;
  private final Path server;

  /**
   * @param server the server's data folder
   */
  Setup(Http http, Secrets secrets, Path server) {
    this.http = http;
    this.secrets = secrets;
    this.server = server;
  }

  /** The server writes it when it has seen that nobody is there, a moment after it is ready. */
  private String setupToken() throws IOException, InterruptedException {
    Path file = server.resolve("setup-token");
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!Files.exists(file) && System.nanoTime() - end < 0) {
      TimeUnit.MILLISECONDS.sleep(50);
    }
    return Files.readString(file).strip();
  }

  /** Afterwards the secrets hold every key. */
  void run() throws IOException, InterruptedException {
    if (get("/setup", Map.of()).orFail("the question for set-up").path("needed").asBoolean()) {
      Object first =
          Map.of(
              "token",
              setupToken(),
              "organisation",
              ORGANISATION,
              "email",
              EMAIL,
              "password",
              password());
      http.post(API + "/setup", Map.of(), first).orFail("the set-up");
    }
    if (secrets.get("adminKey").isEmpty()) {
      secrets.put("adminKey", key(signedIn(), "ADMIN", Optional.empty()));
    }
    Map<String, String> admin = Map.of("X-API-Key", secrets.get("adminKey").orElseThrow());

    ensure(
        admin,
        "/sources",
        Map.of(
            "name", NAME,
            "engine", "postgresql",
            "description", "Countries, their regions, cities and airports"));
    String agent = ensure(admin, "/agents", Map.of("name", AGENT, "allowedSources", List.of(NAME)));
    String tool = ensure(admin, "/tools", largestCities());
    String mcpServer =
        ensure(
            admin,
            "/mcp-servers",
            Map.of(
                "name",
                NAME,
                "description",
                "A small world to try things out",
                "enabled",
                true,
                "generatedTools",
                true,
                "freeQuery",
                true,
                "sources",
                List.of(NAME),
                "tools",
                List.of(tool)));
    if (secrets.get("agentKey").isEmpty()) {
      secrets.put("agentKey", key(admin, "AGENT", Optional.of(agent)));
    }
    if (secrets.get("serverKey").isEmpty()) {
      secrets.put("serverKey", key(admin, "SERVER", Optional.of(mcpServer)));
    }
  }

  String password() throws IOException {
    Optional<String> kept = secrets.get("password");
    return kept.isPresent() ? kept.get() : secrets.put("password", Secrets.random());
  }

  /** The data source as the server sees it. */
  JsonNode source() throws IOException, InterruptedException {
    Map<String, String> admin = Map.of("X-API-Key", secrets.get("adminKey").orElseThrow());
    return get("/sources/" + NAME, admin).orFail("the question for the data source");
  }

  private static Map<String, Object> largestCities() {
    return Map.of(
        "name",
        TOOL,
        "description",
        "The largest cities of a country",
        "source",
        NAME,
        "sql",
        """
            select cities.name as city, countries.name as country, cities.population
            from cities join countries on countries.code = cities.country_code
            where countries.code = :country
            order by cities.population desc
            limit :number""",
        "parameters",
        List.of(
            Map.of(
                "name", "country",
                "type", "TEXT",
                "description", "ISO 3166-1 code of the country, for example JP",
                "required", true),
            Map.of(
                "name", "number",
                "type", "INTEGER",
                "description", "How many cities",
                "required", false,
                "default", 5)));
  }

  /** Headers of a person who has signed in. */
  private Map<String, String> signedIn() throws IOException, InterruptedException {
    Http.Answer answer =
        http.post(API + "/login", Map.of(), Map.of("email", EMAIL, "password", password()));
    if (answer.status() == 401) {
      throw new DemoException(
          "the server in "
              + server
              + " was set up with another password; delete "
              + server.getParent()
              + " to begin anew, or give another --data DIR");
    }
    JsonNode session = answer.orFail("the login");
    String cookie = answer.headers().firstValue("Set-Cookie").orElse("").split(";")[0];
    return Map.of("Cookie", cookie, "X-CSRF-Token", session.path("csrfToken").asString());
  }

  private String key(Map<String, String> credentials, String kind, Optional<String> owner)
      throws IOException, InterruptedException {
    Map<String, Object> asked =
        owner.isPresent()
            ? Map.of("kind", kind, "name", "demo", "owner", owner.get())
            : Map.of("kind", kind, "name", "demo");
    return http.post(API + "/keys", credentials, asked)
        .orFail("making a key")
        .path("key")
        .asString();
  }

  /** Creates what the body describes unless there is one of its name; its id, if it has one. */
  private String ensure(Map<String, String> admin, String collection, Map<String, Object> body)
      throws IOException, InterruptedException {
    for (JsonNode each : get(collection, admin).orFail("listing " + collection).path("items")) {
      if (each.path("name").asString().equals(body.get("name"))) {
        return each.path("id").asString("");
      }
    }
    return http.post(API + collection, admin, body)
        .orFail("creating in " + collection)
        .path("id")
        .asString("");
  }

  private Http.Answer get(String path, Map<String, String> headers)
      throws IOException, InterruptedException {
    return http.get(API + path, headers);
  }
}
