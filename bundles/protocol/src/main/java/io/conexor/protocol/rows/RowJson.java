package io.conexor.protocol.rows;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import io.conexor.protocol.json.JsonWriter;
import io.conexor.protocol.msgpack.PackReader;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Writes rows as JSON bytes without objects between. Whole numbers that JavaScript can not hold
 * become texts; DECIMAL, dates, times and the rest that travels as text stays text; BYTES become
 * base64; JSON columns are embedded as JSON, or as a text where the database held something that is
 * not JSON; NaN and infinities become texts.
 *
 * <p>A row never holds a raw line break, so rows may be joined to NDJSON. One instance serves one
 * result; it belongs to one thread at a time.
 */
public final class RowJson {
  private final byte[][] keys;
  private final boolean[] isJson;

  /**
   * @param names column names; a name that occurs again gets a suffix ({@code id}, {@code id_2}),
   *     as an object can hold it once only
   * @param isJson for each column whether its texts (or the texts in its arrays) hold JSON
   */
  public RowJson(List<String> names, boolean[] isJson) {
    if (names.size() != isJson.length) {
      throw new IllegalArgumentException(names.size() + " names, " + isJson.length + " types");
    }
    this.isJson = isJson.clone();
    this.keys = new byte[names.size()][];
    List<String> unique = uniqueNames(names);
    GrowingBytes key = new GrowingBytes(32, Integer.MAX_VALUE);
    for (int i = 0; i < keys.length; i++) {
      key.clear();
      JsonWriter.text(key, unique.get(i));
      key.put(':');
      keys[i] = key.toByteArray();
    }
  }

  /** The names under which values appear in objects. */
  public static List<String> uniqueNames(List<String> names) {
    Set<String> taken = new HashSet<>(names);
    if (taken.size() == names.size()) {
      return names;
    }
    Set<String> seen = new HashSet<>();
    List<String> unique = new ArrayList<>(names.size());
    for (String name : names) {
      String candidate = name;
      for (int n = 2; !seen.add(candidate); n++) {
        String next = name + "_" + n;
        candidate = taken.contains(next) ? name : next;
      }
      unique.add(candidate);
    }
    return unique;
  }

  /**
   * The row the reader stands on, unread so far, as an array. On an exception {@code out} is as
   * before.
   */
  public void array(RowReader row, GrowingBytes out) {
    write(row, out, false);
  }

  /**
   * The row the reader stands on, unread so far, as an object. On an exception {@code out} is as
   * before.
   */
  public void object(RowReader row, GrowingBytes out) {
    write(row, out, true);
  }

  private void write(RowReader row, GrowingBytes out, boolean asObject) {
    int columns = keys.length;
    if (row.values() != columns || row.valuesLeft() != columns) {
      throw row.pack().error("a row of " + row.values() + " values under " + columns + " columns");
    }
    int before = out.size();
    boolean done = false;
    try {
      out.put(asObject ? '{' : '[');
      for (int i = 0; i < columns; i++) {
        if (i > 0) {
          out.put(',');
        }
        if (asObject) {
          out.put(keys[i]);
        }
        row.take();
        value(row, isJson[i], out, 0);
      }
      out.put(asObject ? '}' : ']');
      done = true;
    } finally {
      if (!done) {
        out.truncate(before);
      }
    }
  }

  private static void value(RowReader row, boolean isJson, GrowingBytes out, int depth) {
    PackReader pack = row.pack();
    switch (row.kind()) {
      case NIL -> {
        pack.nextNil();
        JsonWriter.nil(out);
      }
      case BOOLEAN -> JsonWriter.bool(out, pack.bool());
      case INTEGER -> JsonWriter.integer(out, pack.integer());
      case FLOAT -> JsonWriter.float64(out, pack.float64());
      case TEXT -> {
        int length = pack.textHead(Integer.MAX_VALUE);
        int at = pack.index();
        pack.advance(length);
        if (!isJson || !embed(pack.array(), at, length, out)) {
          JsonWriter.text(out, pack.array(), at, length);
        }
      }
      case BYTES -> {
        int length = pack.bytesHead(Integer.MAX_VALUE);
        JsonWriter.base64(out, pack.array(), pack.index(), length);
        pack.advance(length);
      }
      case ARRAY -> {
        int length = row.beginArray(depth);
        out.put('[');
        for (int i = 0; i < length; i++) {
          if (i > 0) {
            out.put(',');
          }
          value(row, isJson, out, depth + 1);
        }
        out.put(']');
      }
    }
  }

  private static boolean embed(byte[] bytes, int offset, int length, GrowingBytes out) {
    try {
      JsonReader.compact(bytes, offset, length, out);
      return true;
    } catch (ProtocolException e) {
      return false; // not JSON, or too deep to embed: the caller writes it as a text
    }
  }
}
