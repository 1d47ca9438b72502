package io.conexor.protocol.json;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON as UTF-8 bytes into a {@link GrowingBytes}. Texts are escaped so that the output is valid
 * JSON and valid UTF-8 whatever goes in, and holds no raw control character, hence neither a line
 * break nor a record separator.
 */
public final class JsonWriter {
  /** Largest whole number that a JavaScript number holds exactly. */
  public static final long MAX_SAFE_INTEGER = (1L << 53) - 1;

  private static final int MAX_DEPTH = 64;
  private static final byte[] HEX = "0123456789abcdef".getBytes(US_ASCII);
  private static final byte[] BASE64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".getBytes(US_ASCII);

  /**
   * For each ASCII character: 0 as it is, 'u' as a unicode escape, else the letter behind the
   * backslash.
   */
  private static final byte[] ESCAPES = new byte[128];

  static {
    for (int c = 0; c < 0x20; c++) {
      ESCAPES[c] = 'u';
    }
    ESCAPES[0x7f] = 'u';
    ESCAPES['"'] = '"';
    ESCAPES['\\'] = '\\';
    ESCAPES['\b'] = 'b';
    ESCAPES['\f'] = 'f';
    ESCAPES['\n'] = 'n';
    ESCAPES['\r'] = 'r';
    ESCAPES['\t'] = 't';
  }

  private JsonWriter() {}

