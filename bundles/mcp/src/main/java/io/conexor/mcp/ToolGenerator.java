package io.conexor.mcp;

import io.conexor.api.call.ColumnType;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.call.SourceSchema.ForeignKey;
import io.conexor.api.call.SourceSchema.Table;
import io.conexor.api.call.SourceSchema.TableColumn;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolParameter;
import io.conexor.mcp.ToolDefinition.Action;
import io.conexor.mcp.ToolDefinition.Maker;
import io.conexor.mcp.ToolDefinition.Paging;
import io.conexor.mcp.ToolDefinition.Parameter;
import io.conexor.mcp.ToolDefinition.Statement;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Derives a server's tools from its definition and the schemas of its sources. Pure. */
final class ToolGenerator {

  private static final int NAME = 64;
  private static final int FILTERS = 40;

  private final Map<String, ToolDefinition> tools = new LinkedHashMap<>();
  private final boolean several;

  private ToolGenerator(boolean several) {
    this.several = several;
  }

  /** In a stable order: hand-written, built-in, generated. */
  static Map<String, ToolDefinition> tools(
      OrgCatalog catalog, McpServer server, Map<String, SourceSchema> schemas) {
    List<String> sources =
        server.sources().stream().filter(catalog.sources()::containsKey).toList();
    ToolGenerator generator = new ToolGenerator(sources.size() > 1);
    catalog.tools().values().stream()
        .filter(tool -> server.tools().contains(tool.id()))
        .sorted(Comparator.comparing(Tool::name))
        .forEach(generator::handWritten);
    if (!sources.isEmpty()) {
      generator.builtIn(server, sources);
    }
    if (server.generatedTools()) {
      for (String source : sources) {
        SourceSchema schema = schemas.get(source);
        if (schema != null) {
          generator.generate(source, schema);
        }
      }
    }
    return generator.tools;
  }

  private void handWritten(Tool tool) {
    NamedParameters named = NamedParameters.of(tool.sql());
    List<Parameter> parameters = new ArrayList<>();
    for (ToolParameter p : tool.parameters()) {
      parameters.add(
          new Parameter(
              p.name(),
              p.type(),
              p.description(),
              p.required() && p.defaultValue().isEmpty(),
              p.defaultValue().map(ToolGenerator::json).orElse(null)));
    }
    // A parameter of that name is the author's own.
    if (parameters.stream().noneMatch(p -> p.name().equals("limit") || p.name().equals("cursor"))) {
      parameters.add(limit());
      parameters.add(cursor());
    }
    Maker maker =
        (arguments, rows, after) -> {
          List<@Nullable Object> values = new ArrayList<>();
          named.names().forEach(name -> values.add(arguments.get(name)));
          return new Statement(named.sql(), values, Paging.SKIP, List.of());
        };
    add(tool.name(), tool.description(), parameters, true, new Action.Sql(tool.source(), maker));
  }

  private static @Nullable Object json(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    try {
      return JsonReader.value(bytes, 0, bytes.length);
    } catch (ProtocolException e) {
      return text; // kept as the text it is
    }
  }

  private void builtIn(McpServer server, List<String> sources) {
    String which = "One of: " + String.join(", ", sources);
    Parameter source = new Parameter("source", ColumnType.TEXT, which, false, null);
    if (server.freeQuery()) {
      List<Parameter> parameters = new ArrayList<>();
      parameters.add(text("sql", "One SELECT statement, with ? for each parameter", true));
      parameters.add(
          new Parameter("parameters", ColumnType.ARRAY, "Values for the ?, in order", false, null));
      parameters.add(limit());
      parameters.add(
          text(
              "cursor",
              "nextCursor of the page before; the query runs again and needs an ORDER BY for its pages to fit together",
              false));
      if (several) {
        parameters.add(source);
      }
      add(
          "query",
          "Runs a read-only SQL query" + (several ? " on one of the sources" : ""),
          parameters,
          true,
          new Action.Free(sources));
    }
    List<Parameter> list = new ArrayList<>();
    List<Parameter> describe = new ArrayList<>();
    describe.add(text("table", "Name of the table, with its schema if not unique", true));
    if (several) {
      list.add(source);
      describe.add(source);
    }
    add("list_tables", "Lists tables and views", list, false, new Action.Describe(false));
    add(
        "describe_table",
        "Columns and keys of one table",
        describe,
        false,
        new Action.Describe(true));
  }

