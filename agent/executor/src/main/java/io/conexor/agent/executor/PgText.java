package io.conexor.agent.executor;

import io.conexor.api.call.ColumnType;
import io.conexor.protocol.rows.RowWriter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Reads the text PostgreSQL prints: dates of any age, infinities, arrays. */
final class PgText {
  private final ColumnType type;
  private final char delimiter;

  private PgText(ColumnType type, char delimiter) {
    this.type = type;
    this.delimiter = delimiter;
  }

  /** For the elements of an array type such as {@code _int4}. */
  static PgText elementOf(String arrayType) {
    String name = plain(arrayType);
    String element = name.startsWith("_") ? name.substring(1) : name;
    return new PgText(typeOf(element), element.equals("box") ? ';' : ',');
  }

  ColumnType type() {
    return type;
  }

  /** The type of a column by the engine's name for it. */
  static ColumnType typeOf(String engineType) {
    String name = plain(engineType);
    if (name.startsWith("_")) {
      return ColumnType.ARRAY;
    }
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "bool" -> ColumnType.BOOLEAN;
      case "int2", "int4", "int8", "oid", "serial", "bigserial", "smallserial" ->
          ColumnType.INTEGER;
      case "float4", "float8" -> ColumnType.DOUBLE;
      case "numeric" -> ColumnType.DECIMAL;
      case "text", "varchar", "bpchar", "char", "name", "xml", "citext" -> ColumnType.TEXT;
      case "bytea" -> ColumnType.BYTES;
      case "date" -> ColumnType.DATE;
      case "time" -> ColumnType.TIME;
      case "timetz" -> ColumnType.TIME_TZ;
      case "timestamp" -> ColumnType.TIMESTAMP;
      case "timestamptz" -> ColumnType.TIMESTAMP_TZ;
      case "uuid" -> ColumnType.UUID;
      case "json", "jsonb" -> ColumnType.JSON;
      case "interval" -> ColumnType.INTERVAL;
      default -> ColumnType.OTHER;
    };
  }

  /** The driver writes {@code "schema"."name"} for what is not on the search path. */
  private static String plain(String name) {
    return name.endsWith("\"")
        ? name.substring(name.lastIndexOf('"', name.length() - 2) + 1, name.length() - 1)
        : name;
  }

  /**
   * What {@code DateStyle = ISO} prints, as ISO-8601: {@code 0044-03-15 BC} is {@code -0043-03-15}.
   */
  static @Nullable String iso(@Nullable String text, ColumnType type) {
    if (text == null || text.isEmpty() || text.endsWith("infinity")) {
      return text;
    }
    String value = text;
    boolean dated = type != ColumnType.TIME_TZ;
    if (dated) {
      boolean before = value.endsWith(" BC");
      if (before) {
        value = value.substring(0, value.length() - 3);
      }
      int yearEnd = value.indexOf('-');
      if (before) {
        int year = Integer.parseInt(value.substring(0, yearEnd)) - 1;
        value =
            (year == 0 ? "" : "-")
                + String.format(Locale.ROOT, "%04d", year)
                + value.substring(yearEnd);
      } else if (yearEnd > 4) {
        value = "+" + value;
      }
      value = value.replace(' ', 'T');
    }
    if (type == ColumnType.TIMESTAMP_TZ || type == ColumnType.TIME_TZ) {
      int sign = Math.max(value.lastIndexOf('+'), value.lastIndexOf('-'));
      if (value.length() - sign == 3) {
        value += ":00";
      }
    }
    return value;
  }

  /** Writes an array literal such as {@code {1,NULL,"a b"}} as nested arrays. */
  void array(String literal, RowWriter out) {
    int start = 0;
    if (literal.startsWith("[")) {
      // [0:2]={...}: bounds that are not 1
      start = literal.indexOf('=') + 1;
    }
    int[] at = {start};
    write(parse(literal, at), out);
  }

  private List<@Nullable Object> parse(String text, int[] at) {
    List<@Nullable Object> elements = new ArrayList<>();
    int i = at[0] + 1;
    while (i < text.length() && text.charAt(i) != '}') {
      char c = text.charAt(i);
      if (c == delimiter) {
        i++;
      } else if (c == '{') {
        at[0] = i;
        elements.add(parse(text, at));
        i = at[0];
      } else if (c == '"') {
        StringBuilder value = new StringBuilder();
        i++;
        while (text.charAt(i) != '"') {
          if (text.charAt(i) == '\\') {
            i++;
          }
          value.append(text.charAt(i++));
        }
        i++;
        elements.add(value.toString());
      } else {
        int end = i;
        while (text.charAt(end) != delimiter && text.charAt(end) != '}') {
          end++;
        }
        String value = text.substring(i, end);
        elements.add(value.equals("NULL") ? null : value);
        i = end;
      }
    }
    at[0] = i + 1;
    return elements;
  }

  private void write(List<@Nullable Object> elements, RowWriter out) {
    out.array(elements.size());
    for (Object element : elements) {
      if (element == null) {
        out.nil();
      } else if (element instanceof List<?> inner) {
        @SuppressWarnings("unchecked") // parse() makes lists of this kind only
        List<@Nullable Object> nested = (List<@Nullable Object>) inner;
        write(nested, out);
      } else {
        scalar(element.toString(), out);
      }
    }
  }

  private void scalar(String text, RowWriter out) {
    switch (type) {
      case BOOLEAN -> out.bool(text.equals("t"));
      case INTEGER -> out.integer(Long.parseLong(text));
      case DOUBLE -> out.float64(Double.parseDouble(text));
      case BYTES -> out.bytes(HexFormat.of().parseHex(text, 2, text.length()));
      case DATE, TIMESTAMP, TIMESTAMP_TZ, TIME_TZ -> out.text(iso(text, type));
      default -> out.text(text);
    }
  }
}
