package io.conexor.mcp;

import io.conexor.api.ConexorException;
import io.conexor.api.Secret;
import io.conexor.api.access.Access;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.node.Node;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/**
 * {@code POST /mcp/{org}/{server}}: MCP of the stateless revision 2026-07-28 and of the ones with a
 * handshake before it, on one URL. Nothing is remembered between requests.
 */
@Component(configurationPid = McpRoute.PID)
@Designate(ocd = McpRoute.Config.class)
public final class McpRoute implements HttpRoute {

  static final String PID = "io.conexor.mcp";
  static final String MODERN = "2026-07-28";
  static final List<String> LEGACY = List.of("2025-11-25", "2025-06-18", "2025-03-26");
  static final List<String> VERSIONS = List.of(MODERN, "2025-11-25", "2025-06-18", "2025-03-26");

  static final String META = "io.modelcontextprotocol/";
  private static final int PARSE = -32700;
  private static final int INVALID_REQUEST = -32600;
  private static final int NO_METHOD = -32601;
  private static final int INVALID_PARAMS = -32602;
  private static final int INTERNAL = -32603;
  private static final int HEADER_MISMATCH = -32020;
  private static final int MISSING_CAPABILITY = -32021;
  private static final int UNSUPPORTED_VERSION = -32022;

  @ObjectClassDefinition(name = "MCP endpoint", description = "Serves tools to MCP clients")
  @interface Config {
    @AttributeDefinition(
        name = "Largest body",
        description = "Bytes of one request",
        min = "1024",
        max = "67108864")
    int body_max_bytes() default 1_048_576;

    @AttributeDefinition(
        name = "Default rows",
        description = "Rows of a result when the caller sets no limit",
        min = "1",
        max = "1000000")
    int rows_default() default 100;

    @AttributeDefinition(
        name = "Most rows",
        description = "Of one result",
        min = "1",
        max = "1000000")
    int rows_max() default 10_000;

    @AttributeDefinition(
        name = "Largest result",
        description = "Bytes of rows as the agent sends them",
        min = "65536",
        max = "268435456")
    int result_max_bytes() default 4_194_304;

    @AttributeDefinition(
        name = "Query timeout",
        description = "Milliseconds",
        min = "100",
        max = "600000")
    long query_timeout_ms() default 30_000;

    @AttributeDefinition(
        name = "Tools per page",
        description = "Of tools/list",
        min = "1",
        max = "10000")
    int tools_page() default 200;

    @AttributeDefinition(
        name = "Schema age",
        description = "Milliseconds after which a source is looked at again",
        min = "1000",
        max = "604800000")
    long schema_max_age_ms() default 600_000;

    @AttributeDefinition(
        name = "Stream after",
        description = "Milliseconds after which an answer becomes a stream of events",
        min = "50",
        max = "600000")
    long stream_after_ms() default 3_000;

    @AttributeDefinition(
        name = "Stream interval",
        description = "Milliseconds between signs of life on such a stream",
        min = "50",
        max = "600000")
    long stream_interval_ms() default 5_000;

    @AttributeDefinition(
        name = "Task after",
        description =
            "Milliseconds after which a call becomes a task, for clients that take tasks,"
                + " 100..600000",
        min = "100",
        max = "600000")
    long task_after_ms() default 2_000;

    @AttributeDefinition(
        name = "Task timeout",
        description =
            "Milliseconds a call may take for clients that take tasks, 100..3600000; the agent's own"
                + " limit may be lower",
        min = "100",
        max = "3600000")
    long task_timeout_ms() default 600_000;

    @AttributeDefinition(
        name = "Task time to live",
        description =
            "Milliseconds the result of a task is kept, 1000..3600000; the agent's own limit may be"
                + " lower",
        min = "1000",
        max = "3600000")
    long task_ttl_ms() default 600_000;

    @AttributeDefinition(
        name = "Allowed origins",
        description = "Values of Origin accepted besides the server's own host")
    String[] origins_allowed() default {};

    @AttributeDefinition(
        name = "Allowed hosts",
        description = "Values of Host accepted; empty = any")
    String[] hosts_allowed() default {};
  }

