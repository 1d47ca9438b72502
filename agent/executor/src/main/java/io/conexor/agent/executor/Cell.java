package io.conexor.agent.executor;

import io.conexor.api.call.ColumnType;
import io.conexor.protocol.rows.RowWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Blob;
import java.sql.Clob;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Struct;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Moves one column's value from a row of a result to the wire, without losing any of it. */
@FunctionalInterface
interface Cell {

  void write(ResultSet row, int column, RowWriter out) throws SQLException;

  /** The way of a column in a dialect. */
  static Cell of(Dialect dialect, ColumnType type, String engineType) {
    if (dialect == Dialect.SQLITE) {
      return Cell::dynamic;
    }
    if (dialect == Dialect.POSTGRESQL) {
      return postgres(type, engineType);
    }
    return switch (type) {
      case BOOLEAN -> Cell::bool;
      case INTEGER -> Cell::integer;
      case DOUBLE -> isSingle(engineType) ? Cell::singleAsText : Cell::float64;
      case DECIMAL -> Cell::decimal;
      case BYTES -> Cell::bytes;
      case DATE -> dialect == Dialect.MYSQL ? Cell::text : Cell::date;
      case TIME -> dialect == Dialect.MYSQL ? Cell::text : Cell::time;
      case TIME_TZ -> Cell::timeTz;
      case TIMESTAMP -> dialect == Dialect.MYSQL ? Cell::spacedTimestamp : Cell::timestamp;
      case TIMESTAMP_TZ -> Cell::timestampTz;
      case UUID -> Cell::lowerText;
      case ARRAY -> Cell::array;
      case TEXT, INTERVAL, JSON, OTHER -> Cell::text;
    };
  }

  private static Cell postgres(ColumnType type, String engineType) {
    return switch (type) {
      case BOOLEAN -> Cell::bool;
      case INTEGER -> Cell::integer;
      case DOUBLE -> isSingle(engineType) ? Cell::singleAsText : Cell::float64;
      case BYTES -> Cell::bytes;
      case TIMESTAMP, TIMESTAMP_TZ, DATE, TIME_TZ ->
          (row, i, out) -> out.text(PgText.iso(row.getString(i), type));
      case ARRAY -> {
        PgText element = PgText.elementOf(engineType);
        yield (row, i, out) -> {
          String text = row.getString(i);
          if (text == null) {
            out.nil();
          } else {
            element.array(text, out);
          }
        };
      }
      default -> Cell::text;
    };
  }

  private static boolean isSingle(String engineType) {
    return switch (engineType.toLowerCase(Locale.ROOT)) {
      case "float4", "real", "float", "binary_float" -> true;
      default -> false;
    };
  }

  private static void bool(ResultSet row, int i, RowWriter out) throws SQLException {
    boolean value = row.getBoolean(i);
    if (row.wasNull()) {
      out.nil();
    } else {
      out.bool(value);
    }
  }

  private static void integer(ResultSet row, int i, RowWriter out) throws SQLException {
    long value = row.getLong(i);
    if (row.wasNull()) {
      out.nil();
    } else {
      out.integer(value);
    }
  }

  private static void float64(ResultSet row, int i, RowWriter out) throws SQLException {
    double value = row.getDouble(i);
    if (row.wasNull()) {
      out.nil();
    } else {
      out.float64(value);
    }
  }

  /** A 32-bit 0.1 is to arrive as 0.1, not as 0.10000000149011612. */
  private static void singleAsText(ResultSet row, int i, RowWriter out) throws SQLException {
    String text = row.getString(i);
    if (text == null) {
      out.nil();
    } else {
      out.float64(Double.parseDouble(text));
    }
  }

  private static void decimal(ResultSet row, int i, RowWriter out) throws SQLException {
    BigDecimal value;
    try {
      value = row.getBigDecimal(i);
    } catch (SQLException | NumberFormatException notFinite) {
      // H2's DECFLOAT has NaN and infinities
      out.text(row.getString(i));
      return;
    }
    out.text(value == null ? null : value.toPlainString());
  }

  private static void text(ResultSet row, int i, RowWriter out) throws SQLException {
    out.text(row.getString(i));
  }

  private static void lowerText(ResultSet row, int i, RowWriter out) throws SQLException {
    String text = row.getString(i);
    out.text(text == null ? null : text.toLowerCase(Locale.ROOT));
  }

  private static void bytes(ResultSet row, int i, RowWriter out) throws SQLException {
    out.bytes(row.getBytes(i));
  }