  public static void text(GrowingBytes out, String text) {
    int length = text.length();
    out.ensure(Math.min(length + 2, out.maxSize())); // usual case: no second growth
    out.put('"');
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      if (c < 0x80) {
        ascii(out, c);
      } else if (c < 0x800) {
        out.put(0xc0 | c >> 6);
        out.put(0x80 | (c & 0x3f));
      } else if (!Character.isSurrogate(c)) {
        three(out, c);
      } else if (Character.isHighSurrogate(c)
          && i + 1 < length
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        int point = Character.toCodePoint(c, text.charAt(++i));
        out.put(0xf0 | point >> 18);
        out.put(0x80 | ((point >> 12) & 0x3f));
        out.put(0x80 | ((point >> 6) & 0x3f));
        out.put(0x80 | (point & 0x3f));
      } else {
        three(out, 0xfffd);
      }
    }
    out.put('"');
  }

  /** A text that is UTF-8 already; bytes which are not valid UTF-8 become U+FFFD. */
  public static void text(GrowingBytes out, byte[] utf8, int offset, int length) {
    out.put('"');
    int end = offset + length;
    int at = offset;
    int plain = offset; // start of the run that can be copied as it is
    while (at < end) {
      int b = utf8[at];
      if (b >= 0) {
        if (ESCAPES[b] != 0) {
          out.put(utf8, plain, at - plain);
          ascii(out, b);
          plain = at + 1;
        }
        at++;
        continue;
      }
      int sequence = sequenceLength(utf8, at, end);
      if (sequence == 0) {
        out.put(utf8, plain, at - plain);
        three(out, 0xfffd);
        at++;
        plain = at;
      } else {
        at += sequence;
      }
    }
    out.put(utf8, plain, end - plain);
    out.put('"');
  }

  /** A number where JavaScript can hold it exactly, else its digits as a text. */
  public static void integer(GrowingBytes out, long value) {
    if (value >= -MAX_SAFE_INTEGER && value <= MAX_SAFE_INTEGER) {
      out.putDecimal(value);
    } else {
      out.put('"');
      out.putDecimal(value);
      out.put('"');
    }
  }

  /** A number, or the texts {@code NaN}, {@code Infinity}, {@code -Infinity}. */
  public static void float64(GrowingBytes out, double value) {
    if (value == (int) value && (value != 0 || 1 / value > 0)) {
      out.putDecimal((int) value);
      return;
    }
    boolean finite = Double.isFinite(value);
    if (!finite) {
      out.put('"');
    }
    out.putAscii(Double.toString(value));
    if (!finite) {
      out.put('"');
    }
  }

  public static void bool(GrowingBytes out, boolean value) {
    out.putAscii(value ? "true" : "false");
  }

  public static void nil(GrowingBytes out) {
    out.putAscii("null");
  }

  /** Binary content as a text in base64 with padding. */
  public static void base64(GrowingBytes out, byte[] bytes, int offset, int length) {
    long encoded = 2 + 4 * ((length + 2L) / 3);
    if (encoded > Integer.MAX_VALUE) {
      throw new ProtocolException("a binary value too long for a text", out.size());
    }
    int to = out.reserve((int) encoded);
    byte[] target = out.array();
    target[to++] = '"';
    int from = offset;
    int end = offset + length;
    for (; end - from >= 3; from += 3) {
      int three =
          ((bytes[from] & 0xff) << 16) | ((bytes[from + 1] & 0xff) << 8) | (bytes[from + 2] & 0xff);
      target[to++] = BASE64[three >> 18];
      target[to++] = BASE64[three >> 12 & 0x3f];
      target[to++] = BASE64[three >> 6 & 0x3f];
      target[to++] = BASE64[three & 0x3f];
    }
    if (end > from) {
      int rest = (bytes[from] & 0xff) << 16 | (end - from > 1 ? (bytes[from + 1] & 0xff) << 8 : 0);
      target[to++] = BASE64[rest >> 18];
      target[to++] = BASE64[rest >> 12 & 0x3f];
      target[to++] = end - from > 1 ? BASE64[rest >> 6 & 0x3f] : (byte) '=';
      target[to++] = '=';
    }
    target[to] = '"';
  }

  /**
   * A tree of null, Boolean, Number, String, byte[] (as base64), List and Map with String keys, at
   * most 64 deep. Numbers are written as numbers: the SignalR JSON protocol wants them so.
   *
   * @throws IllegalArgumentException if a value is of another type
   */
  public static void value(GrowingBytes out, @Nullable Object value) {
    value(out, value, 0);
  }

  private static void value(GrowingBytes out, @Nullable Object value, int depth) {
    if (depth > MAX_DEPTH) {
      throw new ProtocolException("nested deeper than " + MAX_DEPTH, out.size());
    }
    if (value == null) {
      nil(out);
    } else if (value instanceof String s) {
      text(out, s);
    } else if (value instanceof Long
        || value instanceof Integer
        || value instanceof Short
        || value instanceof Byte) {
      out.putDecimal(((Number) value).longValue());
    } else if (value instanceof Double || value instanceof Float) {
      float64(out, ((Number) value).doubleValue());
    } else if (value instanceof BigDecimal || value instanceof BigInteger) {
      out.putAscii(value.toString());
    } else if (value instanceof Boolean b) {
      bool(out, b);
    } else if (value instanceof byte[] b) {
      base64(out, b, 0, b.length);
    } else if (value instanceof List<?> list) {
      out.put('[');
      for (int i = 0; i < list.size(); i++) {
        if (i > 0) {
          out.put(',');
        }
        value(out, list.get(i), depth + 1);
      }
      out.put(']');
    } else if (value instanceof Map<?, ?> map) {
      out.put('{');
      boolean first = true;
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        if (!(entry.getKey() instanceof String key)) {
          throw new IllegalArgumentException("a map key must be a String");
        }
        if (!first) {
          out.put(',');
        }
        first = false;
        text(out, key);
        out.put(':');
        value(out, entry.getValue(), depth + 1);
      }
      out.put('}');
    } else {
      throw new IllegalArgumentException("no JSON form for " + value.getClass().getName());
    }
  }

  private static void ascii(GrowingBytes out, int c) {
    byte escape = ESCAPES[c];
    if (escape == 0) {
      out.put(c);
    } else {
      out.put('\\');
      out.put(escape);
      if (escape == 'u') {
        out.put('0');
        out.put('0');
        out.put(HEX[c >> 4]);
        out.put(HEX[c & 0xf]);
      }
    }
  }

  private static void three(GrowingBytes out, int c) {
    out.put(0xe0 | c >> 12);
    out.put(0x80 | ((c >> 6) & 0x3f));
    out.put(0x80 | (c & 0x3f));
  }

  /**
   * Length of the well-formed UTF-8 sequence of two to four bytes at {@code at}, or 0 (Unicode,
   * table 3-7).
   */
  static int sequenceLength(byte[] utf8, int at, int end) {
    int first = utf8[at] & 0xff;
    int length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || end - at < length) {
      return 0;
    }
    int second = utf8[at + 1] & 0xff;
    int low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    int high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) {
      return 0;
    }
    for (int i = 2; i < length; i++) {
      if ((utf8[at + i] & 0xc0) != 0x80) {
        return 0;
      }
    }
    return length;
  }
}
