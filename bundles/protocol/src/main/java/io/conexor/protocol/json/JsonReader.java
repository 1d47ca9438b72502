package io.conexor.protocol.json;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Strict JSON (RFC 8259) in a byte array: as a tree, or checked and copied without its white space.
 *
 * <p>Whatever the bytes are, the methods return or throw {@link ProtocolException}; nesting is
 * bounded.
 */
public final class JsonReader {
  public static final int MAX_DEPTH = 64;

  private final byte[] bytes;
  private final int origin;
  private final int end;
  private int at;

  private JsonReader(byte[] bytes, int offset, int length) {
    this.bytes = bytes;
    this.origin = offset;
    this.at = offset;
    this.end = offset + length;
  }

  /**
   * The one value these bytes hold: null, Boolean, Long, Double, String, List, or Map in the order
   * of the text, where the last of several equal keys wins. A number with a fraction, an exponent,
   * or beyond 64 bits becomes a Double.
   */
  public static @Nullable Object value(byte[] bytes, int offset, int length) {
    JsonReader reader = new JsonReader(bytes, offset, length);
    Object value = reader.value(0);
    reader.expectEnd();
    return value;
  }

  /** As {@link #value}, for a text whose value has to be an object. */
  @SuppressWarnings("unchecked") // every Map that value() makes has String keys
  public static Map<String, @Nullable Object> object(byte[] bytes, int offset, int length) {
    if (value(bytes, offset, length) instanceof Map<?, ?> map) {
      return (Map<String, @Nullable Object>) map;
    }
    throw new ProtocolException("expected a JSON object", 0);
  }

  /**
   * Copies the one value these bytes hold to {@code out}, without white space between tokens; so
   * the copy has no line breaks. On an exception {@code out} is as before.
   */
  public static void compact(byte[] bytes, int offset, int length, GrowingBytes out) {
    JsonReader reader = new JsonReader(bytes, offset, length);
    int before = out.size();
    try {
      reader.copy(out, 0);
      reader.expectEnd();
    } catch (ProtocolException e) {
      out.truncate(before);
      throw e;
    }
  }

  private @Nullable Object value(int depth) {
    return switch (token(depth)) {
      case '{' -> map(depth);
      case '[' -> list(depth);
      case '"' -> string();
      case 't' -> {
        literal("true");
        yield true;
      }
      case 'f' -> {
        literal("false");
        yield false;
      }
      case 'n' -> {
        literal("null");
        yield null;
      }
      default -> numberValue();
    };
  }

