package io.conexor.mcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.Subscription;
import io.conexor.api.access.Tokens;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.call.SourceSchema.Table;
import io.conexor.api.node.NodeId;
import io.conexor.mcp.Tasks.Task;
import io.conexor.mcp.ToolDefinition.Action;
import io.conexor.mcp.ToolDefinition.Paging;
import io.conexor.mcp.ToolDefinition.Statement;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs tools: arguments become a statement, rows a result with a cursor to the next page. A call
 * that takes long goes over to a stream of events, so that nobody in between takes the connection
 * for dead.
 */
final class ToolCalls implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(ToolCalls.class);
  private static final Topic CANCELLED = new Topic("mcp.cancelled");
  private static final int HASHES = 1_000;
  private static final int HASHED_CHARS = 4_096;
  private static final int INVALID_PARAMS = -32602;
  private static final int INTERNAL = -32603;

  private final AgentDirectory directory;
  private final AgentCalls calls;
  private final Cursors cursors;
  private final Tasks tasks;
  private final AuditTrail audit;
  private final NodeId node;
  private final Schemas schemas;
  private final McpRoute.Config config;
  private final ScheduledExecutorService timer;
  private final Set<Running> running = ConcurrentHashMap.newKeySet();

  /** Requests with a session under way by session and id, for notifications/cancelled. */
  private final Map<String, Running> bySession = new ConcurrentHashMap<>();

  /** Of the statements that tools make over and over; emptied when there are too many. */
  private final Map<String, String> hashes = new ConcurrentHashMap<>();

  /** By service, so that a replacement is subscribed before the old one goes. Guarded by itself. */
  private final Map<Backplane, Subscription> subscriptions = new HashMap<>();

  /** Written by the framework, read by every cancellation. */
  private volatile @Nullable Backplane backplane;

  ToolCalls(
      AgentDirectory directory,
      AgentCalls calls,
      Tokens tokens,
      AuditTrail audit,
      NodeId node,
      Schemas schemas,
      McpRoute.Config config) {
    this.directory = directory;
    this.calls = calls;
    this.cursors = new Cursors(tokens);
    this.tasks = new Tasks(tokens);
    this.audit = audit;
    this.node = node;
    this.schemas = schemas;
    this.config = config;
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-mcp-streams");
              thread.setDaemon(true);
              return thread;
            });
    long every = Math.max(25, Math.min(config.stream_after_ms(), config.stream_interval_ms()) / 4);
    var unused =
        timer.scheduleWithFixedDelay(this::tendStreams, every, every, TimeUnit.MILLISECONDS);
  }

  void bind(Backplane service) {
    synchronized (subscriptions) {
      subscriptions.put(service, service.subscribe(CANCELLED, Map.of(), new Cancellations()));
      backplane = service;
    }
  }

  void unbind(Backplane service) {
    synchronized (subscriptions) {
      Subscription subscription = subscriptions.remove(service);
      if (subscription != null) {
        subscription.close();
      }
      if (Objects.equals(backplane, service)) {
        backplane = null;
      }
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
    synchronized (subscriptions) {
      subscriptions.values().forEach(Subscription::close);
      subscriptions.clear();
    }
  }

  /** Cancels a request with a session, whichever backend runs it. */
  void cancel(String key) {
    if (cancelHere(key)) {
      return;
    }
    Backplane fleet = backplane;
    if (fleet != null) {
      // Best effort, as the notification itself is: the query ends by its deadline at the latest.
      var unused =
          fleet
              .publish(CANCELLED, Integer.toHexString(key.hashCode()), key.getBytes(UTF_8))
              .exceptionally(
                  failure -> {
                    log.debug("a cancellation reached no other backend: {}", failure.toString());
                    return null;
                  });
    }
  }

  private boolean cancelHere(String key) {
    Running found = bySession.get(key);
    if (found != null) {
      found.sink.cancel("the client cancelled the request");
    }
    return found != null;
  }

  /** Hears what other backends were told. */
  private final class Cancellations implements Backplane.EventListener {
    @Override
    public void event(Event event) {
      if (!event.from().equals(node)) {
        cancelHere(new String(event.payload(), UTF_8));
      }
    }

    @Override
    public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
      // A cancellation that was missed is one that came too late.
    }
  }

  private void tendStreams() {
    long now = System.nanoTime();
    for (Running each : running) {
      try {
        each.tend(now);
      } catch (RuntimeException e) {
        log.error("the stream of a tool call could not be kept alive", e);
      }
    }
  }

  void call(Request request, @Nullable String cancelKey) {
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
        raw instanceof Map<?, ?> map ? McpRoute.object(map) : Json.object();
    ToolDefinition tool = schemas.derive(request.catalog(), request.server()).tools().get(name);
    if (tool != null && !(tool.action() instanceof Action.Describe)) {
      call(request, cancelKey, tool, arguments);
      return;
    }
    // Perhaps a tool of a schema nobody has looked at yet.
    schemas
        .look(request.catalog(), request.server())
        .thenRun(
            () -> {
              ToolDefinition found =
                  schemas.derive(request.catalog(), request.server()).tools().get(name);
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
      if (tool.action() instanceof Action.Describe describe) {
        describe(request, describe, Arguments.checked(tool, given));
        return;
      }
      running(request, cancelKey, tool, given, null).start();
    } catch (Arguments.InvalidException e) {
      String text = String.valueOf(e.getMessage());
      record(
          request,
          tool,
          null,
          null,
          AuditRecord.Outcome.REFUSED,
          0,
          false,
          null,
          "invalid_arguments: " + text);
      request
          .answer()
          .toolError(text, facts("invalid_arguments", ConexorException.Blame.CALLER, false, null));
    }
  }

  /** What a tool with these arguments comes down to. */
  private Running running(
      Request request,
      @Nullable String cancelKey,
      ToolDefinition tool,
      Map<String, @Nullable Object> given,
      @Nullable Task task) {
    Map<String, @Nullable Object> arguments = Arguments.checked(tool, given);
    long limit = config.rows_default();
    if (arguments.get("limit") instanceof Long wanted && tool.takes("limit")) {
      if (wanted < 1) {
        throw new Arguments.InvalidException("argument 'limit' is not positive");
      }
      limit = Math.min(wanted, config.rows_max());
    }
    Cursors.Page page =
        arguments.get("cursor") instanceof String cursor && tool.takes("cursor")
            ? cursors.page(cursor, tool, arguments)
            : Cursors.FIRST;
    long fetched = page.skipped() + limit;
    String source;
    Statement statement;
    if (tool.action() instanceof Action.Sql sql) {
      source = sql.source();
      statement = sql.maker().make(arguments, fetched + 1, page.after());
    } else {
      source = source(((Action.Free) tool.action()).sources(), arguments);
      Object parameters = arguments.get("parameters");
      statement =
          new Statement(
              (String) Objects.requireNonNull(arguments.get("sql")),
              parameters instanceof List<?> list ? Arguments.list("parameters", list) : List.of(),
              Paging.SKIP,
              List.of());
    }
    return new Running(
        request, cancelKey, tool, source, statement, page, arguments, given, fetched, task);
  }

  /** tasks/get and tasks/cancel of the extension, on whichever backend they land. */
  void task(Request request, boolean isCancel) {
    Task task =
        request.params().get("taskId") instanceof String id
            ? tasks.find(id, request.principal(), request.server())
            : null;
    if (task == null) {
      noTask(request);
      return;
    }
    QueryLife.Kind kind = isCancel ? QueryLife.Kind.DISCARD : QueryLife.Kind.STATE;
    StateSink answer =
        new StateSink(
            state -> {
              if (isCancel) {
                request.answer().result(Json.object());
              } else if (state.equals("RUNNING")) {
                request.answer().result(task.shown("working", null));
              } else if (state.equals("CANCELLED")) {
                request.answer().result(task.shown("cancelled", null));
              } else {
                result(request, task);
              }
            },
            failure -> {
              if (failure.code().equals("query_unknown")) {
                noTask(request);
              } else if (isCancel) {
                request.answer().error(503, INTERNAL, failure.text(), null);
              } else {
                // Its agent is away; when it is back it may still have it.
                request.answer().result(task.shown("working", failure.text()));
              }
            });
    answer.ask(calls, request.principal().org(), task.source(), task.query(), kind, task.agent());
  }

  private static void noTask(Request request) {
    request.answer().error(400, INVALID_PARAMS, "Task not found, or its result has expired", null);
  }

  private void result(Request request, Task task) {
    ToolDefinition tool =
        schemas.derive(request.catalog(), request.server()).tools().get(task.tool());
    if (tool == null || tool.action() instanceof Action.Describe) {
      noTask(request);
      return;
    }
    try {
      running(request, null, tool, task.arguments(), task).resume();
    } catch (Arguments.InvalidException e) {
      noTask(request);
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

  private static Map<String, @Nullable Object> facts(
      String code,
      ConexorException.Blame blame,
      boolean safeToRetry,
      @Nullable Duration retryAfter) {
    return Json.object(
        "code",
        code,
        "blame",
        blame.name(),
        "safeToRetry",
        safeToRetry,
        "retryAfterMs",
        retryAfter == null ? null : retryAfter.toMillis());
  }

  /** One statement of a tool, from its start to its answer. */
  private final class Running implements ResultSink.End {
    private final Request request;
    private final @Nullable String cancelKey;
    private final ToolDefinition tool;
    private final String source;
    private final Statement statement;
    private final Cursors.Page page;
    private final Map<String, @Nullable Object> arguments;
    private final Map<String, @Nullable Object> given;
    private final long fetched;
    private final @Nullable Task task;
    private final @Nullable Object progressToken;
    private final boolean repeatable;
    private final ResultSink sink;

    /** Used by the timer alone: when it sent something last; 0 = nothing yet. */
    private long toldAt;

    /** Written by the timer: whether it was to become a task. */
    private boolean wasLeft;

    Running(
        Request request,
        @Nullable String cancelKey,
        ToolDefinition tool,
        String source,
        Statement statement,
        Cursors.Page page,
        Map<String, @Nullable Object> arguments,
        Map<String, @Nullable Object> given,
        long fetched,
        @Nullable Task task) {
      this.request = request;
      this.cancelKey = cancelKey;
      this.tool = tool;
      this.source = source;
      this.statement = statement;
      this.page = page;
      this.arguments = arguments;
      this.given = given;
      this.fetched = fetched;
      this.task = task;
      this.progressToken = request.progressToken();
      // Who announces a write (docs/operations.md) does not want it repeated either.
      this.repeatable =
          isReadOnly()
              && request.exchange().header("Conexor-Write").filter("true"::equals).isEmpty();
      this.sink =
          new ResultSink(
              config.result_max_bytes() * 3 + 65_536, page.skipped(), statement.key(), this);
    }

    void start() {
      long timeout = request.takesTasks() ? config.task_timeout_ms() : config.query_timeout_ms();
      begin(null, Math.max(timeout, config.query_timeout_ms()), life());
    }

    /** Reads what the task's agent has kept. */
    void resume() {
      Task known = Objects.requireNonNull(task);
      QueryLife life = new QueryLife(QueryLife.Kind.RESULT, Duration.ZERO, known.agent());
      begin(known.query(), config.query_timeout_ms(), life);
    }

    private void begin(@Nullable UUID known, long timeoutMillis, QueryLife life) {
      ThreadLocalRandom random = ThreadLocalRandom.current(); // tells calls apart and is no secret
      QueryCall call =
          new QueryCall(
              known == null ? new UUID(random.nextLong(), random.nextLong()) : known,
              request.principal().org(),
              source,
              statement.sql(),
              statement.parameters(),
              fetched,
              config.result_max_bytes() + page.skippedBytes(),
              Deadline.in(Duration.ofMillis(timeoutMillis)),
              repeatable,
              request.exchange().header("traceparent").orElse(null),
              null,
              life);
      running.add(this);
      if (cancelKey != null) {
        bySession.put(cancelKey, this);
      }
      sink.started(calls.start(call, sink));
      request.exchange().onGone(() -> sink.cancel("the client has gone"));
    }

    /** The same call of the same client finds what its backend left behind. */
    private QueryLife life() {
      return QueryLife.ofRequest(
          "mcp " + request.principal().subject() + ' ' + request.server().id() + ' ' + tool.name());
    }

    /** Whether running it twice is harmless: every agent that might run it refuses changes. */
    private boolean isReadOnly() {
      for (Attachment attachment : directory.serving(request.principal().org(), source)) {
        for (SourceOffer offer : attachment.sources()) {
          if (!offer.isReadOnly() && offer.name().equals(source)) {
            return false;
          }
        }
      }
      return true;
    }

    private void forget() {
      running.remove(this);
      if (cancelKey != null) {
        bySession.remove(cancelKey, this);
      }
    }

    @Override
    public void done(ResultSink ignored, QuerySummary summary) {
      forget();
      String next =
          summary.truncated() && sink.rows() > 0
              ? cursors.next(tool, arguments, statement, page, sink)
              : null;
      record(
          request,
          tool,
          source,
          statement,
          AuditRecord.Outcome.OK,
          sink.rows(),
          summary.truncated(),
          summary.agentName(),
          null);
      double elapsed = (System.nanoTime() - request.since()) / 1e6;
      GrowingBytes result = sink.finished(summary, next, elapsed);
      if (task == null) {
        request.answer().structured(result);
      } else {
        request.answer().structured(task.shown("completed", null), result);
      }
    }

    /** docs/failure-semantics.md#mcp. */
    @Override
    public void failed(ConexorException cause) {
      forget();
      AuditRecord.Outcome outcome =
          cause.code().equals("cancelled")
              ? AuditRecord.Outcome.CANCELLED
              : cause.blame() == ConexorException.Blame.CALLER
                  ? AuditRecord.Outcome.REFUSED
                  : AuditRecord.Outcome.FAILED;
      String error = cause.code() + ": " + cause.text();
      record(request, tool, source, statement, outcome, 0, false, null, error);
      if (cause.blame() == ConexorException.Blame.BUG) {
        request.answer().error(500, INTERNAL, "Internal error", null);
        return;
      }
      boolean mayRepeat = cause.blame() != ConexorException.Blame.CALLER && repeatable;
      StringBuilder text = new StringBuilder(error);
      if (cause.safeToRetry()) {
        text.append(" (nothing was run; trying again is safe");
        cause
            .retryAfter()
            .ifPresent(
                d ->
                    text.append(", best after ").append((d.toMillis() + 999) / 1_000).append(" s"));
        text.append(')');
      } else if (mayRepeat) {
        text.append(" (it only reads: trying again is safe)");
      }
      Map<String, @Nullable Object> facts =
          facts(
              cause.code(),
              cause.blame(),
              cause.safeToRetry() || mayRepeat,
              cause.retryAfter().orElse(null));
      if (task == null) {
        request.answer().toolError(text.toString(), facts);
      } else if (cause.code().equals("query_unknown")) {
        noTask(request);
      } else {
        Map<String, @Nullable Object> shown = task.shown("completed", null);
        shown.put("result", Answer.toolErrorResult(text.toString(), facts));
        request.answer().result(shown);
      }
    }

    /** By the timer: leaves it to its agent, and gives the client a task to ask for. */
    private void becomeTask() {
      AgentCall call = sink.call();
      Task left =
          new Task(
              UUID.randomUUID(),
              source,
              null,
              tool.name(),
              given,
              Instant.now(),
              config.task_ttl_ms(),
              "");
      if (call == null || !tasks.fits(left, request.principal(), request.server())) {
        return;
      }
      var unused =
          call.detach(left.query(), Duration.ofMillis(config.task_ttl_ms()))
              .thenAccept(agent -> agent.ifPresent(at -> promise(left.with(at, ""))));
    }

    /** Tells the client only what is certain to be found. */
    private void promise(Task left) {
      StateSink answer =
          new StateSink(
              state -> {
                forget();
                record(
                    request, tool, source, statement, AuditRecord.Outcome.OK, 0, false, null, null);
                Task signed = tasks.signed(left, request.principal(), request.server());
                request.answer().task(signed.shown("working", null));
              },
              failure -> {
                if (repeatable) {
                  // It had ended just before, or its agent is gone.
                  begin(null, config.query_timeout_ms(), life());
                } else {
                  failed(failure);
                }
              });
      answer.ask(
          calls,
          request.principal().org(),
          source,
          left.query(),
          QueryLife.Kind.STATE,
          left.agent());
    }

    /** By the timer: opens the stream, then says now and then that the work goes on. */
    void tend(long now) {
      long waited = now - request.since();
      if (!wasLeft
          && task == null
          && request.takesTasks()
          && waited >= config.task_after_ms() * 1_000_000) {
        wasLeft = true;
        becomeTask();
      }
      if (waited < config.stream_after_ms() * 1_000_000
          || (toldAt != 0 && now - toldAt < config.stream_interval_ms() * 1_000_000)
          || !request.answer().mayStream()) {
        return;
      }
      EventStream stream = request.answer().stream();
      if (stream == null) {
        return;
      }
      toldAt = now == 0 ? 1 : now;
      if (progressToken == null) {
        stream.comment();
        return;
      }
      stream.message(
          Json.bytes(
              Json.object(
                  "jsonrpc",
                  "2.0",
                  "method",
                  "notifications/progress",
                  "params",
                  Json.object(
                      "progressToken",
                      progressToken,
                      "progress",
                      Math.floor(waited / 1e6) / 1e3,
                      "message",
                      sink.rows() + " rows after " + waited / 1_000_000_000 + " s"))));
    }
  }

  private void record(
      Request request,
      ToolDefinition tool,
      @Nullable String source,
      @Nullable Statement statement,
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
            node.value(),
            request.server().name(),
            tool.name(),
            source,
            agent,
            "mcp-server:" + request.server().id(),
            statement == null ? null : statementHash(statement.sql()),
            statement == null ? 0 : statement.parameters().size(),
            rows,
            truncated,
            (System.nanoTime() - request.since()) / 1_000,
            error));
  }

  private String statementHash(String sql) {
    String known = hashes.get(sql);
    if (known == null) {
      known = hash(sql);
      if (sql.length() <= HASHED_CHARS) {
        if (hashes.size() >= HASHES) {
          hashes.clear();
        }
        hashes.put(sql, known);
      }
    }
    return known;
  }

  static String hash(String text) {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8));
      return HexFormat.of().formatHex(digest, 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  private void describe(
      Request request, Action.Describe describe, Map<String, @Nullable Object> arguments) {
    Map<String, SourceSchema> known = schemas.known(request.catalog(), request.server());
    Object wanted = arguments.get("source");
    List<@Nullable Object> tables = new ArrayList<>();
    for (String source : request.server().sources()) {
      SourceSchema schema = known.get(source);
      if (schema == null || (wanted != null && !wanted.equals(source))) {
        continue;
      }
      if (describe.oneTable()) {
        ToolGenerator.find(schema, (String) Objects.requireNonNull(arguments.get("table")))
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
                  : "no such table; list_tables tells which there are",
              facts(
                  known.isEmpty() ? "schema_unknown" : "table_unknown",
                  known.isEmpty()
                      ? ConexorException.Blame.DEPENDENCY
                      : ConexorException.Blame.CALLER,
                  known.isEmpty(),
                  null));
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
