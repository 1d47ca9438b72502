package io.conexor.agent.executor;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Tables as JDBC's metadata describes them, for the engines without queries of their own here. */
final class MetaDataCatalog {
  private static final Set<String> SYSTEM_SCHEMAS =
      Set.of(
          "INFORMATION_SCHEMA",
          "SYS",
          "SYSTEM",
          "XDB",
          "CTXSYS",
          "MDSYS",
          "OUTLN",
          "DBSNMP",
          "WMSYS",
          "ORDSYS",
          "ORDDATA",
          "LBACSYS",
          "OLAPSYS",
          "DVSYS",
          "AUDSYS",
          "GSMADMIN_INTERNAL",
          "APPQOSSYS",
          "OJVMSYS",
          "DB_OWNER",
          "GUEST");

  private final SourceSettings settings;

  MetaDataCatalog(SourceSettings settings) {
    this.settings = settings;
  }

  Iterable<TableDescription> tables(Connection connection, Call call)
      throws SQLException, Call.StoppedException {
    DatabaseMetaData meta = connection.getMetaData();
    String catalog = connection.getCatalog();
    Map<String, TableDescription> tables = new TreeMap<>();
    Map<String, @Nullable String> schemas = new TreeMap<>();
    try (ResultSet row =
        meta.getTables(
            catalog,
            null,
            "%",
            new String[] {"TABLE", "BASE TABLE", "VIEW", "MATERIALIZED VIEW"})) {
      while (row.next()) {
        String schema = row.getString("TABLE_SCHEM");
        String name = row.getString("TABLE_NAME");
        if (isWanted(schema, name)) {
          boolean view = row.getString("TABLE_TYPE").contains("VIEW");
          tables.put(
              key(schema, name),
              new TableDescription(
                  schema, name, view ? "view" : "table", row.getString("REMARKS"), -1));
          schemas.put(key(schema, name), schema);
        }
      }
    }
    call.check();
    try (ResultSet row = meta.getColumns(catalog, null, "%", "%")) {
      while (row.next()) {
        TableDescription table =
            tables.get(key(row.getString("TABLE_SCHEM"), row.getString("TABLE_NAME")));
        if (table != null) {
          column(table, row);
        }
      }
    }
    for (Map.Entry<String, TableDescription> entry : tables.entrySet()) {
      call.check();
      keys(meta, catalog, schemas.get(entry.getKey()), entry.getValue());
    }
    return tables.values();
  }

  private boolean isWanted(@Nullable String schema, String name) {
    if (settings.dialect() == Dialect.SQLITE) {
      return !name.startsWith("sqlite_");
    }
    if (schema == null) {
      return true;
    }
    return settings.schemas().isEmpty()
        ? !SYSTEM_SCHEMAS.contains(schema.toUpperCase(Locale.ROOT)) && !name.startsWith("BIN$")
        : settings.schemas().contains(schema);
  }

  private void column(TableDescription table, ResultSet row) throws SQLException {
    String name = row.getString("COLUMN_NAME");
    int jdbcType = row.getInt("DATA_TYPE");
    String type = String.valueOf(row.getString("TYPE_NAME"));
    int size = row.getInt("COLUMN_SIZE");
    int scale = row.getInt("DECIMAL_DIGITS");
    boolean nullable = row.getInt("NULLABLE") != DatabaseMetaData.columnNoNulls;
    String comment = row.getString("REMARKS");
    String byDefault = row.getString("COLUMN_DEF");
    table.column(
        name,
        Columns.typeOf(settings.dialect(), jdbcType, type, size, scale, true),
        type,
        nullable,
        byDefault,
        comment);
  }

  private void keys(
      DatabaseMetaData meta,
      @Nullable String catalog,
      @Nullable String schema,
      TableDescription table)
      throws SQLException {
    Map<Integer, String> primary = new TreeMap<>();
    try (ResultSet row = meta.getPrimaryKeys(catalog, schema, table.name())) {
      while (row.next()) {
        primary.put((int) row.getShort("KEY_SEQ"), row.getString("COLUMN_NAME"));
      }
    }
    table.primaryKey(List.copyOf(primary.values()));
    try (ResultSet row = meta.getImportedKeys(catalog, schema, table.name())) {
      int unnamed = 0;
      while (row.next()) {
        String constraint = row.getString("FK_NAME");
        if (row.getShort("KEY_SEQ") <= 1) {
          unnamed++;
        }
        String to = row.getString("PKCOLUMN_NAME");
        table.foreignKey(
            constraint == null || constraint.isEmpty() ? "fk" + unnamed : constraint,
            List.of(row.getString("FKCOLUMN_NAME")),
            row.getString("PKTABLE_SCHEM"),
            row.getString("PKTABLE_NAME"),
            List.of(to == null ? "" : to));
      }
    }
    Map<String, List<String>> indexes = new LinkedHashMap<>();
    Map<String, Boolean> isUnique = new LinkedHashMap<>();
    try (ResultSet row = meta.getIndexInfo(catalog, schema, table.name(), false, true)) {
      while (row.next()) {
        String index = row.getString("INDEX_NAME");
        String column = row.getString("COLUMN_NAME");
        if (index != null && row.getShort("TYPE") != DatabaseMetaData.tableIndexStatistic) {
          indexes.computeIfAbsent(index, i -> new ArrayList<>()).add(column == null ? "" : column);
          isUnique.put(index, !row.getBoolean("NON_UNIQUE"));
        }
      }
    }
    indexes.forEach(
        (index, columns) -> {
          if (!columns.contains("")) {
            table.index(columns, isUnique.getOrDefault(index, false));
          }
        });
  }

  private static String key(@Nullable String schema, String name) {
    return (schema == null ? "" : schema) + "\u0000" + name;
  }
}