  private Map<String, @Nullable Object> map(int depth) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    at++;
    if (isNext('}')) {
      return map;
    }
    do {
      expectName(depth);
      String key = string();
      expect(':');
      map.put(key, value(depth + 1));
    } while (isNext(','));
    expect('}');
    return map;
  }

  private List<@Nullable Object> list(int depth) {
    List<@Nullable Object> list = new ArrayList<>();
    at++;
    if (isNext(']')) {
      return list;
    }
    do {
      list.add(value(depth + 1));
    } while (isNext(','));
    expect(']');
    return list;
  }

  private Object numberValue() {
    int start = at;
    boolean whole = number();
    String digits = new String(bytes, start, at - start, US_ASCII);
    if (whole && digits.length() <= 20) {
      try {
        return Long.valueOf(digits);
      } catch (NumberFormatException e) {
        return Double.valueOf(digits); // 19 or 20 characters, beyond 64 bits
      }
    }
    return Double.valueOf(digits);
  }

  private void copy(GrowingBytes out, int depth) {
    int first = token(depth);
    int start = at;
    switch (first) {
      case '{' -> {
        copyMap(out, depth);
        return;
      }
      case '[' -> {
        copyList(out, depth);
        return;
      }
      case '"' -> scanString();
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> number();
    }
    out.put(bytes, start, at - start);
  }

  private void copyMap(GrowingBytes out, int depth) {
    out.put('{');
    at++;
    if (!isNext('}')) {
      boolean another = true;
      while (another) {
        expectName(depth);
        int name = at;
        scanString();
        out.put(bytes, name, at - name);
        expect(':');
        out.put(':');
        copy(out, depth + 1);
        another = isNext(',');
        if (another) {
          out.put(',');
        }
      }
      expect('}');
    }
    out.put('}');
  }

  private void copyList(GrowingBytes out, int depth) {
    out.put('[');
    at++;
    if (!isNext(']')) {
      boolean another = true;
      while (another) {
        copy(out, depth + 1);
        another = isNext(',');
        if (another) {
          out.put(',');
        }
      }
      expect(']');
    }
    out.put(']');
  }

  private void expectName(int depth) {
    if (token(depth) != '"') {
      throw error("expected a name in quotes");
    }
  }

  /** The first character of the next value, not consumed. */
  private int token(int depth) {
    if (depth > MAX_DEPTH) {
      throw error("nested deeper than " + MAX_DEPTH);
    }
    skipSpace();
    if (at == end) {
      throw error("ends too early");
    }
    return bytes[at];
  }

  private void skipSpace() {
    while (at < end
        && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t')) {
      at++;
    }
  }

  private boolean isNext(char c) {
    skipSpace();
    if (at < end && bytes[at] == c) {
      at++;
      return true;
    }
    return false;
  }

  private void expect(char c) {
    if (!isNext(c)) {
      throw error("expected '" + c + "'");
    }
  }

  private void expectEnd() {
    skipSpace();
    if (at != end) {
      throw error("more than one value");
    }
  }

  private void literal(String word) {
    for (int i = 0; i < word.length(); i++) {
      if (at == end || bytes[at] != word.charAt(i)) {
        throw error("expected a value");
      }
      at++;
    }
  }

  /** Consumes a number and says whether it has neither fraction nor exponent. */
  private boolean number() {
    boolean whole = true;
    if (at < end && bytes[at] == '-') {
      at++;
    }
    if (at < end && bytes[at] == '0') {
      at++;
    } else {
      digits();
    }
    if (at < end && bytes[at] == '.') {
      whole = false;
      at++;
      digits();
    }
    if (at < end && (bytes[at] == 'e' || bytes[at] == 'E')) {
      whole = false;
      at++;
      if (at < end && (bytes[at] == '+' || bytes[at] == '-')) {
        at++;
      }
      digits();
    }
    return whole;
  }

  private void digits() {
    int start = at;
    while (at < end && bytes[at] >= '0' && bytes[at] <= '9') {
      at++;
    }
    if (at == start) {
      throw error("expected a value");
    }
  }

  /** Consumes a text with its quotes; says whether it has escapes. */
  private boolean scanString() {
    boolean escapes = false;
    at++;
    while (at < end) {
      int b = bytes[at];
      if (b == '"') {
        at++;
        return escapes;
      }
      if (b >= 0 && b < 0x20) {
        throw error("a control character in a text");
      }
      if (b == '\\') {
        escapes = true;
        escape();
      } else if (b < 0) {
        int length = JsonWriter.sequenceLength(bytes, at, end);
        if (length == 0) {
          throw error("not valid UTF-8");
        }
        at += length;
      } else {
        at++;
      }
    }
    throw error("ends too early");
  }

  /** Consumes one escape and returns its character. */
  private char escape() {
    if (end - at < 2) {
      throw error("ends too early");
    }
    int c = bytes[at + 1];
    at += 2;
    return switch (c) {
      case '"', '\\', '/' -> (char) c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> unicodeEscape();
      default -> {
        at -= 2;
        throw error("an escape that JSON does not know");
      }
    };
  }

  private char unicodeEscape() {
    if (end - at < 4) {
      throw error("ends too early");
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
      int digit = bytes[at] < 0 ? -1 : Character.digit(bytes[at], 16);
      if (digit < 0) {
        throw error("expected four hexadecimal digits");
      }
      value = value << 4 | digit;
      at++;
    }
    return (char) value;
  }

  private String string() {
    int start = at + 1;
    boolean escapes = scanString();
    int behind = at;
    if (!escapes) {
      return new String(bytes, start, behind - 1 - start, UTF_8);
    }
    StringBuilder text = new StringBuilder(behind - start);
    at = start;
    int plain = start;
    while (at < behind - 1) {
      if (bytes[at] == '\\') {
        text.append(new String(bytes, plain, at - plain, UTF_8));
        text.append(escape());
        plain = at;
      } else {
        at++;
      }
    }
    text.append(new String(bytes, plain, at - plain, UTF_8));
    at = behind;
    return text.toString();
  }

  private ProtocolException error(String message) {
    return new ProtocolException(message, at - origin);
  }
}
