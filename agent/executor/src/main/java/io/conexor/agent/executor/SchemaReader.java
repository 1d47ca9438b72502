package io.conexor.agent.executor;

import com.zaxxer.hikari.HikariDataSource;
import io.conexor.api.call.ColumnType;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentWire;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Answers a schema call: one JSON document per table or view the role can read. */
final class SchemaReader {

  /** Collects the tables of one engine. */
  private interface Catalog {
    Iterable<TableDescription> tables(Connection connection, Call call)
        throws SQLException, Call.StoppedException;
  }

  private final SourceSettings settings;
  private final Engine engine;
  private final HikariDataSource pool;
  private final Catalog catalog;

  SchemaReader(SourceSettings settings, Engine engine, HikariDataSource pool) {
    this.settings = settings;
    this.engine = engine;
    this.pool = pool;
    this.catalog =
        switch (settings.dialect()) {
          case POSTGRESQL -> this::postgres;
          case MYSQL -> this::mysql;
          case SQLSERVER, ORACLE, SQLITE, H2 ->
              (connection, call) -> new MetaDataCatalog(settings).tables(connection, call);
        };
  }

  void describe(Call call, Answer answer)
      throws QueryRunner.FailedException, Call.StoppedException, Answer.RowTooLargeException {
    Connection connection;
    try {
      connection = pool.getConnection();
    } catch (SQLException e) {
      throw new QueryRunner.FailedException(e, false);
    }
    boolean isReusable = false;
    try {
      describe(call, answer, connection);
      // a cancel may still be on its way to this session
      isReusable = call.stopped() == null;
    } catch (SQLException e) {
      throw new QueryRunner.FailedException(e, true);
    } finally {
      QueryRunner.giveBack(pool, connection, isReusable);
    }
  }

  private void describe(Call call, Answer answer, Connection connection)
      throws SQLException, Call.StoppedException, Answer.RowTooLargeException {
    if (engine.transaction(Long.MAX_VALUE) == Engine.Transaction.EXPLICIT) {
      engine.begin(connection, true);
    }
    Iterable<TableDescription> tables = catalog.tables(connection, call);
    answer.columns(List.of(new Column("table", ColumnType.JSON.name(), false, null, "")));
    GrowingBytes json = new GrowingBytes(1_024, AgentWire.MAX_MESSAGE_BYTES);
    for (TableDescription table : tables) {
      call.check();
      json.clear();
      table.json(json);
      answer.row(
          out -> {
            out.row(1);
            out.text(json.array(), 0, json.size());
          });
    }
    answer.finish();
    if (!connection.getAutoCommit()) {
      connection.rollback();
    }
  }

