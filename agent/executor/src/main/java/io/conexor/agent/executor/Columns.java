package io.conexor.agent.executor;

import io.conexor.api.call.ColumnType;
import io.conexor.protocol.agent.AgentMessage.Column;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The columns of a result: what they are called, what they hold, and how each is read. */
final class Columns {
  // Oracle's own type numbers
  private static final int ORACLE_TIMESTAMP_TZ = -101;
  private static final int ORACLE_TIMESTAMP_LTZ = -102;
  private static final int ORACLE_INTERVAL_YM = -103;
  private static final int ORACLE_INTERVAL_DS = -104;
  private static final int ORACLE_BINARY_FLOAT = 100;
  private static final int ORACLE_BINARY_DOUBLE = 101;
  private static final int ORACLE_JSON = 2016;
  private static final int SQLSERVER_DATETIMEOFFSET = -155;

  private final List<Column> columns;
  private final Cell[] cells;

  private Columns(List<Column> columns, Cell[] cells) {
    this.columns = columns;
    this.cells = cells;
  }

  List<Column> list() {
    return columns;
  }

  Cell[] cells() {
    return cells;
  }

  static Columns of(ResultSetMetaData meta, Dialect dialect) throws SQLException {
    int count = meta.getColumnCount();
    List<Column> columns = new ArrayList<>(count);
    Cell[] cells = new Cell[count];
    for (int i = 1; i <= count; i++) {
      String engineType = engineType(meta, i);
      ColumnType type = typeOf(meta, i, dialect, engineType);
      cells[i - 1] = Cell.of(dialect, type, engineType);
      // pgjdbc would ask the server about nullability
      boolean nullable =
          dialect == Dialect.POSTGRESQL
              || dialect == Dialect.SQLITE
              || meta.isNullable(i) != ResultSetMetaData.columnNoNulls;
      columns.add(
          new Column(
              meta.getColumnLabel(i),
              type.name(),
              nullable,
              elementType(type, dialect, engineType),
              engineType));
    }
    return new Columns(columns, cells);
  }

  private static String engineType(ResultSetMetaData meta, int i) throws SQLException {
    String name = meta.getColumnTypeName(i);
    return name == null ? "" : name;
  }

  private static ColumnType typeOf(
      ResultSetMetaData meta, int i, Dialect dialect, String engineType) throws SQLException {
    if (dialect == Dialect.POSTGRESQL) {
      ColumnType known = PgText.typeOf(engineType);
      // an enum or a domain over text has a name of its own
      return known == ColumnType.OTHER && meta.getColumnType(i) == Types.VARCHAR
          ? ColumnType.TEXT
          : known;
    }
    return typeOf(
        dialect,
        meta.getColumnType(i),
        engineType,
        meta.getPrecision(i),
        meta.getScale(i),
        meta.isSigned(i));
  }

