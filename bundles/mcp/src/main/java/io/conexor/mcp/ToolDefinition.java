package io.conexor.mcp;

import io.conexor.api.call.ColumnType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A tool as a client sees it, and what it does.
 *
 * @param name unique in its server, at most 64 of {@code [a-zA-Z0-9_-]}
 */
record ToolDefinition(
    String name, String description, List<Parameter> parameters, boolean rows, Action action) {

  /** An argument. */
  record Parameter(
      String name,
      ColumnType type,
      String description,
      boolean required,
      @Nullable Object defaultValue) {}

  /** What a call does. */
  sealed interface Action {
    /** Runs SQL on a source. */
    record Sql(String source, Maker maker) implements Action {}

    /** The caller's own SQL on one of these sources. */
    record Free(List<String> sources) implements Action {}

    /** Answers from the schema. */
    record Describe(boolean oneTable) implements Action {}
  }

  /** Makes a statement from arguments that have been checked. */
  interface Maker {
    /**
     * Makes it.
     *
     * @param rows what the statement may bring at most, where it can be told so
     * @param after the key of the last row of the page before; null at the beginning
     */
    Statement make(
        Map<String, @Nullable Object> arguments, long rows, @Nullable List<@Nullable Object> after);
  }

  /** How a next page is found. */
  enum Paging {
    /** Not at all: there is one row. */
    NONE,
    /** The statement begins behind a key. */
    KEY,
    /** The statement runs again, and what was there before is passed over. */
    SKIP
  }

  /**
   * A statement.
   *
   * @param key names of the columns that say where a row stands; empty unless {@link Paging#KEY}
   */
  record Statement(String sql, List<@Nullable Object> parameters, Paging paging, List<String> key) {

    /** One that has no next page. */
    static Statement whole(String sql, List<@Nullable Object> parameters) {
      return new Statement(sql, parameters, Paging.NONE, List.of());
    }
  }

  boolean takes(String argument) {
    return parameters.stream().anyMatch(p -> p.name().equals(argument));
  }

  Map<String, @Nullable Object> listed() {
    Map<String, @Nullable Object> properties = Json.object();
    List<@Nullable Object> required = new ArrayList<>();
    for (Parameter parameter : parameters) {
      Map<String, @Nullable Object> schema = schema(parameter.type());
      if (!parameter.description().isEmpty()) {
        schema.put("description", parameter.description());
      }
      if (parameter.defaultValue() != null) {
        schema.put("default", parameter.defaultValue());
      }
      properties.put(parameter.name(), schema);
      if (parameter.required()) {
        required.add(parameter.name());
      }
    }
    Map<String, @Nullable Object> input =
        Json.object(
            "$schema",
            "https://json-schema.org/draft/2020-12/schema",
            "type",
            "object",
            "properties",
            properties);
    if (!required.isEmpty()) {
      input.put("required", required);
    }
    input.put("additionalProperties", false);
    return Json.object(
        "name",
        name,
        "description",
        description,
        "inputSchema",
        input,
        "outputSchema",
        rows ? OUTPUT : null,
        "annotations",
        Json.object("readOnlyHint", true, "openWorldHint", false));
  }

  private static final Map<String, @Nullable Object> OUTPUT =
      Json.object(
          "$schema",
          "https://json-schema.org/draft/2020-12/schema",
          "type",
          "object",
          "properties",
          Json.object(
              "columns", Json.object("type", "array", "items", Json.object("type", "object")),
              "rows", Json.object("type", "array", "items", Json.object("type", "object")),
              "rowCount", Json.object("type", "integer"),
              "truncated", Json.object("type", "boolean"),
              "nextCursor", Json.object("type", "string"),
              "agent", Json.object("type", "string"),
              "elapsedMs", Json.object("type", "number")),
          "required",
          List.of("columns", "rows", "rowCount", "truncated"));

  private static Map<String, @Nullable Object> schema(ColumnType type) {
    return switch (type) {
      case BOOLEAN -> Json.object("type", "boolean");
      case INTEGER -> Json.object("type", "integer");
      case DOUBLE -> Json.object("type", "number");
      case DECIMAL -> Json.object("type", List.of("number", "string"));
      case UUID -> Json.object("type", "string", "format", "uuid");
      case DATE -> Json.object("type", "string", "format", "date");
      case TIMESTAMP_TZ -> Json.object("type", "string", "format", "date-time");
      case ARRAY -> Json.object("type", "array");
      default -> Json.object("type", "string");
    };
  }
}