  private final Access access;
  private final Tokens tokens;
  private final Catalog catalog;
  private final AuditTrail audit;
  private final Config config;
  private final Set<String> origins;
  private final Set<String> hosts;
  private final Schemas schemas;
  private final ToolCalls toolCalls;

  @Activate
  public McpRoute(
      @Reference(name = "access") Access access,
      @Reference(name = "tokens") Tokens tokens,
      @Reference(name = "catalog") Catalog catalog,
      @Reference(name = "editor") CatalogEditor editor,
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "calls") AgentCalls calls,
      @Reference(name = "audit") AuditTrail audit,
      @Reference(name = "node") Node node,
      Config config) {
    this.access = access;
    this.tokens = tokens;
    this.catalog = catalog;
    this.audit = audit;
    this.config = checked(config);
    this.origins = Set.of(config.origins_allowed());
    this.hosts = Set.of(config.hosts_allowed());
    this.schemas = new Schemas(calls, editor, config.schema_max_age_ms());
    this.toolCalls = new ToolCalls(directory, calls, tokens, audit, node.id(), schemas, config);
  }

  /** Cancellations reach the backend that runs the request through it. */
  @Reference(
      name = "backplane",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane service) {
    toolCalls.bind(service);
  }

  void unbindBackplane(Backplane service) {
    toolCalls.unbind(service);
  }

  private static Config checked(Config c) {
    range("body.max.bytes", c.body_max_bytes(), 1_024, 67_108_864);
    range("rows.default", c.rows_default(), 1, c.rows_max());
    range("rows.max", c.rows_max(), 1, 1_000_000);
    range("result.max.bytes", c.result_max_bytes(), 65_536, 268_435_456);
    range("query.timeout.ms", c.query_timeout_ms(), 100, 600_000);
    range("tools.page", c.tools_page(), 1, 10_000);
    range("schema.max.age.ms", c.schema_max_age_ms(), 1_000, 604_800_000);
    range("stream.after.ms", c.stream_after_ms(), 50, 600_000);
    range("task.after.ms", c.task_after_ms(), 100, 600_000);
    range("task.timeout.ms", c.task_timeout_ms(), 100, 3_600_000);
    range("task.ttl.ms", c.task_ttl_ms(), 1_000, 3_600_000);
    range("stream.interval.ms", c.stream_interval_ms(), 50, 600_000);
    return c;
  }

  private static void range(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + " " + key + "=" + value + " is not in " + min + ".." + max);
    }
  }

  @Deactivate
  void close() {
    toolCalls.close();
    schemas.close();
  }

  @Override
  public String path() {
    return "/mcp";
  }

  @Override
  public int maxBodyBytes() {
    return config.body_max_bytes();
  }

  @Override
  public void handle(HttpExchange exchange) {
    String[] parts = exchange.path().split("/", -1); // "", mcp, org, server
    if (parts.length != 4 || parts[2].isEmpty() || parts[3].isEmpty()) {
      Answer.refused(exchange, 404, null, INVALID_REQUEST, "use /mcp/{organisation}/{server}");
      return;
    }
    if (!isLocal(exchange)) {
      Answer.refused(exchange, 403, null, INVALID_REQUEST, "this origin is not allowed");
      return;
    }
    if (!exchange.method().equals("POST")) {
      exchange.withHeader("Allow", "POST");
      Answer.refused(exchange, 405, null, INVALID_REQUEST, "only POST is served here");
      return;
    }
    String key = key(exchange);
    if (key == null) {
      unauthorised(exchange, "send a key as X-API-Key or Authorization: Bearer");
      return;
    }
    long since = System.nanoTime();
    access
        .authenticate(new Credential.ApiKey(new Secret(key)))
        .whenComplete(
            (authentication, failure) -> {
              if (authentication instanceof Authentication.Granted granted) {
                authenticated(exchange, granted.principal(), parts[2], parts[3], since);
              } else if (authentication instanceof Authentication.Refused refused) {
                unauthorised(exchange, refused.reason());
              } else {
                unavailable(exchange, failure);
              }
            });
  }

  /** Spec 2026-07-28, basic/transports/streamable-http, Security: DNS rebinding. */
  private boolean isLocal(HttpExchange exchange) {
    String host = exchange.header("Host").orElse("");
    if (!hosts.isEmpty() && !hosts.contains(host)) {
      return false;
    }
    Optional<String> origin = exchange.header("Origin");
    return origin.isEmpty()
        || origins.contains(origin.get())
        || origin.get().equals("http://" + host)
        || origin.get().equals("https://" + host);
  }

  private static @Nullable String key(HttpExchange exchange) {
    String key = exchange.header("X-API-Key").orElse(null);
    if (key == null) {
      String bearer = exchange.header("Authorization").orElse("");
      if (bearer.regionMatches(true, 0, "Bearer ", 0, 7)) {
        key = bearer.substring(7).strip();
      }
    }
    return key == null || key.isEmpty() || key.length() > 512 ? null : key;
  }

  private static void unauthorised(HttpExchange exchange, String reason) {
    exchange.withHeader("WWW-Authenticate", "Bearer");
    Answer.refused(exchange, 401, null, INVALID_REQUEST, reason);
  }

  private static void unavailable(HttpExchange exchange, @Nullable Throwable failure) {
    ConexorException known = Failures.known(failure);
    exchange.withHeader(
        "Retry-After", Long.toString(known.retryAfter().map(Duration::toSeconds).orElse(1L)));
    Answer.refused(exchange, 503, null, INTERNAL, known.text());
  }

  private void authenticated(
      HttpExchange exchange, Principal principal, String org, String name, long since) {
    if (!(principal instanceof Principal.ServerKey key)) {
      Answer.refused(exchange, 403, null, INVALID_REQUEST, "this key is not one of an MCP server");
      return;
    }
    if (!audit.accepting()) {
      exchange.withHeader("Retry-After", "5");
      Answer.refused(exchange, 503, null, INTERNAL, "the audit trail takes no records now");
      return;
    }
    catalog
        .byId(key.org())
        .whenComplete(
            (found, failure) -> {
              if (failure != null) {
                unavailable(exchange, failure);
                return;
              }
              OrgCatalog owner = found.orElse(null);
              McpServer server =
                  owner == null || !owner.organisation().slug().equals(org)
                      ? null
                      : owner.servers().get(name);
              if (owner == null || server == null || !server.id().equals(key.server())) {
                Answer.refused(
                    exchange, 403, null, INVALID_REQUEST, "this key opens another server");
              } else if (!server.enabled()) {
                Answer.refused(exchange, 403, null, INVALID_REQUEST, "this server is switched off");
              } else {
                parse(exchange, key, owner, server, since);
              }
            });
  }

  private void parse(
      HttpExchange exchange,
      Principal.ServerKey key,
      OrgCatalog owner,
      McpServer server,
      long since) {
    byte[] body = exchange.body();
    Object parsed;
    try {
      parsed = JsonReader.value(body, 0, body.length);
    } catch (ProtocolException e) {
      Answer.refused(exchange, 400, null, PARSE, "the body is not JSON");
      return;
    }
    if (!(parsed instanceof Map<?, ?> map)) {
      String text = parsed instanceof List ? "batches are not served" : "not a JSON-RPC message";
      Answer.refused(exchange, 400, null, INVALID_REQUEST, text);
      return;
    }
    Map<String, @Nullable Object> message = object(map);
    Object id = message.get("id");
    boolean validId = id instanceof Long || (id instanceof String text && text.length() <= 1_024);
    if (!"2.0".equals(message.get("jsonrpc")) || (message.containsKey("id") && !validId)) {
      Answer.refused(exchange, 400, null, INVALID_REQUEST, "not a JSON-RPC 2.0 message");
      return;
    }
    if (!(message.get("method") instanceof String method)) {
      if (message.containsKey("result") || message.containsKey("error")) {
        exchange.respond(202); // an answer to something this server never asks
      } else {
        Answer.refused(exchange, 400, validId ? id : null, INVALID_REQUEST, "a method is missing");
      }
      return;
    }
    Object rawParams = message.get("params");
    if (rawParams != null && !(rawParams instanceof Map)) {
      Answer.refused(exchange, 400, validId ? id : null, INVALID_PARAMS, "params is not an object");
      return;
    }
    Map<String, @Nullable Object> params =
        rawParams instanceof Map<?, ?> given ? object(given) : Json.object();
    Map<String, @Nullable Object> meta =
        params.get("_meta") instanceof Map<?, ?> given ? object(given) : Json.object();
    String header = exchange.header("MCP-Protocol-Version").orElse(null);
    Object inBody = meta.get(META + "protocolVersion");
    boolean modern = inBody != null || MODERN.equals(header);
    if (!modern && header != null && !LEGACY.contains(header) && !method.equals("initialize")) {
      unsupported(exchange, id, header);
      return;
    }
    Answer answer = new Answer(exchange, id, modern);
    Request request = new Request(exchange, answer, key, owner, server, method, params, since);
    if (modern) {
      if (fits(request, header, inBody, meta)) {
        modern(request, message.containsKey("id"));
      }
    } else {
      legacy(request, message.containsKey("id"));
    }
  }

  @SuppressWarnings("unchecked") // JsonReader makes maps with String keys only
  static Map<String, @Nullable Object> object(Map<?, ?> map) {
    return (Map<String, @Nullable Object>) map;
  }

  private static void unsupported(HttpExchange exchange, @Nullable Object id, String requested) {
    Map<String, @Nullable Object> data = Json.object("supported", VERSIONS, "requested", requested);
    String text = "Unsupported protocol version";
    Answer.refused(exchange, 400, id, UNSUPPORTED_VERSION, text, data);
  }

  /** Spec 2026-07-28, basic/transports/streamable-http, Request Metadata. */
  private static boolean fits(
      Request request,
      @Nullable String header,
      @Nullable Object inBody,
      Map<String, @Nullable Object> meta) {
    HttpExchange exchange = request.exchange();
    Object id = request.answer().id();
    // What the header Mcp-Name has to repeat.
    String key =
        request.method().equals("tools/call")
            ? "name"
            : request.method().startsWith("tasks/") ? "taskId" : "";
    String name = request.params().get(key) instanceof String text ? text : null;
    if (header == null || !header.equals(inBody)) {
      String text = "MCP-Protocol-Version and the version in _meta differ";
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, text);
    } else if (!MODERN.equals(header)) {
      unsupported(exchange, id, header);
    } else if (!request.method().equals(exchange.header("Mcp-Method").orElse(null))) {
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, "Mcp-Method and the method differ");
    } else if (name != null
        && !name.equals(exchange.header("Mcp-Name").map(McpRoute::decoded).orElse(null))) {
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, "Mcp-Name and the " + key + " differ");
    } else if (!(meta.get(META + "clientCapabilities") instanceof Map)) {
      Answer.refused(exchange, 400, id, INVALID_PARAMS, "clientCapabilities is missing in _meta");
    } else {
      return true;
    }
    return false;
  }

  private static String decoded(String value) {
    if (value.startsWith("=?base64?") && value.endsWith("?=") && value.length() >= 11) {
      try {
        byte[] bytes = Base64.getDecoder().decode(value.substring(9, value.length() - 2));
        return new String(bytes, StandardCharsets.UTF_8);
      } catch (IllegalArgumentException e) {
        return value;
      }
    }
    return value;
  }

  private void modern(Request request, boolean hasId) {
    if (!hasId) {
      request.exchange().respond(202);
      return;
    }
    switch (request.method()) {
      case "server/discover" ->
          request
              .answer()
              .result(
                  cacheable(
                      Json.object(
                          "supportedVersions",
                          VERSIONS,
                          "capabilities",
                          Json.object(
                              "tools",
                              Json.object(),
                              "extensions",
                              Json.object(Tasks.EXTENSION, Json.object())),
                          "instructions",
                          instructions(request),
                          "_meta",
                          Json.object(META + "serverInfo", serverInfo(request)))));
      case "tools/list" -> list(request);
      case "tools/call" -> toolCalls.call(request, null);
      case "tasks/get", "tasks/cancel", "tasks/update" -> task(request);
      default -> request.answer().error(404, NO_METHOD, "Method not found", null);
    }
  }

  /** Spec of the extension, 2026-07-28, Error Handling. No task here ever asks for input. */
  private void task(Request request) {
    if (!request.takesTasks()) {
      Map<String, @Nullable Object> needed =
          Json.object("extensions", Json.object(Tasks.EXTENSION, Json.object()));
      request
          .answer()
          .error(
              400,
              MISSING_CAPABILITY,
              "Missing required client capability",
              Json.object("requiredCapabilities", needed));
    } else if (request.method().equals("tasks/update")) {
      request.answer().error(400, INVALID_PARAMS, "the task does not wait for input", null);
    } else {
      toolCalls.task(request, request.method().equals("tasks/cancel"));
    }
  }

  private static Map<String, @Nullable Object> cacheable(Map<String, @Nullable Object> result) {
    result.put("ttlMs", 60_000L);
    result.put("cacheScope", "private");
    return result;
  }

  private static Map<String, @Nullable Object> serverInfo(Request request) {
    return Json.object("name", request.server().name(), "version", "1.0.0");
  }

  private static @Nullable String instructions(Request request) {
    String text = request.server().description();
    return text.isEmpty() ? null : text;
  }

  private void legacy(Request request, boolean hasId) {
    HttpExchange exchange = request.exchange();
    if (request.method().equals("initialize") && hasId) {
      initialize(request);
      return;
    }
    String session = exchange.header("Mcp-Session-Id").orElse(null);
    if (session != null) {
      String claims = claims(request);
      boolean valid =
          tokens
              .verify("mcp.session", session)
              .filter(c -> new String(c, StandardCharsets.UTF_8).equals(claims))
              .isPresent();
      if (!valid) {
        Answer.refused(
            exchange,
            404,
            request.answer().id(),
            INVALID_REQUEST,
            "no such session; initialize anew");
        return;
      }
    }
    if (!hasId) {
      if (request.method().equals("notifications/cancelled") && session != null) {
        toolCalls.cancel(session + " " + request.params().get("requestId"));
      }
      exchange.respond(202);
      return;
    }
    switch (request.method()) {
      case "ping" -> request.answer().result(Json.object());
      case "tools/list" -> list(request);
      case "tools/call" ->
          toolCalls.call(request, session == null ? null : session + " " + request.answer().id());
      default -> request.answer().error(404, NO_METHOD, "Method not found", null);
    }
  }

  private static String claims(Request request) {
    return request.principal().subject() + " " + request.server().id();
  }

  private void initialize(Request request) {
    Object wanted = request.params().get("protocolVersion");
    if (!(wanted instanceof String version)) {
      request.answer().error(400, INVALID_PARAMS, "protocolVersion is missing", null);
      return;
    }
    byte[] claims = claims(request).getBytes(StandardCharsets.UTF_8);
    request
        .exchange()
        .withHeader("Mcp-Session-Id", tokens.issue("mcp.session", claims, Duration.ofHours(24)));
    request
        .answer()
        .result(
            Json.object(
                "protocolVersion",
                LEGACY.contains(version) ? version : LEGACY.get(0),
                "capabilities",
                Json.object("tools", Json.object("listChanged", false)),
                "serverInfo",
                serverInfo(request),
                "instructions",
                instructions(request)));
  }

  private void list(Request request) {
    Object cursor = request.params().get("cursor");
    int from = 0;
    if (cursor != null) {
      Optional<byte[]> claims =
          cursor instanceof String text ? tokens.verify("mcp.tools", text) : Optional.empty();
      if (claims.isEmpty()) {
        request.answer().error(400, INVALID_PARAMS, "the cursor is not valid any more", null);
        return;
      }
      from = Integer.parseInt(new String(claims.get(), StandardCharsets.UTF_8));
    }
    int start = from;
    schemas
        .look(request.catalog(), request.server())
        .thenRun(
            () -> {
              Schemas.Derived tools = schemas.derive(request.catalog(), request.server());
              int end = Math.min(tools.listed().size(), start + config.tools_page());
              Map<String, @Nullable Object> result =
                  Json.object("tools", tools.listed().subList(Math.min(start, end), end));
              if (end < tools.listed().size()) {
                byte[] next = Integer.toString(end).getBytes(StandardCharsets.UTF_8);
                result.put("nextCursor", tokens.issue("mcp.tools", next, Duration.ofHours(1)));
              }
              request.answer().result(request.answer().modern() ? cacheable(result) : result);
            });
  }
}
