package io.conexor.mcp;

import io.conexor.api.http.HttpExchange;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes JSON-RPC answers of either era: one document, or, once {@link #stream} was called, the end
 * of a stream of events.
 */
final class Answer {

  private static final String JSON = "application/json";

  private final HttpExchange exchange;
  private final @Nullable Object id;
  private final boolean modern;

  /** Guarded by this, as is what follows. */
  private @Nullable EventStream events;

  private boolean given;

  Answer(HttpExchange exchange, @Nullable Object id, boolean modern) {
    this.exchange = exchange;
    this.id = id;
    this.modern = modern;
  }

  @Nullable Object id() {
    return id;
  }

  boolean modern() {
    return modern;
  }

  /** Spec 2026-07-28, basic/transports/streamable-http, Receiving Messages. */
  boolean mayStream() {
    return exchange.header("Accept").orElse("").contains("text/event-stream");
  }

  /** Goes over to events; null when the answer has been given. */
  @Nullable EventStream stream() {
    synchronized (this) {
      if (given) {
        return null;
      }
      EventStream now = events;
      if (now == null) {
        exchange.withHeader("X-Accel-Buffering", "no");
        now = new EventStream(exchange.stream(200, "text/event-stream"));
        events = now;
      }
      return now;
    }
  }

  void result(Map<String, @Nullable Object> result) {
    if (modern) {
      result.put("resultType", "complete");
    }
    respond(200, Json.object("jsonrpc", "2.0", "id", id, "result", result));
  }

  /** Modern clients are told by the status, too; older ones read the body of a 200. */
  void error(int modernStatus, int code, String message, @Nullable Object data) {
    respond(
        modern ? modernStatus : 200,
        Json.object(
            "jsonrpc",
            "2.0",
            "id",
            id,
            "error",
            Json.object("code", (long) code, "message", message, "data", data)));
  }

  /** What the transport itself refuses: the status counts in every era. */
  static void refused(
      HttpExchange exchange, int status, @Nullable Object id, int code, String text) {
    refused(exchange, status, id, code, text, null);
  }

  static void refused(
      HttpExchange exchange,
      int status,
      @Nullable Object id,
      int code,
      String text,
      @Nullable Object data) {
    Map<String, @Nullable Object> error =
        Json.object("code", (long) code, "message", text, "data", data);
    byte[] body = Json.bytes(Json.object("jsonrpc", "2.0", "id", id, "error", error));
    exchange.respond(status, JSON, body);
  }

  /**
   * An error that a model can read.
   *
   * @param facts the same for programs
   */
  void toolError(String text, @Nullable Map<String, @Nullable Object> facts) {
    result(toolErrorResult(text, facts));
  }

  static Map<String, @Nullable Object> toolErrorResult(
      String text, @Nullable Map<String, @Nullable Object> facts) {
    return Json.object(
        "content",
        java.util.List.of(Json.object("type", "text", "text", text)),
        "isError",
        true,
        "_meta",
        facts == null ? null : Json.object("io.conexor/error", facts));
  }

  /** A handle instead of a result. */
  void task(Map<String, @Nullable Object> task) {
    task.put("resultType", "task");
    respond(200, Json.object("jsonrpc", "2.0", "id", id, "result", task));
  }

  /** The result of a task that is over, with what else is known about it. */
  void structured(Map<String, @Nullable Object> task, GrowingBytes structured) {
    GrowingBytes out = new GrowingBytes(structured.size() * 2 + 2_048, Integer.MAX_VALUE - 64);
    out.putAscii("{\"jsonrpc\":\"2.0\",\"id\":");
    JsonWriter.value(out, id);
    out.putAscii(",\"result\":");
    task.put("resultType", "complete");
    JsonWriter.value(out, task);
    out.truncate(out.size() - 1);
    out.putAscii(",\"result\":{");
    content(out, structured);
    out.putAscii("}}}");
    respond(200, out.array(), out.size());
  }

  private static void content(GrowingBytes out, GrowingBytes structured) {
    out.putAscii("\"content\":[{\"type\":\"text\",\"text\":");
    JsonWriter.text(out, structured.array(), 0, structured.size());
    out.putAscii("}],\"structuredContent\":");
    out.put(structured.array(), 0, structured.size());
    out.putAscii(",\"isError\":false");
  }

  /** A result whose structured content has been written already; sent as it is, without a tree. */
  void structured(GrowingBytes structured) {
    GrowingBytes out = new GrowingBytes(structured.size() * 2 + 256, Integer.MAX_VALUE - 64);
    out.putAscii("{\"jsonrpc\":\"2.0\",\"id\":");
    JsonWriter.value(out, id);
    out.putAscii(modern ? ",\"result\":{\"resultType\":\"complete\"," : ",\"result\":{");
    content(out, structured);
    out.putAscii("}}");
    respond(200, out.array(), out.size());
  }

  private void respond(int status, Map<String, @Nullable Object> message) {
    byte[] body = Json.bytes(message);
    respond(status, body, body.length);
  }

  private void respond(int status, byte[] body, int length) {
    EventStream to;
    synchronized (this) {
      if (given) {
        return;
      }
      given = true;
      to = events;
    }
    if (to == null) {
      exchange.respond(status, JSON, body, 0, length);
    } else {
      to.end(body, 0, length);
    }
  }
}
