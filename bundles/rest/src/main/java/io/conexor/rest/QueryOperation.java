package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.audit.AuditRecord.Outcome;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.http.HttpStream;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.QueryIds;
import io.conexor.protocol.json.JsonWriter;
import io.conexor.protocol.rows.RowJson;
import io.conexor.protocol.rows.RowReader;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code POST /query}: rows as one JSON document, or streamed as NDJSON or CSV. Nothing here
 * blocks: batches are turned into bytes on the thread that brings them, one write is under way at a
 * time, and a batch is asked for when one has been written.
 */
final class QueryOperation {

  private static final String NDJSON = "application/x-ndjson";
  private static final String CSV = "text/csv";
  private static final Pattern TRACEPARENT =
      Pattern.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}");
  private static final int MAX_PARAMETERS = 1_000;
  private static final int MAX_BATCH_BYTES = 64 << 20;

  private enum Format {
    DOCUMENT,
    NDJSON,
    CSV
  }

  private record Asked(
      Format format,
      String source,
      String sql,
      List<@Nullable Object> parameters,
      long rows,
      Deadline deadline) {

    boolean isDocument() {
      return format == Format.DOCUMENT;
    }
  }

  /** How a request is to be recognised when it comes again, and what becomes of it meanwhile. */
  private record Identity(UUID id, QueryLife life) {}

  private final Catalog catalog;
  private final AgentDirectory directory;
  private final AgentCalls calls;
  private final Idempotency once;
  private final LeftQueries left;
  private final Executor workers;
  private final Settings settings;

  QueryOperation(
      Catalog catalog,
      AgentDirectory directory,
      AgentCalls calls,
      Idempotency once,
      LeftQueries left,
      Executor workers,
      Settings settings) {
    this.catalog = catalog;
    this.directory = directory;
    this.calls = calls;
    this.once = once;
    this.left = left;
    this.workers = workers;
    this.settings = settings;
  }

  void run(Call call) {
    Asked asked = asked(call);
    var unused =
        catalog
            .byId(call.org())
            .whenComplete(
                (org, failure) -> {
                  try {
                    if (failure != null) {
                      throw RestApi.problem(failure);
                    }
                    check(call, asked, org);
                    start(call, asked);
                  } catch (Problem.Raised raised) {
                    refused(call, asked, raised.problem);
                  } catch (RuntimeException e) {
                    refused(call, asked, RestApi.problem(e).problem);
                  }
                });
  }

  private Asked asked(Call call) {
    Json.Body body = Json.Body.of(call.exchange);
    Format format = format(call.exchange.header("Accept").orElse("*/*"));
    String source = body.text("source", 63);
    String sql = body.text("sql", settings.bodyMaxBytes());
    List<@Nullable Object> parameters = body.parameters("parameters", MAX_PARAMETERS);
    long rows =
        body.number("limit", 1, settings.rowsMax())
            .orElse(format == Format.DOCUMENT ? settings.documentRows() : settings.rowsMax());
    Duration timeout =
        body.number("timeoutMs", 1, settings.timeoutMax().toMillis())
            .map(Duration::ofMillis)
            .orElse(settings.timeout());
    body.done();
    return new Asked(format, source, sql, parameters, rows, Deadline.in(timeout));
  }

  private static Format format(String accept) {
    Format best = Format.DOCUMENT;
    double bestWeight = 0;
    for (String range : accept.toLowerCase(Locale.ROOT).split(",")) {
      String[] parts = range.split(";");
      double weight = 1;
      for (int i = 1; i < parts.length; i++) {
        String parameter = parts[i].strip();
        if (parameter.startsWith("q=")) {
          try {
            weight = Double.parseDouble(parameter.substring(2));
          } catch (NumberFormatException e) {
            weight = 0;
          }
        }
      }
      Format format =
          switch (parts[0].strip()) {
            case "*/*", "application/*", "application/json" -> Format.DOCUMENT;
            case NDJSON -> Format.NDJSON;
            case CSV, "text/*" -> Format.CSV;
            default -> null;
          };
      if (format != null && weight > bestWeight) {
        best = format;
        bestWeight = weight;
      }
    }
    if (bestWeight == 0) {
      throw Problem.raise(
          406,
          "accept_invalid",
          "a result can be had as application/json, application/x-ndjson or text/csv");
    }
    return best;
  }

  private void check(Call call, Asked asked, Optional<OrgCatalog> found) {
    OrgCatalog org =
        found.orElseThrow(
            () -> Problem.raise(404, "organisation_unknown", "the organisation is gone"));
    if (call.principal() instanceof Principal.ServerKey key) {
      McpServer server =
          org.servers().values().stream()
              .filter(each -> each.id().equals(key.server()) && each.enabled())
              .findFirst()
              .orElseThrow(
                  () -> Problem.raise(403, "server_disabled", "the MCP server is not enabled"));
      if (!server.freeQuery() || !server.sources().contains(asked.source())) {
        throw Problem.raise(
            403,
            "source_forbidden",
            "this key may not query source '"
                + asked.source()
                + "': its MCP server must list the source and offer free queries");
      }
    }
    if (!org.sources().containsKey(asked.source())
        && directory.serving(call.org(), asked.source()).isEmpty()) {
      throw Problem.raise(
          404, "source_unknown", "there is no data source '" + asked.source() + "'");
    }
  }

  private void start(Call call, Asked asked) {
    String key = call.exchange.header("Idempotency-Key").orElse(null);
    if (key != null && mayWrite(call)) {
      try {
        workers.execute(() -> startChange(call, asked, key));
      } catch (RejectedExecutionException full) {
        call.problem(RestApi.busy());
      }
      return;
    }
    boolean isLeft = asked.isDocument() && LeftQueries.isWanted(call);
    QueryLife life =
        isLeft || (key != null && asked.isDocument())
            ? new QueryLife(QueryLife.Kind.ONCE, settings.keep(), null)
            : QueryLife.ofRequest("rest " + call.principal().subject());
    UUID id = key == null ? UUID.randomUUID() : id(call, asked, key);
    start(call, asked, new Identity(id, life), isLeft, result(call, asked));
  }

  /** The same for the same request of the same caller. */
  private static UUID id(Call call, Asked asked, String key) {
    return QueryIds.of(
        "rest",
        call.principal().subject(),
        key,
        asked.format().name(),
        new String(call.exchange.body(), UTF_8));
  }

  /**
   * A change with an Idempotency-Key runs once in the fleet: the database says whether it is the
   * first, the agent has what became of it. On a worker.
   */
  private void startChange(Call call, Asked asked, String key) {
    try {
      UUID id = id(call, asked, key);
      boolean isFirst = once.isFirst(call, key);
      QueryLife life =
          new QueryLife(
              isFirst ? QueryLife.Kind.ONCE : QueryLife.Kind.RESULT, settings.keep(), null);
      Result result = result(call, asked);
      if (isFirst) {
        result.onFailure =
            failure -> {
              if (failure.applied() == Applied.NO) {
                workers.execute(() -> once.wasNot(call, key));
              }
              return failure;
            };
      } else {
        call.exchange.withHeader("Idempotency-Replayed", "true");
        result.onFailure = QueryOperation::repeated;
      }
      start(call, asked, new Identity(id, life), false, result);
    } catch (RuntimeException e) {
      refused(call, asked, RestApi.problem(e).problem);
    }
  }

  /** Nobody knows any more what became of the first one; it is not run again. */
  private static ConexorException repeated(ConexorException failure) {
    return failure.code().equals("query_unknown")
        ? new ConexorException(
            Blame.DEPENDENCY,
            Applied.UNKNOWN,
            "outcome_unknown",
            "a request with this Idempotency-Key was taken before, and its result is not kept any"
                + " more; look whether it was done, and use a new key to do it again")
        : failure;
  }

  private Result result(Call call, Asked asked) {
    return asked.isDocument() ? new Document(call, asked) : new Stream(call, asked);
  }

  private void start(Call call, Asked asked, Identity identity, boolean isLeft, Result result) {
    QueryCall query =
        new QueryCall(
            identity.id(),
            call.org(),
            asked.source(),
            asked.sql(),
            asked.parameters(),
            asked.rows(),
            asked.isDocument() ? settings.documentMaxBytes() : settings.bytesMax(),
            asked.deadline(),
            !mayWrite(call),
            call.exchange
                .header("traceparent")
                .filter(text -> TRACEPARENT.matcher(text).matches())
                .orElse(null),
            null,
            identity.life());
    AgentCall started = calls.start(query, result);
    if (isLeft) {
      var unused =
          started
              .detach(identity.id(), settings.keep())
              .thenAccept(
                  agent -> {
                    if (agent.isEmpty()) {
                      result.began(started); // it is over, or waits for a place
                      call.exchange.onGone(result::abandon);
                    } else {
                      left.promise(call, identity.id(), asked.source(), hash(asked.sql()), agent);
                      result.audited(Outcome.OK, null, false, null);
                    }
                  });
      return;
    }
    result.began(started);
    call.exchange.onGone(result::abandon);
  }

  /** The result of a query that was left to its agent. */
  void result(Call call) {
    Format format = format(call.exchange.header("Accept").orElse("*/*"));
    left.ended(
        call,
        query -> {
          Asked asked =
              new Asked(
                  format,
                  query.source(),
                  "",
                  List.of(),
                  settings.rowsMax(),
                  Deadline.in(settings.timeout()));
          QueryLife life = new QueryLife(QueryLife.Kind.RESULT, Duration.ZERO, query.agent());
          start(call, asked, new Identity(query.id(), life), false, result(call, asked));
        });
  }

  /** Who does not say so only reads, and his request may be repeated. docs/operations.md. */
  private static boolean mayWrite(Call call) {
    return call.exchange.header("Conexor-Write").filter("true"::equals).isPresent();
  }

  private static void refused(Call call, Asked asked, Problem problem) {
    call.audited(
        "query.refuse",
        Outcome.REFUSED,
        null,
        problem.code() + ": " + problem.detail(),
        asked.source(),
        null,
        hash(asked.sql()),
        asked.parameters().size(),
        0,
        false);
    call.problem(problem);
  }

  static String hash(String sql) {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(sql.getBytes(UTF_8));
      return HexFormat.of().formatHex(hash, 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** What both ways of answering share. Its fields are guarded by its monitor. */
  private abstract static class Result implements RowSink {
    final Call call;
    final Asked asked;
    long rows;
    private @Nullable AgentCall running;
    private int owed;
    private @Nullable String abandoned;

    /** Set before the first call. */
    UnaryOperator<ConexorException> onFailure = failure -> failure;

    Result(Call call, Asked asked) {
      this.call = call;
      this.asked = asked;
    }

    /** The sink may have been called before there was anything to ask or cancel. */
    void began(AgentCall agentCall) {
      int batches;
      String reason;
      synchronized (this) {
        running = agentCall;
        batches = owed;
        owed = 0;
        reason = abandoned;
      }
      if (reason != null) {
        agentCall.cancel(reason);
      } else if (batches > 0) {
        agentCall.request(batches);
      }
    }

    void request() {
      AgentCall agentCall;
      synchronized (this) {
        agentCall = running;
        if (agentCall == null) {
          owed++;
          return;
        }
      }
      agentCall.request(1);
    }

    void abandon() {
      cancel("the client went away");
    }

    void cancel(String reason) {
      AgentCall agentCall;
      synchronized (this) {
        abandoned = reason;
        agentCall = running;
      }
      if (agentCall != null) {
        agentCall.cancel(reason);
      }
    }

    void audited(
        Outcome outcome, @Nullable String agent, boolean truncated, @Nullable String error) {
      call.audited(
          "query.execute",
          outcome,
          null,
          error,
          asked.source(),
          agent,
          hash(asked.sql()),
          asked.parameters().size(),
          rows,
          truncated);
    }

    void auditedFailure(ConexorException cause) {
      Outcome outcome =
          cause.code().equals("cancelled")
              ? Outcome.CANCELLED
              : cause.applied() == Applied.UNKNOWN
                  ? Outcome.UNKNOWN
                  : cause.blame() == Blame.CALLER ? Outcome.REFUSED : Outcome.FAILED;
      audited(outcome, null, false, cause.code() + ": " + cause.text());
    }
  }

  private static RowJson rowJson(List<Column> columns) {
    boolean[] isJson = new boolean[columns.size()];
    for (int i = 0; i < isJson.length; i++) {
      Column column = columns.get(i);
      isJson[i] =
          column.type() == ColumnType.JSON
              || column.elementType().filter(type -> type == ColumnType.JSON).isPresent();
    }
    return new RowJson(columns.stream().map(Column::name).toList(), isJson);
  }

  private static void columns(List<Column> columns, GrowingBytes out) {
    ObjectNode holder = Json.object();
    var array = holder.putArray("columns");
    for (Column column : columns) {
      ObjectNode json = array.addObject();
      json.put("name", column.name()).put("type", column.type().name());
      json.put("nullable", column.nullable()).put("engineType", column.engineType());
      column.elementType().ifPresent(type -> json.put("elementType", type.name()));
    }
    out.put(Json.bytes(holder.get("columns")));
  }

  private static void ending(Call call, QuerySummary summary, long rows, GrowingBytes out) {
    out.putAscii("\"rowCount\":");
    out.putDecimal(rows);
    out.putAscii(",\"truncated\":");
    out.putAscii(summary.truncated() ? "true" : "false");
    out.putAscii(",\"agent\":");
    JsonWriter.text(out, summary.agentName());
    out.putAscii(",\"agentElapsedMicros\":");
    out.putDecimal(summary.agentElapsedMicros());
    out.putAscii(",\"elapsedMicros\":");
    out.putDecimal(call.elapsedMicros());
  }

  /** Everything in one answer. */
  private final class Document extends Result {
    private final GrowingBytes out;
    private @Nullable RowJson json;
    private boolean isBroken;

    Document(Call call, Asked asked) {
      super(call, asked);
      // JSON takes up to six times the room of a text (escaped control characters).
      this.out = new GrowingBytes(1_024, (int) Math.min(6L * settings.documentMaxBytes(), 1 << 30));
    }

    @Override
    public void batch(RowBatch batch) {
      if (isBroken) {
        return;
      }
      try {
        RowJson writer = json;
        if (writer == null) {
          writer = rowJson(batch.columns());
          json = writer;
          out.putAscii("{\"columns\":");
          columns(batch.columns(), out);
          out.putAscii(",\"rows\":[");
        }
        RowReader reader = new RowReader(batch.data(), batch.offset(), batch.length());
        while (reader.nextRow()) {
          if (rows++ > 0) {
            out.put(',');
          }
          writer.array(reader, out);
        }
        request();
      } catch (ProtocolException e) {
        isBroken = true;
        cancel("the result can't be written as one document");
      }
    }

    @Override
    public void done(QuerySummary summary) {
      if (!isBroken) {
        try {
          out.putAscii(json == null ? "{\"columns\":[],\"rows\":[]," : "],");
          ending(call, summary, rows, out);
          out.put('}');
        } catch (ProtocolException e) {
          isBroken = true;
        }
      }
      if (isBroken) {
        tooLarge();
        return;
      }
      audited(Outcome.OK, summary.agentName(), summary.truncated(), null);
      call.exchange.withHeader("Cache-Control", "no-store");
      call.exchange.respond(200, Json.TYPE, out.array(), 0, out.size());
    }

    private void tooLarge() {
      Problem problem =
          Problem.of(
              413,
              "result_too_large",
              "the result does not fit into one JSON document; ask for fewer rows or for"
                  + " application/x-ndjson");
      audited(Outcome.FAILED, null, false, problem.code());
      call.problem(problem);
    }

    @Override
    public void failed(ConexorException reason) {
      ConexorException cause = onFailure.apply(reason);
      if (isBroken) {
        tooLarge();
        return;
      }
      auditedFailure(cause);
      call.problem(Problem.of(cause));
    }
  }

  /**
   * Piece by piece. NDJSON: an object with the columns, an array per row, an object that ends it
   * (row count, truncated, agent) or tells the error. CSV: a header and a line per row; an answer
   * that is incomplete for another reason than the request's own limit is cut off.
   */
  private static final class Stream extends Result {
    private final ArrayDeque<byte[]> pieces = new ArrayDeque<>();
    private @Nullable HttpStream stream;
    private @Nullable RowJson json;
    private List<Column> columns = List.of();
    private boolean isWriting;
    private boolean isEnded;
    private boolean isAborted;
    private boolean isGone;

    Stream(Call call, Asked asked) {
      super(call, asked);
    }

    @Override
    public void batch(RowBatch batch) {
      GrowingBytes out = new GrowingBytes(batch.length() * 2 + 256, MAX_BATCH_BYTES * 8);
      try {
        if (json == null) {
          json = rowJson(batch.columns());
          columns = batch.columns();
          head(out);
        }
        RowReader reader = new RowReader(batch.data(), batch.offset(), batch.length());
        RowJson writer = json;
        while (reader.nextRow()) {
          rows++;
          if (asked.format() == Format.CSV) {
            Csv.row(reader, columns, out);
          } else if (writer != null) {
            writer.array(reader, out);
            out.put('\n');
          }
        }
      } catch (ProtocolException e) {
        cancel("a batch can't be written: " + e.getMessage());
        return;
      }
      write(out.toByteArray());
    }

    private void head(GrowingBytes out) {
      if (asked.format() == Format.CSV) {
        Csv.head(columns, out);
        return;
      }
      out.putAscii("{\"columns\":");
      columns(columns, out);
      out.putAscii("}\n");
    }

    private static void columns(List<Column> columns, GrowingBytes out) {
      QueryOperation.columns(columns, out);
    }

    @Override
    public void done(QuerySummary summary) {
      boolean isCutShort = summary.truncated() && rows < asked.rows();
      GrowingBytes out = new GrowingBytes(256, MAX_BATCH_BYTES);
      if (json == null) {
        head(out);
      }
      if (asked.format() == Format.NDJSON) {
        out.put('{');
        ending(call, summary, rows, out);
        out.putAscii("}\n");
      }
      audited(Outcome.OK, summary.agentName(), summary.truncated(), null);
      end(out, asked.format() == Format.CSV && isCutShort);
    }

    @Override
    public void failed(ConexorException reason) {
      ConexorException cause = onFailure.apply(reason);
      auditedFailure(cause);
      boolean hasBegun;
      synchronized (this) {
        hasBegun = stream != null;
      }
      Problem problem = Problem.of(cause);
      if (!hasBegun) {
        call.problem(problem);
        return;
      }
      GrowingBytes out = new GrowingBytes(256, MAX_BATCH_BYTES);
      if (asked.format() == Format.NDJSON) {
        ObjectNode line = Json.object();
        line.set("error", Json.tree(problem, call.exchange.requestId()));
        out.put(Json.bytes(line));
        out.put('\n');
      }
      end(out, true);
    }

    private void end(GrowingBytes last, boolean abort) {
      synchronized (this) {
        isEnded = true;
        isAborted = abort;
      }
      write(last.toByteArray());
    }

    /** Queues a piece; at most the batches asked for wait here. */
    private void write(byte[] piece) {
      synchronized (this) {
        if (isGone) {
          return;
        }
        if (stream == null) {
          call.exchange.withHeader("Cache-Control", "no-store");
          stream =
              call.exchange.stream(
                  200,
                  asked.format() == Format.CSV ? CSV + "; charset=utf-8; header=present" : NDJSON);
        }
        pieces.add(piece);
        if (isWriting) {
          return;
        }
        isWriting = true;
      }
      pump();
    }

    // A loop, not recursion: writes may complete at once for the whole of a long result.
    private void pump() {
      while (true) {
        HttpStream to;
        byte[] piece;
        boolean abort;
        synchronized (this) {
          to = stream;
          piece = pieces.poll();
          if (to == null) {
            return;
          }
          if (piece == null) {
            isWriting = false;
            if (!isEnded || isGone) {
              return;
            }
            isGone = true; // nothing is written any more
          }
          abort = isAborted;
        }
        if (piece == null) {
          if (abort) {
            to.abort();
          } else {
            to.end();
          }
          return;
        }
        var written = to.write(piece, 0, piece.length).toCompletableFuture();
        if (written.isDone() && !written.isCompletedExceptionally()) {
          request();
          continue;
        }
        var unused =
            written.whenComplete(
                (nothing, failure) -> {
                  if (failure == null) {
                    request();
                    pump();
                  } else {
                    lost();
                  }
                });
        return;
      }
    }

    private void lost() {
      synchronized (this) {
        isGone = true;
        isWriting = false;
        pieces.clear();
      }
      abandon();
    }
  }
}
