package io.conexor.demo;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * One request that brings rows, and the command line that repeats it.
 *
 * @param title for people
 * @param headers in order
 */
record Call(String title, String path, Map<String, String> headers, Object body) {

  private static final String REVISION = "2026-07-28";
  private static final String META = "io.modelcontextprotocol/";

  /** The hand-written tool. */
  static Call largestCities(String mcpPath, String key) {
    return ofTool(mcpPath, key, Setup.TOOL, Map.of("country", "JP"));
  }

  /** A query across three tables, with a parameter. */
  static Call largeAirports(String key) {
    return ofQuery(
        key,
        """
        select continents.name as continent, count(*) as airports
        from airports
        join countries on countries.code = airports.country_code
        join continents on continents.code = countries.continent_code
        where airports.type = ?
        group by 1 order by 2 desc""",
        List.of("large"));
  }

  /** A tool, by the stateless revision of MCP: no handshake, the body says who asks. */
  private static Call ofTool(
      String mcpPath, String key, String tool, Map<String, Object> arguments) {
    Map<String, String> headers = new LinkedHashMap<>();
    headers.put("X-API-Key", key);
    headers.put("Accept", "application/json, text/event-stream");
    headers.put("MCP-Protocol-Version", REVISION);
    headers.put("Mcp-Method", "tools/call");
    headers.put("Mcp-Name", tool);
    Map<String, Object> meta = new LinkedHashMap<>();
    meta.put(META + "protocolVersion", REVISION);
    meta.put(META + "clientCapabilities", Map.of());
    Map<String, Object> params = new LinkedHashMap<>();
    params.put("name", tool);
    params.put("arguments", arguments);
    params.put("_meta", meta);
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("jsonrpc", "2.0");
    body.put("id", 1);
    body.put("method", "tools/call");
    body.put("params", params);
    return new Call("MCP tool " + tool + " " + arguments, mcpPath, headers, body);
  }

  private static Call ofQuery(String key, String sql, List<Object> parameters) {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("source", Setup.NAME);
    body.put("sql", sql.replaceAll("\\s+", " "));
    body.put("parameters", parameters);
    return new Call(
        "REST query, its parameters " + parameters + "\n\n" + sql.indent(2).stripTrailing(),
        "/api/v1/query",
        Map.of("X-API-Key", key),
        body);
  }

  /** Runs it, and fails unless it brings rows. */
  Rows run(Http http) throws IOException, InterruptedException {
    JsonNode answer = http.post(path, headers, body).orFail(title);
    JsonNode result = answer.has("jsonrpc") ? structured(answer) : answer;
    List<String> columns = new ArrayList<>();
    result.path("columns").forEach(column -> columns.add(column.path("name").asString()));
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode row : result.path("rows")) {
      List<String> cells = new ArrayList<>();
      row.forEach(cell -> cells.add(cell.isNull() ? "" : cell.asString()));
      rows.add(cells);
    }
    if (rows.isEmpty()) {
      throw new DemoException(title + " brought no rows: " + answer);
    }
    return new Rows(columns, rows, result.path("agent").asString());
  }

  private JsonNode structured(JsonNode answer) {
    JsonNode result = answer.path("result");
    if (result.path("isError").asBoolean(true)) {
      throw new DemoException(
          title + " failed: " + result.path("content").path(0).path("text").asString(""));
    }
    return result.path("structuredContent");
  }

  /** For a shell; every word quoted that needs it. */
  String curl(Http http) {
    StringBuilder line = new StringBuilder("curl " + http.base() + path);
    headers.forEach((name, value) -> line.append(" \\\n  -H ").append(quoted(name + ": " + value)));
    return line.append(" \\\n  -H 'Content-Type: application/json' \\\n  -d ")
        .append(quoted(Http.JSON.writeValueAsString(body)))
        .toString();
  }

  private static String quoted(String word) {
    return "'" + word.replace("'", "'\\''") + "'";
  }

  /**
   * What came back.
   *
   * @param agent who served it
   */
  record Rows(List<String> columns, List<List<String>> rows, String agent) {

    String table() {
      List<List<String>> lines = new ArrayList<>();
      lines.add(columns);
      lines.addAll(rows);
      int[] widths = new int[columns.size()];
      for (List<String> line : lines) {
        for (int i = 0; i < widths.length; i++) {
          widths[i] = Math.max(widths[i], line.get(i).codePointCount(0, line.get(i).length()));
        }
      }
      List<String> rule = new ArrayList<>();
      for (int width : widths) {
        rule.add("-".repeat(width));
      }
      lines.add(1, rule);
      StringBuilder text = new StringBuilder();
      for (List<String> line : lines) {
        StringBuilder row = new StringBuilder();
        for (int i = 0; i < widths.length; i++) {
          String cell = line.get(i);
          String padding = " ".repeat(widths[i] - cell.codePointCount(0, cell.length()));
          row.append("  ").append(isNumber(i) ? padding + cell : cell + padding);
        }
        text.append(row.toString().stripTrailing()).append('\n');
      }
      return text.toString();
    }

    private boolean isNumber(int column) {
      return rows.stream().allMatch(row -> row.get(column).matches("-?[0-9.]*"));
    }
  }
}
