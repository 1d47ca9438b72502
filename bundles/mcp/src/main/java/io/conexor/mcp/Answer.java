package io.conexor.mcp;

import io.conexor.api.http.HttpExchange;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes JSON-RPC answers of either era. */
record Answer(HttpExchange exchange, @Nullable Object id, boolean modern) {

  private static final String JSON = "application/json";

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

  void toolError(String text) {
    result(
        Json.object(
            "content",
            java.util.List.of(Json.object("type", "text", "text", text)),
            "isError",
            true));
  }

  /** A result whose structured content has been written already; sent as it is, without a tree. */
  void structured(GrowingBytes structured) {
    GrowingBytes out = new GrowingBytes(structured.size() * 2 + 256, Integer.MAX_VALUE - 64);
    out.putAscii("{\"jsonrpc\":\"2.0\",\"id\":");
    JsonWriter.value(out, id);
    out.putAscii(modern ? ",\"result\":{\"resultType\":\"complete\"," : ",\"result\":{");
    out.putAscii("\"content\":[{\"type\":\"text\",\"text\":");
    JsonWriter.text(out, structured.array(), 0, structured.size());
    out.putAscii("}],\"structuredContent\":");
    out.put(structured.array(), 0, structured.size());
    out.putAscii(",\"isError\":false}}");
    exchange.respond(200, JSON, out.array(), 0, out.size());
  }

  private void respond(int status, Map<String, @Nullable Object> message) {
    exchange.respond(status, JSON, Json.bytes(message));
  }
}