  private Iterable<TableDescription> postgres(Connection connection, Call call)
      throws SQLException, Call.StoppedException {
    Map<Long, TableDescription> tables = new LinkedHashMap<>();
    String[] wanted = settings.schemas().toArray(String[]::new);
    String readable =
        """
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
           AND (cardinality(?::text[]) = 0 AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
             OR n.nspname = ANY (?::text[]))
           AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')\
        """;
    try (PreparedStatement s =
        connection.prepareStatement(
            "SELECT c.oid, n.nspname, c.relname, c.relkind, obj_description(c.oid, 'pg_class'), c.reltuples::bigint"
                + readable
                + " ORDER BY n.nspname, c.relname")) {
      try (ResultSet row = rows(call, s, connection, wanted)) {
        while (row.next()) {
          String kind = "vm".contains(row.getString(4)) ? "view" : "table";
          long estimate = row.getString(4).equals("v") ? -1 : row.getLong(6);
          tables.put(
              row.getLong(1),
              new TableDescription(
                  row.getString(2), row.getString(3), kind, row.getString(5), estimate));
        }
      } finally {
        call.end();
      }
    }
    String oids = " IN (SELECT c.oid" + readable + ")";
    try (PreparedStatement s =
        connection.prepareStatement(
            """
            SELECT a.attrelid, a.attname, coalesce(b.typname, t.typname), coalesce(b.typtype, t.typtype),
              format_type(a.atttypid, a.atttypmod), NOT (a.attnotnull OR t.typnotnull),
              pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_type b ON b.oid = t.typbasetype
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid\
            """
                + oids
                + " ORDER BY a.attrelid, a.attnum")) {
      try (ResultSet row = rows(call, s, connection, wanted)) {
        while (row.next()) {
          TableDescription table = tables.get(row.getLong(1));
          if (table != null) {
            ColumnType type =
                row.getString(4).equals("e") ? ColumnType.TEXT : PgText.typeOf(row.getString(3));
            table.column(
                row.getString(2),
                type,
                row.getString(5),
                row.getBoolean(6),
                row.getString(7),
                row.getString(8));
          }
        }
      } finally {
        call.end();
      }
    }
    try (PreparedStatement s =
        connection.prepareStatement(
            """
            SELECT k.conrelid, k.contype, k.conname, rn.nspname, r.relname,
              ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY x(n, o)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.n ORDER BY x.o),
              ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY x(n, o)
                JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.n ORDER BY x.o)
            FROM pg_constraint k LEFT JOIN pg_class r ON r.oid = k.confrelid
            LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
            WHERE k.contype IN ('p', 'f') AND k.conrelid\
            """
                + oids)) {
      try (ResultSet row = rows(call, s, connection, wanted)) {
        while (row.next()) {
          TableDescription table = tables.get(row.getLong(1));
          if (table != null && row.getString(2).equals("p")) {
            table.primaryKey(strings(row, 6));
          } else if (table != null) {
            table.foreignKey(
                row.getString(3),
                strings(row, 6),
                row.getString(4),
                row.getString(5),
                strings(row, 7));
          }
        }
      } finally {
        call.end();
      }
    }
    try (PreparedStatement s =
        connection.prepareStatement(
            """
            SELECT i.indrelid, i.indisunique AND i.indpred IS NULL,
              ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY x(n, o)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.n
                WHERE x.o <= i.indnkeyatts ORDER BY x.o)
            FROM pg_index i WHERE i.indisvalid AND i.indexprs IS NULL AND i.indrelid\
            """
                + oids
                + " ORDER BY i.indrelid, i.indexrelid")) {
      try (ResultSet row = rows(call, s, connection, wanted)) {
        while (row.next()) {
          TableDescription table = tables.get(row.getLong(1));
          if (table != null) {
            table.index(strings(row, 3), row.getBoolean(2));
          }
        }
      } finally {
        call.end();
      }
    }
    return tables.values();
  }

  private static ResultSet rows(
      Call call, PreparedStatement s, Connection connection, String[] schemas)
      throws SQLException, Call.StoppedException {
    s.setArray(1, connection.createArrayOf("text", schemas));
    s.setArray(2, connection.createArrayOf("text", schemas));
    call.begin(s, connection);
    return s.executeQuery();
  }

  private static List<String> strings(ResultSet row, int column) throws SQLException {
    return Arrays.asList((String[]) row.getArray(column).getArray());
  }

