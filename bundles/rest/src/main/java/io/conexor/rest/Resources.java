package io.conexor.rest;

import io.conexor.api.Deadline;
import io.conexor.api.access.ApiKey;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Keys;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditRecord.Outcome;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.catalog.ToolParameter;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** What an organisation owns: agents, sources, tools, MCP servers, keys, and its audit trail. */
final class Resources {

  private static final Pattern SOURCE = Pattern.compile("[a-z0-9_-]{1,63}");
  private static final Pattern SERVER = Pattern.compile("[a-z0-9-]{1,63}");
  private static final Pattern TOOL = Pattern.compile("[a-zA-Z0-9_-]{1,64}");
  private static final Set<String> ENGINES =
      Set.of("postgresql", "mysql", "mariadb", "sqlserver", "oracle", "sqlite", "h2");
  private static final Duration DISCOVERY = Duration.ofSeconds(60);

  private final Catalog catalog;
  private final CatalogEditor editor;
  private final AgentDirectory directory;
  private final AgentCalls calls;
  private final Keys keys;
  private final AuditTrail audit;

  Resources(
      Catalog catalog,
      CatalogEditor editor,
      AgentDirectory directory,
      AgentCalls calls,
      Keys keys,
      AuditTrail audit) {
    this.catalog = catalog;
    this.editor = editor;
    this.directory = directory;
    this.calls = calls;
    this.keys = keys;
    this.audit = audit;
  }

  static <I> I id(Call call, int index, Function<String, I> parse, String what) {
    try {
      return parse.apply(call.path.get(index));
    } catch (IllegalArgumentException e) {
      throw unknown(what, call.path.get(index));
    }
  }

  private static Problem.Raised unknown(String what, String name) {
    String shown = name.length() > 80 ? name.substring(0, 80) : name;
    return Problem.raise(
        404, what.replace(' ', '_') + "_unknown", "there is no " + what + " '" + shown + "'");
  }