  /** The type of a column of any engine but PostgreSQL. */
  static ColumnType typeOf(
      Dialect dialect,
      int jdbcType,
      String engineType,
      int precision,
      int scale,
      boolean isSigned) {
    String name = engineType.toUpperCase(Locale.ROOT);
    if (dialect == Dialect.SQLITE) {
      return sqlite(name, jdbcType);
    }
    if (name.equals("JSON")) {
      return ColumnType.JSON;
    }
    if (name.equals("UUID") || name.equals("UNIQUEIDENTIFIER")) {
      return ColumnType.UUID;
    }
    return switch (jdbcType) {
      case Types.BOOLEAN -> ColumnType.BOOLEAN;
      case Types.BIT ->
          dialect == Dialect.MYSQL && precision > 1 ? ColumnType.BYTES : ColumnType.BOOLEAN;
      case Types.TINYINT, Types.SMALLINT, Types.INTEGER -> ColumnType.INTEGER;
      case Types.BIGINT ->
          !isSigned && (dialect == Dialect.MYSQL || name.contains("UNSIGNED"))
              ? ColumnType.DECIMAL
              : ColumnType.INTEGER;
      case Types.REAL, Types.FLOAT, Types.DOUBLE, ORACLE_BINARY_FLOAT, ORACLE_BINARY_DOUBLE ->
          ColumnType.DOUBLE;
      case Types.DECIMAL, Types.NUMERIC ->
          dialect == Dialect.ORACLE && precision > 0 && precision <= 18 && scale == 0
              ? ColumnType.INTEGER
              : ColumnType.DECIMAL;
      case Types.CHAR,
          Types.VARCHAR,
          Types.LONGVARCHAR,
          Types.NCHAR,
          Types.NVARCHAR,
          Types.LONGNVARCHAR,
          Types.CLOB,
          Types.NCLOB,
          Types.SQLXML ->
          ColumnType.TEXT;
      case Types.BINARY, Types.VARBINARY, Types.LONGVARBINARY, Types.BLOB, Types.JAVA_OBJECT ->
          ColumnType.BYTES;
      case Types.DATE -> ColumnType.DATE;
      case Types.TIME -> ColumnType.TIME;
      case Types.TIME_WITH_TIMEZONE -> ColumnType.TIME_TZ;
      case Types.TIMESTAMP -> ColumnType.TIMESTAMP;
      case Types.TIMESTAMP_WITH_TIMEZONE,
          ORACLE_TIMESTAMP_TZ,
          ORACLE_TIMESTAMP_LTZ,
          SQLSERVER_DATETIMEOFFSET ->
          ColumnType.TIMESTAMP_TZ;
      case ORACLE_INTERVAL_YM, ORACLE_INTERVAL_DS -> ColumnType.INTERVAL;
      case ORACLE_JSON -> ColumnType.JSON;
      case Types.ARRAY -> ColumnType.ARRAY;
      default -> name.startsWith("INTERVAL") ? ColumnType.INTERVAL : ColumnType.OTHER;
    };
  }

  /** SQLite's affinity rules over the declared type; what has none is told by the first row. */
  private static ColumnType sqlite(String declared, int jdbcType) {
    if (declared.contains("INT") || declared.contains("BOOL")) {
      return ColumnType.INTEGER;
    }
    if (declared.contains("CHAR") || declared.contains("CLOB") || declared.contains("TEXT")) {
      return ColumnType.TEXT;
    }
    if (declared.contains("REAL") || declared.contains("FLOA") || declared.contains("DOUB")) {
      return ColumnType.DOUBLE;
    }
    if (declared.contains("BLOB")) {
      return ColumnType.BYTES;
    }
    return switch (jdbcType) {
      case Types.INTEGER, Types.BIGINT -> ColumnType.INTEGER;
      case Types.FLOAT, Types.REAL, Types.DOUBLE, Types.NUMERIC, Types.DECIMAL -> ColumnType.DOUBLE;
      case Types.VARCHAR -> ColumnType.TEXT;
      case Types.BLOB -> ColumnType.BYTES;
      default -> ColumnType.OTHER;
    };
  }

  private static @Nullable String elementType(ColumnType type, Dialect dialect, String engineType) {
    if (type != ColumnType.ARRAY) {
      return null;
    }
    if (dialect == Dialect.POSTGRESQL) {
      return PgText.elementOf(engineType).type().name();
    }
    String element = engineType.toUpperCase(Locale.ROOT).replaceFirst("\\s*ARRAY.*$", "");
    if ((element.startsWith("INT") && !element.startsWith("INTERVAL")) || element.endsWith("INT")) {
      return ColumnType.INTEGER.name();
    }
    if (element.startsWith("CHAR") || element.startsWith("VARCHAR")) {
      return ColumnType.TEXT.name();
    }
    if (element.startsWith("DOUBLE") || element.startsWith("REAL")) {
      return ColumnType.DOUBLE.name();
    }
    if (element.startsWith("NUMERIC")
        || element.startsWith("DECIMAL")
        || element.startsWith("DECFLOAT")) {
      return ColumnType.DECIMAL.name();
    }
    return element.startsWith("BOOL") ? ColumnType.BOOLEAN.name() : ColumnType.OTHER.name();
  }
}
