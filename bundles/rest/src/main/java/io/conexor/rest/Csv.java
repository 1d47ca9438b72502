package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.call.Column;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import io.conexor.protocol.rows.RowReader;
import java.util.Base64;
import java.util.List;

/**
 * Rows as RFC 4180 writes them, in UTF-8. NULL is an empty field, an empty text is {@code ""};
 * bytes are base64, arrays JSON.
 */
final class Csv {

  private Csv() {}

  static void head(List<Column> columns, GrowingBytes out) {
    for (int i = 0; i < columns.size(); i++) {
      if (i > 0) {
        out.put(',');
      }
      text(columns.get(i).name(), out);
    }
    out.putAscii("\r\n");
  }

  static void row(RowReader row, List<Column> columns, GrowingBytes out) {
    for (int i = 0; i < columns.size(); i++) {
      if (i > 0) {
        out.put(',');
      }
      switch (row.peek()) {
        case NIL -> row.skip();
        case BOOLEAN -> out.putAscii(row.bool() ? "true" : "false");
        case INTEGER -> out.putDecimal(row.integer());
        case FLOAT -> out.putAscii(Double.toString(row.float64()));
        case TEXT -> text(row.text(), out);
        case BYTES -> out.putAscii(Base64.getEncoder().encodeToString(row.bytes()));
        case ARRAY -> {
          GrowingBytes json = new GrowingBytes(64, out.maxSize());
          JsonWriter.value(json, row.value());
          text(new String(json.toByteArray(), UTF_8), out);
        }
      }
    }
    out.putAscii("\r\n");
  }

  private static void text(String text, GrowingBytes out) {
    boolean isPlain = !text.isEmpty();
    for (int i = 0; i < text.length() && isPlain; i++) {
      char c = text.charAt(i);
      isPlain = c != ',' && c != '"' && c != '\r' && c != '\n';
    }
    if (isPlain) {
      out.put(text.getBytes(UTF_8));
      return;
    }
    out.put('"');
    out.put(text.replace("\"", "\"\"").getBytes(UTF_8));
    out.put('"');
  }
}