  private static Parameter text(String name, String description, boolean required) {
    return new Parameter(name, ColumnType.TEXT, description, required, null);
  }

  private static Parameter limit() {
    return new Parameter("limit", ColumnType.INTEGER, "Rows at most", false, null);
  }

  private static Parameter cursor() {
    return new Parameter("cursor", ColumnType.TEXT, "nextCursor of the page before", false, null);
  }

  private void generate(String source, SourceSchema schema) {
    Dialect dialect = Dialect.of(schema.engine());
    Map<String, Long> names =
        schema.tables().stream()
            .collect(Collectors.groupingBy(t -> plain(t.name()), Collectors.counting()));
    Map<Table, String> shown = new LinkedHashMap<>();
    String prefix = several ? plain(source) + "_" : "";
    for (Table table : schema.tables()) {
      boolean ambiguous = names.getOrDefault(plain(table.name()), 0L) > 1;
      String own = ambiguous && !table.schema().isEmpty() ? plain(table.schema()) + "_" : "";
      shown.put(table, prefix + own + plain(table.name()));
    }
    for (Map.Entry<Table, String> each : shown.entrySet()) {
      Table table = each.getKey();
      String name = each.getValue();
      String what = table.kind() + " " + table.name();
      String about = table.comment().isEmpty() ? "" : ". " + table.comment();
      List<TableColumn> filters =
          table.columns().stream().filter(c -> dialect.filters(c.type())).limit(FILTERS).toList();
      rows(source, dialect, "query_" + name, "Rows of " + what + about, table, filters, List.of());
      count(source, dialect, "count_" + name, "Number of rows of " + what + about, table, filters);
      if (!table.primaryKey().isEmpty()) {
        keyed(
            source,
            dialect,
            "query_" + name + "_by_id",
            "by primary key",
            table,
            table.primaryKey());
      }
      for (List<String> unique : table.unique()) {
        String by = unique.stream().map(ToolGenerator::plain).collect(Collectors.joining("_and_"));
        keyed(source, dialect, "query_" + name + "_by_" + by, "by unique key", table, unique);
      }
      for (ForeignKey key : table.foreignKeys()) {
        shown.keySet().stream()
            .filter(t -> t.schema().equals(key.refSchema()) && t.name().equals(key.refTable()))
            .findFirst()
            .ifPresent(parent -> related(source, dialect, table, name, parent, shown, key));
      }
    }
  }

  private void related(
      String source,
      Dialect dialect,
      Table child,
      String childName,
      Table parent,
      Map<Table, String> shown,
      ForeignKey key) {
    String parentName = shown.getOrDefault(parent, plain(parent.name()));
    List<TableColumn> filters =
        child.columns().stream().filter(c -> dialect.filters(c.type())).limit(FILTERS).toList();
    StringBuilder on = new StringBuilder();
    for (int i = 0; i < key.columns().size(); i++) {
      on.append(i == 0 ? "" : " AND ").append("a.").append(dialect.quote(key.columns().get(i)));
      on.append(" = b.").append(dialect.quote(key.refColumns().get(i)));
    }
    StringBuilder select = new StringBuilder("SELECT a.*");
    for (TableColumn column : parent.columns()) {
      String alias = plain(parent.name()) + "_" + column.name();
      select.append(", b.").append(dialect.quote(column.name()));
      select.append(" AS ").append(dialect.quote(alias));
    }
    String from =
        " FROM " + dialect.name(child) + " a JOIN " + dialect.name(parent) + " b ON " + on;
    page(
        source,
        dialect,
        "query_" + childName + "_with_" + plain(parent.name()),
        "Rows of " + child.name() + ", each with its " + parent.name(),
        select + from,
        child,
        filters,
        List.of());
    List<TableColumn> references = columns(child, key.columns());
    if (references.size() == key.columns().size()) {
      page(
          source,
          dialect,
          "query_" + parentName + "_" + plain(child.name()),
          "Rows of " + child.name() + " that belong to one of " + parent.name(),
          "SELECT a.* FROM " + dialect.name(child) + " a",
          child,
          List.of(),
          references);
    }
  }