  private static void date(ResultSet row, int i, RowWriter out) throws SQLException {
    LocalDate value = row.getObject(i, LocalDate.class);
    out.text(value == null ? null : value.toString());
  }

  private static void time(ResultSet row, int i, RowWriter out) throws SQLException {
    LocalTime value = row.getObject(i, LocalTime.class);
    out.text(value == null ? null : Iso.TIME.format(value));
  }

  private static void timeTz(ResultSet row, int i, RowWriter out) throws SQLException {
    OffsetTime value = row.getObject(i, OffsetTime.class);
    out.text(value == null ? null : Iso.of(value));
  }

  private static void timestamp(ResultSet row, int i, RowWriter out) throws SQLException {
    LocalDateTime value = row.getObject(i, LocalDateTime.class);
    out.text(value == null ? null : Iso.of(value));
  }

  private static void timestampTz(ResultSet row, int i, RowWriter out) throws SQLException {
    OffsetDateTime value = row.getObject(i, OffsetDateTime.class);
    out.text(value == null ? null : Iso.of(value));
  }

  /** MySQL prints what no calendar has, 0000-00-00, and so do we. */
  private static void spacedTimestamp(ResultSet row, int i, RowWriter out) throws SQLException {
    String text = row.getString(i);
    out.text(text == null ? null : text.replace(' ', 'T'));
  }

  private static void array(ResultSet row, int i, RowWriter out) throws SQLException {
    Array array = row.getArray(i);
    if (array == null) {
      out.nil();
    } else {
      object(array.getArray(), out);
    }
  }

  /** SQLite keeps a type per value, whatever the column was declared as. */
  private static void dynamic(ResultSet row, int i, RowWriter out) throws SQLException {
    object(row.getObject(i), out);
  }

  /** A value as the driver hands it out. */
  private static void object(@Nullable Object value, RowWriter out) throws SQLException {
    if (value == null) {
      out.nil();
    } else if (value instanceof Object[] elements) {
      out.array(elements.length);
      for (Object element : elements) {
        object(element, out);
      }
    } else if (value instanceof Integer
        || value instanceof Long
        || value instanceof Short
        || value instanceof Byte) {
      out.integer(((Number) value).longValue());
    } else if (value instanceof Boolean flag) {
      out.bool(flag);
    } else if (value instanceof Double number) {
      out.float64(number);
    } else if (value instanceof Float number) {
      out.float64(Double.parseDouble(number.toString()));
    } else if (value instanceof BigDecimal number) {
      out.text(number.toPlainString());
    } else if (value instanceof byte[] bytes) {
      out.bytes(bytes);
    } else if (value instanceof OffsetDateTime moment) {
      out.text(Iso.of(moment));
    } else if (value instanceof LocalDateTime moment) {
      out.text(Iso.of(moment));
    } else if (value instanceof java.sql.Timestamp moment) {
      out.text(Iso.of(moment.toLocalDateTime()));
    } else if (value instanceof LocalTime time) {
      out.text(Iso.TIME.format(time));
    } else if (value instanceof Clob clob) {
      out.text(clob.getSubString(1, (int) Math.min(Integer.MAX_VALUE, clob.length())));
    } else if (value instanceof Blob blob) {
      out.bytes(blob.getBytes(1, (int) Math.min(Integer.MAX_VALUE, blob.length())));
    } else if (value instanceof Array array) {
      object(array.getArray(), out);
    } else if (value instanceof Struct struct) {
      object(struct.getAttributes(), out);
    } else if (value instanceof UUID uuid) {
      out.text(uuid.toString());
    } else {
      out.text(value.toString());
    }
  }

  /** ISO-8601 with seconds, always; java.time leaves them out when they are zero. */
  final class Iso {
    static final DateTimeFormatter TIME =
        new DateTimeFormatterBuilder()
            .appendPattern("HH:mm:ss")
            .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true)
            .toFormatter(Locale.ROOT);

    private Iso() {}

    static String of(LocalDateTime value) {
      return value.toLocalDate() + "T" + TIME.format(value);
    }

    static String of(OffsetDateTime value) {
      return of(value.toLocalDateTime()) + offset(value.getOffset().toString());
    }

    static String of(OffsetTime value) {
      return TIME.format(value) + offset(value.getOffset().toString());
    }

    private static String offset(String offset) {
      return offset.equals("Z") ? "+00:00" : offset;
    }
  }
}
