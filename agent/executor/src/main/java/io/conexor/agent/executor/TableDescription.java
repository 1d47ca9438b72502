package io.conexor.agent.executor;

import io.conexor.api.call.ColumnType;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One table or view as it is described to a backend: collected from the catalog, then written as
 * JSON.
 */
final class TableDescription {

  private record Column(
      String name,
      ColumnType type,
      String engineType,
      boolean nullable,
      @Nullable String byDefault,
      String comment) {}

  private record ForeignKey(
      List<String> columns, String refSchema, String refTable, List<String> refColumns) {}

  private final String schema;
  private final String name;
  private final String kind;
  private final String comment;
  private final long estimatedRows;
  private final List<Column> columns = new ArrayList<>();
  private List<String> primaryKey = List.of();
  private final List<List<String>> unique = new ArrayList<>();
  private final Map<String, ForeignKey> foreignKeys = new TreeMap<>();
  private final List<List<String>> indexes = new ArrayList<>();

  TableDescription(
      @Nullable String schema,
      String name,
      String kind,
      @Nullable String comment,
      long estimatedRows) {
    this.schema = schema == null ? "" : schema;
    this.name = name;
    this.kind = kind;
    this.comment = comment == null ? "" : comment;
    this.estimatedRows = estimatedRows;
  }

  String name() {
    return name;
  }

  void column(
      String column,
      ColumnType type,
      String engineType,
      boolean nullable,
      @Nullable String byDefault,
      @Nullable String text) {
    columns.add(
        new Column(column, type, engineType, nullable, byDefault, text == null ? "" : text));
  }

  void primaryKey(List<String> key) {
    primaryKey = List.copyOf(key);
  }

  /** An index; a unique one is a way to address rows. */
  void index(List<String> key, boolean isUnique) {
    if (key.isEmpty() || key.equals(primaryKey)) {
      return;
    }
    List<List<String>> where = isUnique ? unique : indexes;
    if (!where.contains(key)) {
      where.add(List.copyOf(key));
    }
  }

  /** One column of a foreign key, or all of them. */
  void foreignKey(
      String constraint,
      List<String> from,
      @Nullable String refSchema,
      String refTable,
      List<String> to) {
    ForeignKey key =
        foreignKeys.computeIfAbsent(
            constraint,
            c ->
                new ForeignKey(
                    new ArrayList<>(),
                    refSchema == null ? "" : refSchema,
                    refTable,
                    new ArrayList<>()));
    key.columns().addAll(from);
    key.refColumns().addAll(to);
  }

  /** Appends the form that wire and docs/architecture.md describe. */
  void json(GrowingBytes out) {
    out.put('{');
    field(out, "schema", schema);
    field(out, "name", name);
    field(out, "kind", kind);
    field(out, "comment", comment);
    key(out, "estimatedRows");
    JsonWriter.integer(out, estimatedRows);
    out.put(',');
    key(out, "columns");
    out.put('[');
    for (int i = 0; i < columns.size(); i++) {
      comma(out, i);
      column(out, columns.get(i));
    }
    out.put(']');
    out.put(',');
    key(out, "primaryKey");
    names(out, primaryKey);
    out.put(',');
    key(out, "unique");
    lists(out, unique);
    out.put(',');
    key(out, "foreignKeys");
    out.put('[');
    int i = 0;
    for (ForeignKey foreign : foreignKeys.values()) {
      comma(out, i++);
      out.put('{');
      key(out, "columns");
      names(out, foreign.columns());
      out.put(',');
      field(out, "refSchema", foreign.refSchema());
      field(out, "refTable", foreign.refTable());
      key(out, "refColumns");
      names(out, foreign.refColumns());
      out.put('}');
    }
    out.put(']');
    out.put(',');
    key(out, "indexes");
    lists(out, indexes);
    out.put('}');
  }

  private static void column(GrowingBytes out, Column column) {
    out.put('{');
    field(out, "name", column.name());
    field(out, "type", column.type().name());
    field(out, "engineType", column.engineType());
    key(out, "nullable");
    JsonWriter.bool(out, column.nullable());
    out.put(',');
    key(out, "default");
    if (column.byDefault() == null) {
      JsonWriter.nil(out);
    } else {
      JsonWriter.text(out, column.byDefault());
    }
    out.put(',');
    key(out, "comment");
    JsonWriter.text(out, column.comment());
    out.put('}');
  }

  private static void field(GrowingBytes out, String key, String value) {
    key(out, key);
    JsonWriter.text(out, value);
    out.put(',');
  }

  private static void key(GrowingBytes out, String key) {
    JsonWriter.text(out, key);
    out.put(':');
  }

  private static void names(GrowingBytes out, List<String> names) {
    out.put('[');
    for (int i = 0; i < names.size(); i++) {
      comma(out, i);
      JsonWriter.text(out, names.get(i));
    }
    out.put(']');
  }

  private static void lists(GrowingBytes out, List<List<String>> lists) {
    out.put('[');
    for (int i = 0; i < lists.size(); i++) {
      comma(out, i);
      names(out, lists.get(i));
    }
    out.put(']');
  }

  private static void comma(GrowingBytes out, int i) {
    if (i > 0) {
      out.put(',');
    }
  }
}