  private static List<TableColumn> columns(Table table, List<String> names) {
    List<TableColumn> found = new ArrayList<>();
    for (String name : names) {
      table.columns().stream().filter(c -> c.name().equals(name)).findFirst().ifPresent(found::add);
    }
    return found;
  }

  private void rows(
      String source,
      Dialect dialect,
      String name,
      String description,
      Table table,
      List<TableColumn> filters,
      List<TableColumn> required) {
    String select = "SELECT a.* FROM " + dialect.name(table) + " a";
    page(source, dialect, name, description, select, table, filters, required);
  }

  private void page(
      String source,
      Dialect dialect,
      String name,
      String description,
      String select,
      Table table,
      List<TableColumn> filters,
      List<TableColumn> required) {
    List<Filter> conditions = conditions(filters, required);
    List<Parameter> parameters = parameters(conditions);
    parameters.add(limit());
    parameters.add(cursor());
    List<TableColumn> key = key(table, dialect);
    List<String> keyNames = key.stream().map(TableColumn::name).toList();
    // Without a key the order has to tell rows apart as well as it can, so that pages fit together.
    List<TableColumn> ordered =
        key.isEmpty()
            ? table.columns().stream().filter(c -> dialect.filters(c.type())).toList()
            : key;
    String order =
        ordered.isEmpty()
            ? ""
            : ordered.stream()
                .map(c -> "a." + dialect.quote(c.name()))
                .collect(Collectors.joining(", ", " ORDER BY ", ""));
    Maker maker =
        (arguments, rows, after) -> {
          List<@Nullable Object> values = new ArrayList<>();
          String where = where(dialect, conditions, arguments, values);
          if (after != null) {
            where += (where.isEmpty() ? " WHERE " : " AND ") + dialect.behind(key);
            dialect.bindBehind(key, after, values);
          }
          return new Statement(
              select + where + dialect.page(order, rows),
              values,
              key.isEmpty() ? Paging.SKIP : Paging.KEY,
              keyNames);
        };
    add(name, description, parameters, true, new Action.Sql(source, maker));
  }

  /** What tells rows apart and can be compared: the primary key, else a unique one without gaps. */
  private static List<TableColumn> key(Table table, Dialect dialect) {
    List<List<String>> candidates = new ArrayList<>();
    candidates.add(table.primaryKey());
    candidates.addAll(table.unique());
    for (List<String> candidate : candidates) {
      List<TableColumn> columns = columns(table, candidate);
      boolean fits =
          !candidate.isEmpty()
              && columns.size() == candidate.size()
              && columns.stream().allMatch(c -> dialect.filters(c.type()))
              && (candidate.equals(table.primaryKey())
                  || columns.stream().noneMatch(TableColumn::nullable));
      if (fits) {
        return columns;
      }
    }
    return List.of();
  }