  /**
   * Four queries for any number of tables; the driver's metadata would ask several times per table.
   */
  private Iterable<TableDescription> mysql(Connection connection, Call call)
      throws SQLException, Call.StoppedException {
    Map<String, TableDescription> tables = new TreeMap<>();
    boolean several = !settings.schemas().isEmpty();
    String where =
        several ? " IN (" + "?, ".repeat(settings.schemas().size() - 1) + "?)" : " = DATABASE()";
    each(
        connection,
        call,
        "SELECT table_schema, table_name, table_type, table_comment, COALESCE(table_rows, -1)"
            + " FROM information_schema.tables WHERE table_schema"
            + where,
        row -> {
          boolean view = row.getString(3).contains("VIEW");
          tables.put(
              row.getString(1) + "\u0000" + row.getString(2),
              new TableDescription(
                  several ? row.getString(1) : "",
                  row.getString(2),
                  view ? "view" : "table",
                  view ? "" : row.getString(4),
                  view ? -1 : row.getLong(5)));
        });
    each(
        connection,
        call,
        "SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable, column_default,"
            + " column_comment FROM information_schema.columns WHERE table_schema"
            + where
            + " ORDER BY table_schema, table_name, ordinal_position",
        row -> {
          TableDescription table = tables.get(row.getString(1) + "\u0000" + row.getString(2));
          if (table != null) {
            table.column(
                row.getString(3),
                mysqlType(row.getString(4), row.getString(5)),
                row.getString(5),
                row.getString(6).equals("YES"),
                row.getString(7),
                row.getString(8));
          }
        });
    Map<String, List<String>> keys = new LinkedHashMap<>();
    Map<String, Boolean> isUnique = new LinkedHashMap<>();
    each(
        connection,
        call,
        "SELECT table_schema, table_name, index_name, column_name, non_unique FROM information_schema.statistics"
            + " WHERE table_schema"
            + where
            + " ORDER BY table_schema, table_name, index_name <> 'PRIMARY', index_name, seq_in_index",
        row -> {
          String key = row.getString(1) + "\u0000" + row.getString(2) + "\u0000" + row.getString(3);
          keys.computeIfAbsent(key, k -> new java.util.ArrayList<>())
              .add(String.valueOf(row.getString(4)));
          isUnique.put(key, row.getInt(5) == 0);
        });
    keys.forEach(
        (key, columns) -> {
          TableDescription table = tables.get(key.substring(0, key.lastIndexOf('\u0000')));
          // an index over expressions has columns without names
          if (table != null && !columns.contains("null")) {
            if (key.endsWith("\u0000PRIMARY")) {
              table.primaryKey(columns);
            } else {
              table.index(columns, isUnique.getOrDefault(key, false));
            }
          }
        });
    each(
        connection,
        call,
        "SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,"
            + " referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
            + " WHERE referenced_table_name IS NOT NULL AND table_schema"
            + where
            + " ORDER BY table_schema, table_name, constraint_name, ordinal_position",
        row -> {
          TableDescription table = tables.get(row.getString(1) + "\u0000" + row.getString(2));
          if (table != null) {
            table.foreignKey(
                row.getString(3),
                List.of(row.getString(4)),
                several ? row.getString(5) : "",
                row.getString(6),
                List.of(row.getString(7)));
          }
        });
    return tables.values();
  }

  private interface RowReader {
    void read(ResultSet row) throws SQLException;
  }

  private void each(Connection connection, Call call, String sql, RowReader reader)
      throws SQLException, Call.StoppedException {
    try (PreparedStatement s = connection.prepareStatement(sql)) {
      int i = 1;
      for (String schema : settings.schemas()) {
        s.setString(i++, schema);
      }
      call.begin(s, connection);
      try (ResultSet row = s.executeQuery()) {
        while (row.next()) {
          reader.read(row);
        }
      } finally {
        call.end();
      }
    }
  }

  private static ColumnType mysqlType(String name, String full) {
    return switch (name) {
      case "tinyint", "smallint", "mediumint", "int", "year" -> ColumnType.INTEGER;
      case "bigint" -> full.contains("unsigned") ? ColumnType.DECIMAL : ColumnType.INTEGER;
      case "decimal" -> ColumnType.DECIMAL;
      case "float", "double" -> ColumnType.DOUBLE;
      case "bit" -> full.equals("bit(1)") ? ColumnType.BOOLEAN : ColumnType.BYTES;
      case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set" ->
          ColumnType.TEXT;
      case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob" -> ColumnType.BYTES;
      case "date" -> ColumnType.DATE;
      case "time" -> ColumnType.TIME;
      case "datetime", "timestamp" -> ColumnType.TIMESTAMP;
      case "json" -> ColumnType.JSON;
      case "uuid" -> ColumnType.UUID;
      default -> ColumnType.OTHER;
    };
  }
}
