package io.conexor.protocol.msgpack;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.protocol.ProtocolException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A cursor over MessagePack in a byte array. Reusable; belongs to one thread at a time.
 *
 * <p>Whatever the bytes are, the methods return what they say or throw {@link ProtocolException};
 * they never read outside the given range, and never allocate more than a small multiple of it.
 */
public final class PackReader {
  /** How deep a value read as an object may be nested. */
  public static final int MAX_DEPTH = 32;

  private static final byte[] NONE = new byte[0];
  private static final int MAX_DECIMAL_DIGITS = 8_192;

  private byte[] bytes = NONE;
  private int origin;
  private int at;
  private int end;

  public PackReader() {}

  public PackReader(byte[] bytes) {
    reset(bytes, 0, bytes.length);
  }

  /** Starts again at {@code offset}; positions in exceptions count from there. */
  public PackReader reset(byte[] newBytes, int offset, int length) {
    if (offset < 0 || length < 0 || length > newBytes.length - offset) {
      throw new IllegalArgumentException(
          "range " + offset + "+" + length + " of " + newBytes.length);
    }
    bytes = newBytes;
    origin = offset;
    at = offset;
    end = offset + length;
    return this;
  }

  /** Moves on inside the same array, keeping the origin of positions. */
  public PackReader range(int from, int to) {
    if (from < origin || to < from || to > bytes.length) {
      throw new IllegalArgumentException("range " + from + ".." + to);
    }
    at = from;
    end = to;
    return this;
  }

  public byte[] array() {
    return bytes;
  }

  /** Index into {@link #array()} of the next byte. */
  public int index() {
    return at;
  }

  /** Index into {@link #array()} behind the last byte. */
  public int end() {
    return end;
  }

  public boolean atEnd() {
    return at == end;
  }

  /** Bytes from the origin to the next one. */
  public int position() {
    return at - origin;
  }

  public ProtocolException error(String message) {
    return new ProtocolException(message, position());
  }

  public PackType peek() {
    int b = code();
    if (b < 0x80 || b >= 0xe0) {
      return PackType.INTEGER;
    }
    if (b < 0x90) {
      return PackType.MAP;
    }
    if (b < 0xa0) {
      return PackType.ARRAY;
    }
    if (b < 0xc0) {
      return PackType.TEXT;
    }
    return switch (b) {
      case 0xc0 -> PackType.NIL;
      case 0xc2, 0xc3 -> PackType.BOOLEAN;
      case 0xc4, 0xc5, 0xc6 -> PackType.BYTES;
      case 0xca, 0xcb -> PackType.FLOAT;
      case 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3 -> PackType.INTEGER;
      case 0xd9, 0xda, 0xdb -> PackType.TEXT;
      case 0xdc, 0xdd -> PackType.ARRAY;
      case 0xde, 0xdf -> PackType.MAP;
      case 0xc1 -> throw error("no MessagePack value starts with 0xc1");
      default -> PackType.EXTENSION;
    };
  }

  /** Consumes a nil and says true, or leaves everything and says false. */
  public boolean nextNil() {
    if (code() != 0xc0) {
      return false;
    }
    at++;
    return true;
  }

  public boolean bool() {
    int b = code();
    if (b != 0xc2 && b != 0xc3) {
      throw error("expected a boolean");
    }
    at++;
    return b == 0xc3;
  }

  public long integer() {
    int b = code();
    if (b < 0x80) {
      at++;
      return b;
    }
    if (b >= 0xe0) {
      at++;
      return (byte) b;
    }
    return switch (b) {
      case 0xcc -> number(1) & 0xff;
      case 0xcd -> number(2) & 0xffff;
      case 0xce -> number(4) & 0xffff_ffffL;
      case 0xcf -> unsigned();
      case 0xd0 -> (byte) number(1);
      case 0xd1 -> (short) number(2);
      case 0xd2 -> (int) number(4);
      case 0xd3 -> number(8);
      default -> throw error("expected a whole number");
    };
  }

  private long unsigned() {
    int before = at;
    long value = number(8);
    if (value < 0) {
      at = before;
      throw error("a whole number beyond 64 bits with sign");
    }
    return value;
  }

  public int integer(int min, int max) {
    int before = at;
    long value = integer();
    if (value < min || value > max) {
      at = before;
      throw error("expected a whole number from " + min + " to " + max);
    }
    return (int) value;
  }

  public long nonNegative() {
    int before = at;
    long value = integer();
    if (value < 0) {
      at = before;
      throw error("expected a whole number, not negative");
    }
    return value;
  }