  private void keyed(
      String source, Dialect dialect, String name, String how, Table table, List<String> key) {
    List<TableColumn> columns = columns(table, key);
    if (columns.size() != key.size()
        || !columns.stream().allMatch(c -> dialect.filters(c.type()))) {
      return;
    }
    List<Filter> conditions = new ArrayList<>();
    for (TableColumn column : columns) {
      boolean id = key.size() == 1 && name.endsWith("_by_id");
      conditions.add(new Filter(id ? "id" : plain(column.name()), column, "=", true));
    }
    Maker maker =
        (arguments, rows, after) -> {
          List<@Nullable Object> values = new ArrayList<>();
          String where = where(dialect, conditions, arguments, values);
          return Statement.whole("SELECT a.* FROM " + dialect.name(table) + " a" + where, values);
        };
    add(
        name,
        "One row of " + table.name() + ", " + how,
        parameters(conditions),
        true,
        new Action.Sql(source, maker));
  }

  private void count(
      String source,
      Dialect dialect,
      String name,
      String description,
      Table table,
      List<TableColumn> filters) {
    List<Filter> conditions = conditions(filters, List.of());
    Maker maker =
        (arguments, rows, after) -> {
          List<@Nullable Object> values = new ArrayList<>();
          String where = where(dialect, conditions, arguments, values);
          String select = "SELECT COUNT(*) AS " + dialect.quote("count") + " FROM ";
          return Statement.whole(select + dialect.name(table) + " a" + where, values);
        };
    add(name, description, parameters(conditions), true, new Action.Sql(source, maker));
  }

  private record Filter(String parameter, TableColumn column, String operator, boolean required) {}

  private static List<Filter> conditions(List<TableColumn> filters, List<TableColumn> required) {
    Map<String, Filter> all = new LinkedHashMap<>();
    for (TableColumn column : required) {
      String name = plain(column.name());
      all.putIfAbsent(name, new Filter(name, column, "=", true));
    }
    for (TableColumn column : filters) {
      String name = plain(column.name());
      if (name.equals("limit") || name.equals("cursor")) {
        name = name + "_is";
      }
      all.putIfAbsent(name, new Filter(name, column, "=", false));
      if (column.type() == ColumnType.DATE
          || column.type() == ColumnType.TIMESTAMP
          || column.type() == ColumnType.TIMESTAMP_TZ) {
        all.putIfAbsent(name + "_after", new Filter(name + "_after", column, ">", false));
        all.putIfAbsent(name + "_before", new Filter(name + "_before", column, "<", false));
      }
    }
    return List.copyOf(all.values());
  }

  private static List<Parameter> parameters(List<Filter> filters) {
    List<Parameter> parameters = new ArrayList<>();
    for (Filter filter : filters) {
      parameters.add(
          new Parameter(
              filter.parameter(),
              filter.column().type(),
              filter.column().comment(),
              filter.required(),
              null));
    }
    return parameters;
  }

  private static String where(
      Dialect dialect,
      List<Filter> filters,
      Map<String, @Nullable Object> arguments,
      List<@Nullable Object> values) {
    StringBuilder where = new StringBuilder();
    for (Filter filter : filters) {
      Object value = arguments.get(filter.parameter());
      if (value != null) {
        where.append(where.isEmpty() ? " WHERE " : " AND ");
        where.append("a.").append(dialect.quote(filter.column().name()));
        where.append(' ').append(filter.operator()).append(' ');
        where.append(dialect.placeholder(filter.column().type()));
        values.add(value);
      }
    }
    return where.toString();
  }

  private void add(
      String wanted, String description, List<Parameter> parameters, boolean rows, Action action) {
    String name = shortened(wanted, "");
    for (int n = 2; tools.containsKey(name); n++) {
      name = shortened(wanted, "_" + n);
    }
    tools.put(name, new ToolDefinition(name, description, List.copyOf(parameters), rows, action));
  }

  private static String shortened(String name, String suffix) {
    if (name.length() + suffix.length() <= NAME) {
      return name + suffix;
    }
    String hash = "_" + Integer.toHexString(name.hashCode());
    return name.substring(0, NAME - hash.length() - suffix.length()) + hash + suffix;
  }

