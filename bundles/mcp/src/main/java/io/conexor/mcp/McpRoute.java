package io.conexor.mcp;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.access.Access;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.call.SourceSchema.Table;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.node.Node;
import io.conexor.mcp.ToolDefinition.Action;
import io.conexor.mcp.ToolDefinition.Statement;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import io.conexor.protocol.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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

  private static final Logger log = LoggerFactory.getLogger(McpRoute.class);
  private static final String META = "io.modelcontextprotocol/";
  private static final int PARSE = -32700;
  private static final int INVALID_REQUEST = -32600;
  private static final int NO_METHOD = -32601;
  private static final int INVALID_PARAMS = -32602;
  private static final int INTERNAL = -32603;
  private static final int HEADER_MISMATCH = -32020;
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
        name = "Allowed origins",
        description = "Values of Origin accepted besides the server's own host")
    String[] origins_allowed() default {};

    @AttributeDefinition(
        name = "Allowed hosts",
        description = "Values of Host accepted; empty = any")
    String[] hosts_allowed() default {};
  }

  private record Derived(
      OrgCatalog catalog,
      Map<String, SourceSchema> discovered,
      Map<String, ToolDefinition> tools,
      List<Map<String, @Nullable Object>> listed) {}

  /** One request that has been recognised. */
  private record Request(
      HttpExchange exchange,
      Answer answer,
      Principal.ServerKey principal,
      OrgCatalog catalog,
      McpServer server,
      String method,
      Map<String, @Nullable Object> params,
      long since) {}

  private final Access access;
  private final Tokens tokens;
  private final Catalog catalog;
  private final CatalogEditor editor;
  private final AgentCalls calls;
  private final AuditTrail audit;
  private final String node;
  private final Config config;
  private final Set<String> origins;
  private final Set<String> hosts;
  private final ExecutorService background;
  private final Map<McpServerId, Derived> derived = new ConcurrentHashMap<>();
  private final Map<String, SourceSchema> schemas = new ConcurrentHashMap<>();
  private final Map<String, CompletableFuture<SourceSchema>> discoveries =
      new ConcurrentHashMap<>();

  /** Legacy requests under way by session and id, for notifications/cancelled. */
  private final Map<String, ResultSink> underWay = new ConcurrentHashMap<>();

  @Activate
  public McpRoute(
      @Reference(name = "access") Access access,
      @Reference(name = "tokens") Tokens tokens,
      @Reference(name = "catalog") Catalog catalog,
      @Reference(name = "editor") CatalogEditor editor,
      @Reference(name = "calls") AgentCalls calls,
      @Reference(name = "audit") AuditTrail audit,
      @Reference(name = "node") Node node,
      Config config) {
    this.access = access;
    this.tokens = tokens;
    this.catalog = catalog;
    this.editor = editor;
    this.calls = calls;
    this.audit = audit;
    this.node = node.id().value();
    this.config = checked(config);
    this.origins = Set.of(config.origins_allowed());
    this.hosts = Set.of(config.hosts_allowed());
    // One writer of schemas is enough; what does not fit is looked at again later.
    this.background =
        new ThreadPoolExecutor(
            1,
            1,
            1,
            TimeUnit.MINUTES,
            new LinkedBlockingQueue<>(100),
            task -> {
              Thread thread = new Thread(task, "conexor-mcp-schemas");
              thread.setDaemon(true);
              return thread;
            });
  }

  private static Config checked(Config c) {
    range("body.max.bytes", c.body_max_bytes(), 1_024, 67_108_864);
    range("rows.default", c.rows_default(), 1, c.rows_max());
    range("rows.max", c.rows_max(), 1, 1_000_000);
    range("result.max.bytes", c.result_max_bytes(), 65_536, 268_435_456);
    range("query.timeout.ms", c.query_timeout_ms(), 100, 600_000);
    range("tools.page", c.tools_page(), 1, 10_000);
    range("schema.max.age.ms", c.schema_max_age_ms(), 1_000, 604_800_000);
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
    background.shutdownNow();
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
    ConexorException known = known(failure);
    exchange.withHeader(
        "Retry-After", Long.toString(known.retryAfter().map(Duration::toSeconds).orElse(1L)));
    Answer.refused(exchange, 503, null, INTERNAL, known.text());
  }

  private static ConexorException known(@Nullable Throwable failure) {
    Throwable cause = failure;
    while (cause != null && !(cause instanceof ConexorException) && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof ConexorException known) {
      return known;
    }
    log.error("a request failed in an unforeseen way", failure);
    return new ConexorException(
        ConexorException.Blame.BUG,
        ConexorException.Applied.UNKNOWN,
        "internal",
        "the request failed inside the server; see its log");
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
  private static Map<String, @Nullable Object> object(Map<?, ?> map) {
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
    String name =
        request.method().equals("tools/call") && request.params().get("name") instanceof String text
            ? text
            : null;
    if (header == null || !header.equals(inBody)) {
      String text = "MCP-Protocol-Version and the version in _meta differ";
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, text);
    } else if (!MODERN.equals(header)) {
      unsupported(exchange, id, header);
    } else if (!request.method().equals(exchange.header("Mcp-Method").orElse(null))) {
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, "Mcp-Method and the method differ");
    } else if (name != null
        && !name.equals(exchange.header("Mcp-Name").map(McpRoute::decoded).orElse(null))) {
      Answer.refused(exchange, 400, id, HEADER_MISMATCH, "Mcp-Name and the tool's name differ");
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
                          Json.object("tools", Json.object()),
                          "instructions",
                          instructions(request),
                          "_meta",
                          Json.object(META + "serverInfo", serverInfo(request)))));
      case "tools/list" -> list(request);
      case "tools/call" -> call(request, null);
      default -> request.answer().error(404, NO_METHOD, "Method not found", null);
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
        ResultSink sink = underWay.get(session + " " + request.params().get("requestId"));
        if (sink != null) {
          sink.cancel("the client cancelled the request");
        }
      }
      exchange.respond(202);
      return;
    }
    switch (request.method()) {
      case "ping" -> request.answer().result(Json.object());
      case "tools/list" -> list(request);
      case "tools/call" ->
          call(request, session == null ? null : session + " " + request.answer().id());
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
    schemas(request.catalog(), request.server())
        .thenRun(
            () -> {
              Derived tools = derive(request.catalog(), request.server());
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

  /** A catalog is compared by identity: that is what its contract says an instance is for. */
  @SuppressWarnings("ReferenceEquality")
  private Derived derive(OrgCatalog owner, McpServer server) {
    Derived now = derived.get(server.id());
    Map<String, SourceSchema> known = known(owner, server);
    if (now == null || now.catalog() != owner || !same(now.discovered(), known)) {
      Map<String, ToolDefinition> tools = ToolGenerator.tools(owner, server, known);
      now =
          new Derived(
              owner, known, tools, tools.values().stream().map(ToolDefinition::listed).toList());
      derived.put(server.id(), now);
    }
    return now;
  }

  private static boolean same(Map<String, SourceSchema> a, Map<String, SourceSchema> b) {
    for (Map.Entry<String, SourceSchema> entry : b.entrySet()) {
      SourceSchema other = a.get(entry.getKey());
      if (other == null || !other.discoveredAt().equals(entry.getValue().discoveredAt())) {
        return false;
      }
    }
    return a.size() == b.size();
  }

  private Map<String, SourceSchema> known(OrgCatalog owner, McpServer server) {
    Map<String, SourceSchema> known = new HashMap<>();
    for (String source : server.sources()) {
      SourceSchema stored = owner.schemas().get(source);
      SourceSchema seen = schemas.get(owner.organisation().id() + "/" + source);
      if (seen != null && (stored == null || stored.discoveredAt().isBefore(seen.discoveredAt()))) {
        known.put(source, seen);
      } else if (stored != null) {
        known.put(source, stored);
      }
    }
    return known;
  }

  /** Completes when every source has a schema or could not be looked at; never fails. */
  private CompletionStage<Void> schemas(OrgCatalog owner, McpServer server) {
    Map<String, SourceSchema> known = known(owner, server);
    List<CompletableFuture<?>> missing = new ArrayList<>();
    Instant stale = Instant.now().minusMillis(config.schema_max_age_ms());
    for (String source : server.sources()) {
      if (!owner.sources().containsKey(source)) {
        continue;
      }
      SourceSchema schema = known.get(source);
      if (schema == null || schema.discoveredAt().isBefore(stale)) {
        CompletableFuture<?> discovery = discover(owner, source);
        if (schema == null) {
          missing.add(discovery.handle((s, e) -> null));
        }
      }
    }
    return CompletableFuture.allOf(missing.toArray(CompletableFuture[]::new));
  }

  private CompletableFuture<SourceSchema> discover(OrgCatalog owner, String source) {
    String key = owner.organisation().id() + "/" + source;
    CompletableFuture<SourceSchema> mine = new CompletableFuture<>();
    CompletableFuture<SourceSchema> running = discoveries.putIfAbsent(key, mine);
    if (running != null) {
      return running;
    }
    calls
        .discover(owner.organisation().id(), source, Deadline.in(Duration.ofSeconds(10)))
        .whenComplete(
            (schema, failure) -> {
              if (schema == null) {
                log.info("source {} could not be looked at: {}", key, known(failure).text());
                mine.completeExceptionally(known(failure));
              } else {
                schemas.put(key, schema);
                store(owner, schema);
                mine.complete(schema);
              }
              discoveries.remove(key);
            });
    return mine;
  }

  private void store(OrgCatalog owner, SourceSchema schema) {
    try {
      background.execute(
          () -> {
            try {
              editor.put(owner.organisation().id(), schema);
            } catch (RuntimeException e) {
              log.warn(
                  "the schema of source {} is not stored: {}", schema.source(), e.getMessage());
            }
          });
    } catch (RejectedExecutionException e) {
      log.debug("the schema of source {} is stored next time", schema.source());
    }
  }

  private void call(Request request, @Nullable String cancelKey) {
    if (!(request.params().get("name") instanceof String name)) {
      request.answer().error(400, INVALID_PARAMS, "the tool's name is missing", null);
      return;
    }
    Object raw = request.params().get("arguments");
    if (raw != null && !(raw instanceof Map)) {
      request.answer().error(400, INVALID_PARAMS, "arguments is not an object", null);
      return;
    }
    Map<String, @Nullable Object> arguments =
        raw instanceof Map<?, ?> map ? object(map) : Json.object();
    ToolDefinition tool = derive(request.catalog(), request.server()).tools().get(name);
    if (tool != null && !(tool.action() instanceof Action.Describe)) {
      call(request, cancelKey, tool, arguments);
      return;
    }
    // Perhaps a tool of a schema nobody has looked at yet.
    schemas(request.catalog(), request.server())
        .thenRun(
            () -> {
              ToolDefinition found = derive(request.catalog(), request.server()).tools().get(name);
              if (found == null) {
                String shown = name.length() > 100 ? name.substring(0, 100) + "..." : name;
                request.answer().error(400, INVALID_PARAMS, "Unknown tool: " + shown, null);
              } else {
                call(request, cancelKey, found, arguments);
              }
            });
  }

  private void call(
      Request request,
      @Nullable String cancelKey,
      ToolDefinition tool,
      Map<String, @Nullable Object> given) {
    try {
      Map<String, @Nullable Object> arguments = Arguments.checked(tool, given);
      Action action = tool.action();
      if (action instanceof Action.Describe describe) {
        describe(request, describe, arguments);
        return;
      }
      long limit = config.rows_default();
      if (arguments.get("limit") instanceof Long wanted) {
        if (wanted < 1) {
          throw new Arguments.InvalidException("argument 'limit' is not positive");
        }
        limit = Math.min(wanted, config.rows_max());
      }
      String source;
      Statement statement;
      long offset = 0;
      if (action instanceof Action.Sql sql) {
        source = sql.source();
        offset = offset(tool, arguments);
        statement = sql.maker().make(arguments, limit + 1, offset);
      } else {
        source = source(((Action.Free) action).sources(), arguments);
        Object parameters = arguments.get("parameters");
        statement =
            new Statement(
                (String) java.util.Objects.requireNonNull(arguments.get("sql")),
                parameters instanceof List<?> list ? Arguments.list("parameters", list) : List.of(),
                false);
      }
      run(request, cancelKey, tool, source, statement, limit, offset, arguments);
    } catch (Arguments.InvalidException e) {
      String text = String.valueOf(e.getMessage());
      record(
          request,
          tool,
          null,
          null,
          0,
          AuditRecord.Outcome.REFUSED,
          0,
          false,
          null,
          "invalid_arguments: " + text);
      request.answer().toolError(text);
    }
  }

  private static String source(List<String> sources, Map<String, @Nullable Object> arguments) {
    Object wanted = arguments.get("source");
    if (wanted == null) {
      if (sources.size() == 1) {
        return sources.get(0);
      }
      throw new Arguments.InvalidException("say which source: " + String.join(", ", sources));
    }
    if (!(wanted instanceof String name) || !sources.contains(name)) {
      throw new Arguments.InvalidException(
          "no such source; there are " + String.join(", ", sources));
    }
    return name;
  }

  private long offset(ToolDefinition tool, Map<String, @Nullable Object> arguments) {
    if (!(arguments.get("cursor") instanceof String cursor)
        || tool.parameters().stream().noneMatch(p -> p.name().equals("cursor"))) {
      return 0;
    }
    String[] claims =
        tokens
            .verify("mcp.rows", cursor)
            .map(c -> new String(c, StandardCharsets.UTF_8).split(" ", 3))
            .orElse(new String[0]);
    if (claims.length != 3
        || !claims[1].equals(tool.name())
        || !claims[2].equals(fingerprint(arguments))) {
      throw new Arguments.InvalidException(
          "the cursor belongs to another call, or has expired; start again without it");
    }
    return Long.parseLong(claims[0]);
  }

  private static String fingerprint(Map<String, @Nullable Object> arguments) {
    Map<String, @Nullable Object> rest = new java.util.TreeMap<>(arguments);
    rest.remove("cursor");
    rest.remove("limit");
    return hash(rest.toString());
  }

  private static String hash(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  private void run(
      Request request,
      @Nullable String cancelKey,
      ToolDefinition tool,
      String source,
      Statement statement,
      long limit,
      long offset,
      Map<String, @Nullable Object> arguments) {
    int parameters = statement.parameters().size();
    ResultSink.End end =
        new ResultSink.End() {
          @Override
          public void done(ResultSink sink, QuerySummary summary) {
            forget(cancelKey);
            String next = null;
            if (statement.paged() && summary.truncated() && sink.rows() > 0) {
              String claims =
                  offset + sink.rows() + " " + tool.name() + " " + fingerprint(arguments);
              byte[] bytes = claims.getBytes(StandardCharsets.UTF_8);
              next = tokens.issue("mcp.rows", bytes, Duration.ofHours(1));
            }
            record(
                request,
                tool,
                source,
                statement.sql(),
                parameters,
                AuditRecord.Outcome.OK,
                sink.rows(),
                summary.truncated(),
                summary.agentName(),
                null);
            double elapsed = (System.nanoTime() - request.since()) / 1e6;
            request.answer().structured(sink.finished(summary, next, elapsed));
          }

          @Override
          public void failed(ConexorException cause) {
            forget(cancelKey);
            failure(request, tool, source, statement.sql(), parameters, cause);
          }
        };
    ResultSink sink = new ResultSink(config.result_max_bytes() * 3 + 65_536, end);
    QueryCall call =
        new QueryCall(
            UUID.randomUUID(),
            request.principal().org(),
            source,
            statement.sql(),
            statement.parameters(),
            limit,
            config.result_max_bytes(),
            Deadline.in(Duration.ofMillis(config.query_timeout_ms())),
            true,
            request.exchange().header("traceparent").orElse(null));
    if (cancelKey != null) {
      underWay.put(cancelKey, sink);
    }
    sink.started(calls.start(call, sink));
    request.exchange().onGone(() -> sink.cancel("the client has gone"));
  }

  private void forget(@Nullable String cancelKey) {
    if (cancelKey != null) {
      underWay.remove(cancelKey);
    }
  }

  /** docs/failure-semantics.md#mcp. */
  private void failure(
      Request request,
      ToolDefinition tool,
      String source,
      String sql,
      int parameters,
      ConexorException cause) {
    AuditRecord.Outcome outcome =
        cause.code().equals("cancelled")
            ? AuditRecord.Outcome.CANCELLED
            : cause.blame() == ConexorException.Blame.CALLER
                ? AuditRecord.Outcome.REFUSED
                : AuditRecord.Outcome.FAILED;
    String error = cause.code() + ": " + cause.text();
    record(request, tool, source, sql, parameters, outcome, 0, false, null, error);
    if (cause.blame() == ConexorException.Blame.BUG) {
      request.answer().error(500, INTERNAL, "Internal error", null);
      return;
    }
    StringBuilder text = new StringBuilder(error);
    if (cause.safeToRetry()) {
      text.append(" (nothing was run; trying again is safe");
      cause
          .retryAfter()
          .ifPresent(d -> text.append(", best after ").append(d.toSeconds()).append(" s"));
      text.append(')');
    }
    request.answer().toolError(text.toString());
  }

  private void record(
      Request request,
      ToolDefinition tool,
      @Nullable String source,
      @Nullable String sql,
      int parameters,
      AuditRecord.Outcome outcome,
      long rows,
      boolean truncated,
      @Nullable String agent,
      @Nullable String error) {
    audit.record(
        new AuditRecord(
            AuditId.random(),
            Instant.now(),
            request.principal().org(),
            outcome == AuditRecord.Outcome.REFUSED ? "query.refuse" : "query.execute",
            outcome,
            request.principal().subject(),
            request.exchange().remoteAddress(),
            request.exchange().requestId(),
            node,
            request.server().name(),
            tool.name(),
            source,
            agent,
            "mcp-server:" + request.server().id(),
            sql == null ? null : hash(sql),
            parameters,
            rows,
            truncated,
            (System.nanoTime() - request.since()) / 1_000,
            error));
  }

  private void describe(
      Request request, Action.Describe describe, Map<String, @Nullable Object> arguments) {
    Map<String, SourceSchema> known = known(request.catalog(), request.server());
    Object wanted = arguments.get("source");
    List<@Nullable Object> tables = new ArrayList<>();
    for (String source : request.server().sources()) {
      SourceSchema schema = known.get(source);
      if (schema == null || (wanted != null && !wanted.equals(source))) {
        continue;
      }
      if (describe.oneTable()) {
        ToolGenerator.find(
                schema, (String) java.util.Objects.requireNonNull(arguments.get("table")))
            .ifPresent(table -> tables.add(described(source, table, true)));
      } else {
        schema.tables().forEach(table -> tables.add(described(source, table, false)));
      }
    }
    if (tables.isEmpty() && (describe.oneTable() || known.isEmpty())) {
      request
          .answer()
          .toolError(
              known.isEmpty()
                  ? "no agent has shown the structure of this server's sources yet; try again"
                  : "no such table; list_tables tells which there are");
      return;
    }
    GrowingBytes out = new GrowingBytes(1_024, 64 << 20);
    JsonWriter.value(out, describe.oneTable() ? tables.get(0) : Json.object("tables", tables));
    request.answer().structured(out);
  }

  private static Map<String, @Nullable Object> described(
      String source, Table table, boolean whole) {
    Map<String, @Nullable Object> shown =
        Json.object(
            "source",
            source,
            "schema",
            table.schema(),
            "name",
            table.name(),
            "kind",
            table.kind(),
            "comment",
            table.comment().isEmpty() ? null : table.comment(),
            "estimatedRows",
            table.estimatedRows() < 0 ? null : table.estimatedRows());
    if (whole) {
      List<@Nullable Object> columns = new ArrayList<>();
      table
          .columns()
          .forEach(
              c ->
                  columns.add(
                      Json.object(
                          "name", c.name(),
                          "type", c.engineType(),
                          "nullable", c.nullable(),
                          "default", c.defaultValue().isEmpty() ? null : c.defaultValue(),
                          "comment", c.comment().isEmpty() ? null : c.comment())));
      shown.put("columns", columns);
      shown.put("primaryKey", table.primaryKey());
      shown.put("unique", table.unique());
      List<@Nullable Object> keys = new ArrayList<>();
      table
          .foreignKeys()
          .forEach(
              k ->
                  keys.add(
                      Json.object(
                          "columns", k.columns(),
                          "refSchema", k.refSchema(),
                          "refTable", k.refTable(),
                          "refColumns", k.refColumns())));
      shown.put("foreignKeys", keys);
    }
    return shown;
  }
}