  /** A floating point or whole number as a double. */
  public double float64() {
    int b = code();
    if (b == 0xcb) {
      return Double.longBitsToDouble(number(8));
    }
    if (b == 0xca) {
      return Float.intBitsToFloat((int) number(4));
    }
    if (peek() != PackType.INTEGER) {
      throw error("expected a number");
    }
    return integer();
  }

  /** The length of an array whose items follow; each takes at least one of the bytes left. */
  public int array(int maxLength) {
    int b = code();
    int before = at;
    long length;
    if (b >= 0x90 && b < 0xa0) {
      at++;
      length = b & 0x0f;
    } else if (b == 0xdc) {
      length = number(2) & 0xffff;
    } else if (b == 0xdd) {
      length = number(4) & 0xffff_ffffL;
    } else {
      throw error("expected an array");
    }
    return checkedLength(length, Math.min(maxLength, end - at), before, "array");
  }

  /** The number of entries of a map whose keys and values follow. */
  public int map(int maxEntries) {
    int b = code();
    int before = at;
    long entries;
    if (b >= 0x80 && b < 0x90) {
      at++;
      entries = b & 0x0f;
    } else if (b == 0xde) {
      entries = number(2) & 0xffff;
    } else if (b == 0xdf) {
      entries = number(4) & 0xffff_ffffL;
    } else {
      throw error("expected a map");
    }
    return checkedLength(entries, Math.min(maxEntries, (end - at) / 2), before, "map");
  }

  /**
   * Consumes the head of a text and returns its length in bytes; they start at {@link #index()} and
   * are consumed by {@link #advance}.
   */
  public int textHead(int maxBytes) {
    int b = code();
    int before = at;
    long length;
    if (b >= 0xa0 && b < 0xc0) {
      at++;
      length = b & 0x1f;
    } else if (b == 0xd9) {
      length = number(1) & 0xff;
    } else if (b == 0xda) {
      length = number(2) & 0xffff;
    } else if (b == 0xdb) {
      length = number(4) & 0xffff_ffffL;
    } else {
      throw error("expected a text");
    }
    return checkedLength(length, Math.min(maxBytes, end - at), before, "text");
  }

  /** As {@link #textHead} for binary content. */
  public int bytesHead(int maxBytes) {
    int b = code();
    int before = at;
    long length;
    switch (b) {
      case 0xc4 -> length = number(1) & 0xff;
      case 0xc5 -> length = number(2) & 0xffff;
      case 0xc6 -> length = number(4) & 0xffff_ffffL;
      default -> throw error("expected bytes");
    }
    return checkedLength(length, Math.min(maxBytes, end - at), before, "binary value");
  }

  /** Consumes {@code count} bytes behind a head. */
  public void advance(int count) {
    if (count < 0 || count > end - at) {
      throw error("ends too early");
    }
    at += count;
  }

  public String text(int maxBytes) {
    int length = textHead(maxBytes);
    String text = new String(bytes, at, length, UTF_8);
    at += length;
    return text;
  }

  public @Nullable String textOrNil(int maxBytes) {
    return nextNil() ? null : text(maxBytes);
  }

  public byte[] bytes(int maxBytes) {
    int length = bytesHead(maxBytes);
    byte[] copy = Arrays.copyOfRange(bytes, at, at + length);
    at += length;
    return copy;
  }

  /**
   * Reads a text of decimal digits, as an invocation id of ours is, without making a String of it.
   */
  public int decimalText() {
    int before = at;
    int length = textHead(11);
    long value = 0;
    boolean wellFormed = length > 0 && length <= 10;
    for (int i = 0; wellFormed && i < length; i++) {
      int digit = bytes[at + i] - '0';
      wellFormed = digit >= 0 && digit <= 9;
      value = value * 10 + digit;
    }
    if (!wellFormed || value > Integer.MAX_VALUE) {
      at = before;
      throw error("expected a text of decimal digits below 2^31");
    }
    at += length;
    return (int) value;
  }

  /** Whether the next text equals this ASCII text; consumes nothing. */
  public boolean nextTextIs(byte[] ascii) {
    int before = at;
    int length = textHead(Integer.MAX_VALUE);
    boolean same =
        length == ascii.length && Arrays.equals(bytes, at, at + length, ascii, 0, length);
    at = before;
    return same;
  }

  /** Consumes one value of any kind, however deep, in constant stack. */
  public void skip() {
    long values = 1;
    while (values > 0) {
      values--;
      int b = code();
      if (b < 0x80 || b >= 0xe0) {
        at++;
      } else if (b >= 0xa0 && b < 0xc0) {
        at++;
        advance(b & 0x1f);
      } else {
        values += skipOther(b);
      }
      if (values > end - at) {
        throw error("ends too early");
      }
    }
  }