  private static <T> T await(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().join();
    } catch (CompletionException e) {
      throw RestApi.problem(e);
    }
  }

  private OrgCatalog org(Call call) {
    return await(catalog.byId(call.org()))
        .orElseThrow(() -> unknown("organisation", call.org().toString()));
  }

  private static Answer versioned(OrgCatalog org, Answer answer) {
    return answer.with("ETag", "W/\"" + org.version() + "\"");
  }

  Answer organisation(Call call) {
    OrgCatalog org = org(call);
    Organisation organisation = org.organisation();
    return versioned(
        org,
        Answer.ok(
            Json.object()
                .put("id", organisation.id().toString())
                .put("slug", organisation.slug())
                .put("name", organisation.name())
                .put("createdAt", organisation.createdAt().toString())));
  }

  Answer renameOrganisation(Call call) {
    Organisation organisation = org(call).organisation();
    Json.Body body = Json.Body.of(call.exchange);
    String name = body.text("name", 200);
    body.done();
    editor.put(
        new Organisation(organisation.id(), organisation.slug(), name, organisation.createdAt()));
    call.audited("organisation.update", Outcome.OK, "organisation:" + organisation.id(), null);
    return organisation(call);
  }

  Answer agents(Call call) {
    OrgCatalog org = org(call);
    List<Attachment> attached = directory.attached(call.org());
    return Answer.listing(call, org.agents().values(), Agent::name, agent -> json(agent, attached));
  }

  Answer agent(Call call) {
    return Answer.ok(json(agent(call, org(call)), directory.attached(call.org())));
  }

  private static Agent agent(Call call, OrgCatalog org) {
    Agent agent = org.agents().get(id(call, 0, AgentId::of, "agent"));
    if (agent == null) {
      throw unknown("agent", call.path.get(0));
    }
    return agent;
  }

  Answer createAgent(Call call, AgentId id) {
    Agent agent = read(call, id, Instant.now());
    editor.put(agent);
    call.audited("agent.create", Outcome.OK, "agent:" + id, null);
    return Answer.created(RestApi.PATH + "/agents/" + id, json(agent, List.of()));
  }

  Answer updateAgent(Call call) {
    Agent before = agent(call, org(call));
    Agent agent = read(call, before.id(), before.createdAt());
    editor.put(agent);
    call.audited("agent.update", Outcome.OK, "agent:" + agent.id(), null);
    return Answer.ok(json(agent, directory.attached(call.org())));
  }

  private static Agent read(Call call, AgentId id, Instant createdAt) {
    Json.Body body = Json.Body.of(call.exchange);
    String name = body.text("name", 128);
    List<String> sources = body.texts("allowedSources", 1_000, 63);
    body.done();
    return new Agent(id, call.org(), name, new HashSet<>(sources), createdAt);
  }

  Answer removeAgent(Call call) {
    AgentId id = id(call, 0, AgentId::of, "agent");
    if (!editor.remove(call.org(), id)) {
      throw unknown("agent", call.path.get(0));
    }
    call.audited("agent.remove", Outcome.OK, "agent:" + id, null);
    return Answer.noContent();
  }

  private static ObjectNode json(Agent agent, List<Attachment> attached) {
    ObjectNode json =
        Json.object()
            .put("id", agent.id().toString())
            .put("name", agent.name())
            .put("createdAt", agent.createdAt().toString());
    ArrayNode allowed = json.putArray("allowedSources");
    agent.allowedSources().stream().sorted().forEach(allowed::add);
    ArrayNode links = json.putArray("links");
    boolean isAttached = false;
    for (Attachment link : attached) {
      if (!link.agent().equals(agent.id())) {
        continue;
      }
      isAttached |= !link.isClosing();
      ObjectNode each = links.addObject();
      each.put("node", link.node().value()).put("version", link.agentVersion());
      each.put("process", link.process().toString()).put("since", link.since().toString());
      each.put("closing", link.isClosing()).put("inFlight", link.inFlight());
      ArrayNode offers = each.putArray("sources");
      for (SourceOffer offer : link.sources()) {
        offers
            .addObject()
            .put("name", offer.name())
            .put("engine", offer.engine())
            .put("productVersion", offer.productVersion())
            .put("readOnly", offer.isReadOnly())
            .put("maxRows", offer.maxRows())
            .put("maxBytes", offer.maxBytes())
            .put("maxConcurrent", offer.maxConcurrent())
            .put("state", offer.state().name())
            .put("reason", offer.reason());
      }
    }
    return json.put("status", isAttached ? "ATTACHED" : "DETACHED");
  }

  Answer sources(Call call) {
    OrgCatalog org = org(call);
    return versioned(
        org,
        Answer.listing(
            call, org.sources().values(), DataSource::name, source -> json(call, org, source)));
  }

  Answer source(Call call) {
    OrgCatalog org = org(call);
    return Answer.ok(json(call, org, source(call, org)));
  }

  private static DataSource source(Call call, OrgCatalog org) {
    DataSource source = org.sources().get(call.path.get(0));
    if (source == null) {
      throw unknown("source", call.path.get(0));
    }
    return source;
  }

  Answer createSource(Call call) {
    Json.Body body = Json.Body.of(call.exchange);
    String name = body.text("name", SOURCE);
    DataSource source = read(call, body, name, Instant.now());
    if (org(call).sources().containsKey(name)) {
      throw Problem.raise(409, "source_taken", "there is a data source '" + name + "' already");
    }
    editor.put(source);
    call.audited("source.create", Outcome.OK, "source:" + name, null);
    return Answer.created(RestApi.PATH + "/sources/" + name, json(call, org(call), source));
  }

  Answer updateSource(Call call) {
    DataSource before = source(call, org(call));
    DataSource source = read(call, Json.Body.of(call.exchange), before.name(), before.createdAt());
    editor.put(source);
    call.audited("source.update", Outcome.OK, "source:" + source.name(), null);
    return Answer.ok(json(call, org(call), source));
  }

  private static DataSource read(Call call, Json.Body body, String name, Instant createdAt) {
    String engine = body.text("engine", 20);
    if (!engine.isEmpty() && !ENGINES.contains(engine)) {
      body.wrong("engine", "must be one of " + ENGINES.stream().sorted().toList());
    }
    String description = body.optionalText("description", 4_000).orElse("");
    body.done();
    return new DataSource(call.org(), name, engine, description, createdAt);
  }

  Answer removeSource(Call call) {
    if (!editor.removeSource(call.org(), call.path.get(0))) {
      throw unknown("source", call.path.get(0));
    }
    call.audited("source.remove", Outcome.OK, "source:" + call.path.get(0), null);
    return Answer.noContent();
  }

  Answer schema(Call call) {
    OrgCatalog org = org(call);
    DataSource source = source(call, org);
    SourceSchema schema = org.schemas().get(source.name());
    if (schema == null) {
      throw Problem.raise(
          404,
          "schema_unknown",
          "the schema of '" + source.name() + "' has not been looked at yet; refresh it");
    }
    return versioned(org, Answer.ok(json(schema)));
  }

  CompletionStage<SourceSchema> discoverSchema(Call call) {
    DataSource source = source(call, org(call));
    return calls.discover(call.org(), source.name(), Deadline.in(DISCOVERY));
  }

  Answer refreshedSchema(Call call, SourceSchema schema) {
    editor.put(call.org(), schema);
    call.audited("schema.refresh", Outcome.OK, "source:" + schema.source(), null);
    return Answer.ok(json(schema));
  }

  private ObjectNode json(Call call, OrgCatalog org, DataSource source) {
    ObjectNode json =
        Json.object()
            .put("name", source.name())
            .put("engine", source.engine())
            .put("description", source.description())
            .put("createdAt", source.createdAt().toString())
            .put("schemaKnown", org.schemas().containsKey(source.name()));
    Set<String> agents = new HashSet<>();
    boolean isUp = false;
    for (Attachment link : directory.serving(call.org(), source.name())) {
      agents.add(link.agentName());
      for (SourceOffer offer : link.sources()) {
        isUp |= offer.name().equals(source.name()) && offer.state() != SourceOffer.State.DOWN;
      }
    }
    ArrayNode names = json.putArray("agents");
    agents.stream().sorted().forEach(names::add);
    return json.put("status", agents.isEmpty() ? "UNREACHABLE" : isUp ? "UP" : "DOWN");
  }

  private static ObjectNode json(SourceSchema schema) {
    ObjectNode json =
        Json.object()
            .put("source", schema.source())
            .put("engine", schema.engine())
            .put("discoveredAt", schema.discoveredAt().toString());
    ArrayNode tables = json.putArray("tables");
    for (SourceSchema.Table table : schema.tables()) {
      ObjectNode each = tables.addObject();
      each.put("schema", table.schema()).put("name", table.name()).put("kind", table.kind());
      each.put("comment", table.comment()).put("estimatedRows", table.estimatedRows());
      ArrayNode columns = each.putArray("columns");
      for (SourceSchema.TableColumn column : table.columns()) {
        columns
            .addObject()
            .put("name", column.name())
            .put("type", column.type().name())
            .put("engineType", column.engineType())
            .put("nullable", column.nullable())
            .put("default", column.defaultValue())
            .put("comment", column.comment());
      }
      table.primaryKey().forEach(each.putArray("primaryKey")::add);
      lists(each.putArray("unique"), table.unique());
      lists(each.putArray("indexes"), table.indexes());
      ArrayNode references = each.putArray("foreignKeys");
      for (SourceSchema.ForeignKey reference : table.foreignKeys()) {
        ObjectNode one = references.addObject();
        reference.columns().forEach(one.putArray("columns")::add);
        one.put("refSchema", reference.refSchema()).put("refTable", reference.refTable());
        reference.refColumns().forEach(one.putArray("refColumns")::add);
      }
    }
    return json;
  }

  private static void lists(ArrayNode array, List<List<String>> lists) {
    lists.forEach(list -> list.forEach(array.addArray()::add));
  }

  Answer tools(Call call) {
    OrgCatalog org = org(call);
    return versioned(org, Answer.listing(call, org.tools().values(), Tool::name, Resources::json));
  }

  Answer tool(Call call) {
    return Answer.ok(json(tool(call, org(call))));
  }

  private static Tool tool(Call call, OrgCatalog org) {
    Tool tool = org.tools().get(id(call, 0, ToolId::of, "tool"));
    if (tool == null) {
      throw unknown("tool", call.path.get(0));
    }
    return tool;
  }

  Answer createTool(Call call, ToolId id) {
    Tool tool = read(call, id, Instant.now());
    editor.put(tool);
    call.audited("tool.create", Outcome.OK, "tool:" + id, null);
    return Answer.created(RestApi.PATH + "/tools/" + id, json(tool));
  }

  Answer updateTool(Call call) {
    Tool before = tool(call, org(call));
    Tool tool = read(call, before.id(), before.createdAt());
    editor.put(tool);
    call.audited("tool.update", Outcome.OK, "tool:" + tool.id(), null);
    return Answer.ok(json(tool));
  }

  private static Tool read(Call call, ToolId id, Instant createdAt) {
    Json.Body body = Json.Body.of(call.exchange);
    String name = body.text("name", TOOL);
    String description = body.optionalText("description", 4_000).orElse("");
    String source = body.text("source", SOURCE);
    String sql = body.text("sql", 100_000);
    List<ToolParameter> parameters = new ArrayList<>();
    for (JsonNode each : body.array("parameters", 100)) {
      parameter(body, "parameters[" + parameters.size() + "]", each).ifPresent(parameters::add);
    }
    body.done();
    return new Tool(id, call.org(), name, description, source, sql, parameters, createdAt);
  }

  private static Optional<ToolParameter> parameter(Json.Body body, String field, JsonNode node) {
    JsonNode name = node.get("name");
    JsonNode type = node.get("type");
    if (name == null
        || !name.isString()
        || !name.stringValue().matches("[A-Za-z_][A-Za-z0-9_]{0,62}")
        || type == null
        || !type.isString()) {
      body.wrong(field, "must be an object with name (an identifier) and type");
      return Optional.empty();
    }
    ColumnType columnType;
    try {
      columnType = ColumnType.valueOf(type.stringValue());
    } catch (IllegalArgumentException e) {
      body.wrong(field + ".type", "must be one of " + List.of(ColumnType.values()));
      return Optional.empty();
    }
    JsonNode description = node.get("description");
    JsonNode required = node.get("required");
    JsonNode otherwise = node.get("default");
    return Optional.of(
        new ToolParameter(
            name.stringValue(),
            columnType,
            description != null && description.isString() ? description.stringValue() : "",
            required == null || !required.isBoolean() || required.booleanValue(),
            otherwise == null ? Optional.empty() : Optional.of(otherwise.toString())));
  }

  Answer removeTool(Call call) {
    ToolId id = id(call, 0, ToolId::of, "tool");
    if (!editor.remove(call.org(), id)) {
      throw unknown("tool", call.path.get(0));
    }
    call.audited("tool.remove", Outcome.OK, "tool:" + id, null);
    return Answer.noContent();
  }

  private static ObjectNode json(Tool tool) {
    ObjectNode json =
        Json.object()
            .put("id", tool.id().toString())
            .put("name", tool.name())
            .put("description", tool.description())
            .put("source", tool.source())
            .put("sql", tool.sql())
            .put("createdAt", tool.createdAt().toString());
    ArrayNode parameters = json.putArray("parameters");
    for (ToolParameter parameter : tool.parameters()) {
      ObjectNode each = parameters.addObject();
      each.put("name", parameter.name()).put("type", parameter.type().name());
      each.put("description", parameter.description()).put("required", parameter.required());
      parameter
          .defaultValue()
          .ifPresent(
              text ->
                  each.set(
                      "default",
                      Json.parse(text.getBytes(java.nio.charset.StandardCharsets.UTF_8))));
    }
    return json;
  }

  Answer servers(Call call) {
    OrgCatalog org = org(call);
    return versioned(
        org,
        Answer.listing(call, org.servers().values(), McpServer::name, server -> json(org, server)));
  }

  Answer server(Call call) {
    OrgCatalog org = org(call);
    return Answer.ok(json(org, server(call, org)));
  }

  private static McpServer server(Call call, OrgCatalog org) {
    McpServerId id = id(call, 0, McpServerId::of, "mcp server");
    return org.servers().values().stream()
        .filter(server -> server.id().equals(id))
        .findFirst()
        .orElseThrow(() -> unknown("mcp server", call.path.get(0)));
  }

  Answer createServer(Call call, McpServerId id) {
    McpServer server = read(call, id, Instant.now());
    editor.put(server);
    call.audited("mcp-server.create", Outcome.OK, "mcp-server:" + id, null);
    return Answer.created(RestApi.PATH + "/mcp-servers/" + id, json(org(call), server));
  }

  Answer updateServer(Call call) {
    McpServer before = server(call, org(call));
    McpServer server = read(call, before.id(), before.createdAt());
    editor.put(server);
    call.audited("mcp-server.update", Outcome.OK, "mcp-server:" + server.id(), null);
    return Answer.ok(json(org(call), server));
  }

  private static McpServer read(Call call, McpServerId id, Instant createdAt) {
    Json.Body body = Json.Body.of(call.exchange);
    String name = body.text("name", SERVER);
    String description = body.optionalText("description", 4_000).orElse("");
    boolean enabled = body.bool("enabled", true);
    List<String> sources = body.texts("sources", 1_000, 63);
    boolean generated = body.bool("generatedTools", true);
    boolean free = body.bool("freeQuery", false);
    Set<ToolId> tools = new HashSet<>();
    for (String tool : body.texts("tools", 1_000, 36)) {
      try {
        tools.add(ToolId.of(tool));
      } catch (IllegalArgumentException e) {
        body.wrong("tools", "must hold ids of tools");
      }
    }
    body.done();
    return new McpServer(
        id, call.org(), name, description, enabled, sources, generated, free, tools, createdAt);
  }

  Answer removeServer(Call call) {
    McpServerId id = id(call, 0, McpServerId::of, "mcp server");
    if (!editor.remove(call.org(), id)) {
      throw unknown("mcp server", call.path.get(0));
    }
    call.audited("mcp-server.remove", Outcome.OK, "mcp-server:" + id, null);
    return Answer.noContent();
  }

  private static ObjectNode json(OrgCatalog org, McpServer server) {
    ObjectNode json =
        Json.object()
            .put("id", server.id().toString())
            .put("name", server.name())
            .put("description", server.description())
            .put("enabled", server.enabled())
            .put("generatedTools", server.generatedTools())
            .put("freeQuery", server.freeQuery())
            .put("path", "/mcp/" + org.organisation().slug() + "/" + server.name())
            .put("createdAt", server.createdAt().toString());
    server.sources().forEach(json.putArray("sources")::add);
    ArrayNode tools = json.putArray("tools");
    server.tools().stream().map(ToolId::toString).sorted().forEach(tools::add);
    return json;
  }

  Answer keys(Call call) {
    return Answer.listing(
        call, keys.list(call.org()), key -> key.createdAt() + " " + key.id(), Resources::json);
  }

  Answer createKey(Call call, KeyId id) {
    Json.Body body = Json.Body.of(call.exchange);
    Optional<ApiKey.Kind> kind = body.choice("kind", ApiKey.Kind.class);
    if (kind.isEmpty()) {
      body.wrong("kind", "is needed: AGENT, SERVER or ADMIN");
    }
    String name = body.text("name", 100);
    Optional<String> owner = body.optionalText("owner", 36);
    Optional<Instant> expiresAt = body.instant("expiresAt");
    body.done();
    Keys.NewKey made =
        keys.create(call.org(), id, kind.orElse(ApiKey.Kind.SERVER), owner, name, expiresAt);
    call.audited("key.create", Outcome.OK, "key:" + made.key().id(), null);
    ObjectNode json = json(made.key());
    made.secret().ifPresent(secret -> json.put("key", secret.reveal()));
    return Answer.created(RestApi.PATH + "/keys/" + made.key().id(), json);
  }

  Answer revokeKey(Call call) {
    KeyId id = id(call, 0, KeyId::of, "key");
    if (!keys.revoke(call.org(), id)) {
      throw unknown("key", call.path.get(0));
    }
    call.audited("key.revoke", Outcome.OK, "key:" + id, null);
    return Answer.noContent();
  }

  private static ObjectNode json(ApiKey key) {
    ObjectNode json =
        Json.object()
            .put("id", key.id().toString())
            .put("kind", key.kind().name())
            .put("name", key.name())
            .put("prefix", key.prefix())
            .put("createdAt", key.createdAt().toString());
    key.owner().ifPresent(owner -> json.put("owner", owner));
    key.expiresAt().ifPresent(at -> json.put("expiresAt", at.toString()));
    key.revokedAt().ifPresent(at -> json.put("revokedAt", at.toString()));
    key.lastUsedAt().ifPresent(at -> json.put("lastUsedAt", at.toString()));
    return json;
  }

  Answer audit(Call call) {
    Function<String, Optional<String>> parameter = call.exchange::queryParameter;
    return Answer.page(
        audit.search(
            new AuditTrail.Query(
                call.org(),
                parameter.apply("action"),
                parameter.apply("principal"),
                parameter.apply("source"),
                parameter.apply("outcome").map(Resources::outcome),
                parameter.apply("from").map(text -> moment("from", text)),
                parameter.apply("to").map(text -> moment("to", text)),
                Answer.limit(call, 1_000, 100),
                parameter.apply("cursor"))),
        Resources::json);
  }

  private static Outcome outcome(String text) {
    try {
      return Outcome.valueOf(text);
    } catch (IllegalArgumentException e) {
      throw Problem.raise(
          400, "outcome_invalid", "outcome must be one of " + List.of(Outcome.values()));
    }
  }

  private static Instant moment(String name, String text) {
    try {
      return Instant.parse(text);
    } catch (DateTimeException e) {
      throw Problem.raise(
          400, "time_invalid", name + " must be a moment such as 2030-01-31T12:00:00Z");
    }
  }

  private static ObjectNode json(AuditRecord record) {
    ObjectNode json =
        Json.object()
            .put("id", record.id().toString())
            .put("at", record.at().toString())
            .put("action", record.action())
            .put("outcome", record.outcome().name());
    text(json, "principal", record.principal());
    text(json, "remoteAddress", record.remoteAddress());
    text(json, "requestId", record.requestId());
    text(json, "node", record.node());
    text(json, "mcpServer", record.mcpServer());
    text(json, "tool", record.tool());
    text(json, "source", record.source());
    text(json, "agent", record.agent());
    text(json, "target", record.target());
    text(json, "statementHash", record.statementHash());
    json.put("parameterCount", record.parameterCount());
    json.put("rowCount", record.rowCount()).put("truncated", record.truncated());
    json.put("elapsedMicros", record.elapsedMicros());
    text(json, "error", record.error());
    return json;
  }

  private static void text(ObjectNode json, String name, @Nullable String value) {
    if (value != null) {
      json.put(name, value);
    }
  }
}