  private static String plain(String name) {
    String plain = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9_]+", "_");
    return plain.isEmpty() ? "_" : plain;
  }

  /** How engines differ in what is generated here. */
  record Dialect(String engine) {
    static Dialect of(String engine) {
      return new Dialect(engine);
    }

    String quote(String name) {
      return switch (engine) {
        case "mysql", "mariadb" -> "`" + name.replace("`", "``") + "`";
        case "sqlserver" -> "[" + name.replace("]", "]]") + "]";
        default -> "\"" + name.replace("\"", "\"\"") + "\"";
      };
    }

    String name(Table table) {
      return (table.schema().isEmpty() ? "" : quote(table.schema()) + ".") + quote(table.name());
    }

    boolean filters(ColumnType type) {
      return switch (type) {
        case BOOLEAN, INTEGER, DECIMAL, DOUBLE, TEXT, UUID, DATE, TIMESTAMP, TIMESTAMP_TZ -> true;
        default -> false;
      };
    }

    /** A text has to be turned into the column's type where the engine does not do so itself. */
    String placeholder(ColumnType type) {
      if (!engine.equals("postgresql") && !engine.equals("h2")) {
        return "?";
      }
      return switch (type) {
        case UUID -> "CAST(? AS uuid)";
        case DATE -> "CAST(? AS date)";
        case TIMESTAMP -> "CAST(? AS timestamp)";
        case TIMESTAMP_TZ -> "CAST(? AS timestamp with time zone)";
        default -> "?";
      };
    }

    String page(String order, long rows) {
      return switch (engine) {
        case "sqlserver" ->
            (order.isEmpty() ? " ORDER BY (SELECT NULL)" : order)
                + " OFFSET 0 ROWS FETCH NEXT "
                + rows
                + " ROWS ONLY";
        case "oracle" -> order + " FETCH NEXT " + rows + " ROWS ONLY";
        default -> order + " LIMIT " + rows;
      };
    }

    /**
     * The condition that a row comes behind a key: (a, b) > (?, ?), where the engine can say so.
     */
    String behind(List<TableColumn> key) {
      if (!engine.equals("sqlserver") && !engine.equals("oracle")) {
        String names =
            key.stream().map(c -> "a." + quote(c.name())).collect(Collectors.joining(", "));
        String values =
            key.stream().map(c -> placeholder(c.type())).collect(Collectors.joining(", "));
        return key.size() == 1 ? names + " > " + values : "(" + names + ") > (" + values + ")";
      }
      StringBuilder any = new StringBuilder("(");
      for (int i = 0; i < key.size(); i++) {
        any.append(i == 0 ? "(" : " OR (");
        for (int k = 0; k <= i; k++) {
          any.append(k == 0 ? "a." : " AND a.").append(quote(key.get(k).name()));
          any.append(k == i ? " > " : " = ").append(placeholder(key.get(k).type()));
        }
        any.append(')');
      }
      return any.append(')').toString();
    }

    /** The values of {@link #behind}, in its order. */
    void bindBehind(
        List<TableColumn> key, List<@Nullable Object> after, List<@Nullable Object> values) {
      if (after.size() != key.size()) {
        throw new Arguments.InvalidException("the table has changed; start again without a cursor");
      }
      List<@Nullable Object> typed = new ArrayList<>();
      for (int i = 0; i < key.size(); i++) {
        Object value = java.util.Objects.requireNonNull(after.get(i));
        typed.add(Arguments.converted("cursor", key.get(i).type(), value));
      }
      boolean byRow = !engine.equals("sqlserver") && !engine.equals("oracle");
      for (int i = byRow ? key.size() - 1 : 0; i < key.size(); i++) {
        values.addAll(typed.subList(0, i + 1));
      }
    }
  }

  static Optional<Table> find(SourceSchema schema, String name) {
    return schema.tables().stream()
        .filter(t -> t.name().equals(name) || (t.schema() + "." + t.name()).equals(name))
        .findFirst();
  }
}