  private long skipOther(int b) {
    switch (b) {
      case 0xc0, 0xc2, 0xc3 -> at++;
      case 0xcc, 0xd0 -> number(1);
      case 0xcd, 0xd1 -> number(2);
      case 0xca, 0xce, 0xd2 -> number(4);
      case 0xcb, 0xcf, 0xd3 -> number(8);
      case 0xc4, 0xc5, 0xc6 -> advance(bytesHead(Integer.MAX_VALUE));
      case 0xd9, 0xda, 0xdb -> advance(textHead(Integer.MAX_VALUE));
      case 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8 -> {
        int length = extensionHead();
        advance(1);
        advance(length);
      }
      case 0xc1 -> throw error("no MessagePack value starts with 0xc1");
      default -> {
        return b < 0x90 || b == 0xde || b == 0xdf
            ? 2L * map(Integer.MAX_VALUE)
            : array(Integer.MAX_VALUE);
      }
    }
    return 0;
  }

  /**
   * One value as null, Boolean, Long, Double, String, byte[], BigDecimal ({@link
   * PackWriter#EXT_DECIMAL}), List or Map with String keys; nested at most {@link #MAX_DEPTH} deep.
   */
  public @Nullable Object value() {
    return value(0);
  }

  private @Nullable Object value(int depth) {
    if (depth > MAX_DEPTH) {
      throw error("nested deeper than " + MAX_DEPTH);
    }
    return switch (peek()) {
      case NIL -> {
        at++;
        yield null;
      }
      case BOOLEAN -> bool();
      case INTEGER -> integer();
      case FLOAT -> float64();
      case TEXT -> text(Integer.MAX_VALUE);
      case BYTES -> bytes(Integer.MAX_VALUE);
      case EXTENSION -> decimal();
      case ARRAY -> list(depth);
      case MAP -> tree(depth);
    };
  }

  private List<@Nullable Object> list(int depth) {
    int length = array(Integer.MAX_VALUE);
    // Items of one byte each may come as eight-byte references: grow with what is really there.
    List<@Nullable Object> list = new ArrayList<>(Math.min(length, 64));
    for (int i = 0; i < length; i++) {
      list.add(value(depth + 1));
    }
    return list;
  }

  private Map<String, @Nullable Object> tree(int depth) {
    int entries = map(Integer.MAX_VALUE);
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    for (int i = 0; i < entries; i++) {
      String key = text(Integer.MAX_VALUE);
      map.put(key, value(depth + 1));
    }
    return map;
  }

  private BigDecimal decimal() {
    int before = at;
    int length = extensionHead();
    if (end - at < 1 + length
        || bytes[at] != PackWriter.EXT_DECIMAL
        || length > MAX_DECIMAL_DIGITS) {
      at = before;
      throw error("an extension type that is not known here");
    }
    at++;
    char[] digits = new char[length];
    for (int i = 0; i < length; i++) {
      digits[i] = (char) (bytes[at + i] & 0xff);
    }
    at += length;
    try {
      return new BigDecimal(digits);
    } catch (NumberFormatException e) {
      at = before;
      throw error("not a decimal number");
    }
  }

  private int extensionHead() {
    int b = code();
    int before = at;
    long length;
    switch (b) {
      case 0xc7 -> length = number(1) & 0xff;
      case 0xc8 -> length = number(2) & 0xffff;
      case 0xc9 -> length = number(4) & 0xffff_ffffL;
      case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8 -> {
        at++;
        length = 1L << (b - 0xd4);
      }
      default -> throw error("expected an extension");
    }
    return checkedLength(length, end - at, before, "extension");
  }

  private int checkedLength(long length, int max, int start, String what) {
    if (length > max) {
      at = start;
      throw error(
          length > end - start
              ? what + " longer than the message"
              : what + " of " + length + " where " + max + " is the most");
    }
    return (int) length;
  }

  /** Big-endian number behind a code byte; the caller cuts what the width leaves undefined. */
  private long number(int width) {
    if (end - at <= width) {
      throw error("ends too early");
    }
    long value = 0;
    for (int i = 1; i <= width; i++) {
      value = (value << 8) | (bytes[at + i] & 0xff);
    }
    at += 1 + width;
    return value;
  }

  private int code() {
    if (at >= end) {
      throw error("ends too early");
    }
    return bytes[at] & 0xff;
  }
}
