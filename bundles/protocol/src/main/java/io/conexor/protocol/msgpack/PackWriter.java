package io.conexor.protocol.msgpack;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes MessagePack into a {@link GrowingBytes}, each value in its shortest form. */
public final class PackWriter {
  /** Extension type of an exact decimal number: its plain decimal digits in ASCII. */
  public static final int EXT_DECIMAL = 1;

  private static final int MAX_DEPTH = 32;

  private final GrowingBytes out;

  public PackWriter(GrowingBytes out) {
    this.out = out;
  }

  public GrowingBytes out() {
    return out;
  }

  public void nil() {
    out.put(0xc0);
  }

  public void bool(boolean value) {
    out.put(value ? 0xc3 : 0xc2);
  }

  public void integer(long value) {
    if (value >= -32 && value < 128) {
      out.put((int) value);
    } else if (value >= 0) {
      if (value <= 0xff) {
        head(0xcc, 1, value);
      } else if (value <= 0xffff) {
        head(0xcd, 2, value);
      } else if (value <= 0xffff_ffffL) {
        head(0xce, 4, value);
      } else {
        head(0xcf, 8, value);
      }
    } else if (value >= Byte.MIN_VALUE) {
      head(0xd0, 1, value);
    } else if (value >= Short.MIN_VALUE) {
      head(0xd1, 2, value);
    } else if (value >= Integer.MIN_VALUE) {
      head(0xd2, 4, value);
    } else {
      head(0xd3, 8, value);
    }
  }

  public void float64(double value) {
    head(0xcb, 8, Double.doubleToRawLongBits(value));
  }

  public void array(int length) {
    if (length < 16) {
      out.put(0x90 | length);
    } else if (length <= 0xffff) {
      head(0xdc, 2, length);
    } else {
      head(0xdd, 4, length);
    }
  }

  public void map(int entries) {
    if (entries < 16) {
      out.put(0x80 | entries);
    } else if (entries <= 0xffff) {
      head(0xde, 2, entries);
    } else {
      head(0xdf, 4, entries);
    }
  }

  /**
   * Text as a MessagePack string; encodes it in place, without a copy of its own for short text.
   */
  public void text(String value) {
    int guess = textHead(value.length());
    int start = out.reserve(guess);
    int length;
    try {
      length = out.putUtf8(value);
    } catch (ProtocolException e) {
      out.truncate(start);
      throw e;
    }
    int needed = textHead(length);
    if (needed != guess) {
      out.reserve(needed - guess);
      System.arraycopy(out.array(), start + guess, out.array(), start + needed, length);
    }
    putTextHead(out.array(), start, length);
  }

  /** Text which is known to be UTF-8 already. */
  public void text(byte[] utf8, int offset, int length) {
    putTextHead(out, length);
    out.put(utf8, offset, length);
  }

  public void textOrNil(@Nullable String value) {
    if (value == null) {
      nil();
    } else {
      text(value);
    }
  }

  /** The decimal digits of {@code value} as a string. */
  public void decimalText(long value) {
    int start = out.reserve(1); // at most 20 characters: always the one-byte head
    out.putDecimal(value);
    out.array()[start] = (byte) (0xa0 | (out.size() - start - 1));
  }

  public void bytes(byte[] value) {
    bytes(value, 0, value.length);
  }

  public void bytes(byte[] value, int offset, int length) {
    if (length <= 0xff) {
      head(0xc4, 1, length);
    } else if (length <= 0xffff) {
      head(0xc5, 2, length);
    } else {
      head(0xc6, 4, length);
    }
    out.put(value, offset, length);
  }

  /**
   * A value of one of: null, Boolean, Byte, Short, Integer, Long, Float, Double, BigInteger,
   * BigDecimal, String, byte[], List, Map with String keys; nested at most 32 deep.
   *
   * @throws IllegalArgumentException if it is of another type
   */
  public void value(@Nullable Object value) {
    value(value, 0);
  }

  private void value(@Nullable Object value, int depth) {
    if (depth > MAX_DEPTH) {
      throw new ProtocolException("nested deeper than " + MAX_DEPTH, out.size());
    }
    if (value == null) {
      nil();
    } else if (value instanceof String s) {
      text(s);
    } else if (value instanceof Long
        || value instanceof Integer
        || value instanceof Short
        || value instanceof Byte) {
      integer(((Number) value).longValue());
    } else if (value instanceof Boolean b) {
      bool(b);
    } else if (value instanceof Double || value instanceof Float) {
      float64(((Number) value).doubleValue());
    } else if (value instanceof BigDecimal d) {
      decimal(d);
    } else if (value instanceof BigInteger i) {
      decimal(new BigDecimal(i));
    } else if (value instanceof byte[] b) {
      bytes(b);
    } else if (value instanceof List<?> list) {
      array(list.size());
      for (Object item : list) {
        value(item, depth + 1);
      }
    } else if (value instanceof Map<?, ?> map) {
      map(map.size());
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        if (!(entry.getKey() instanceof String key)) {
          throw new IllegalArgumentException("a map key must be a String");
        }
        text(key);
        value(entry.getValue(), depth + 1);
      }
    } else {
      throw new IllegalArgumentException("no MessagePack form for " + value.getClass().getName());
    }
  }

  private void decimal(BigDecimal value) {
    // 1E+1000000000 in plain digits would be a gigabyte: such a number keeps its exponent.
    boolean plain = Math.abs((long) value.scale()) <= 4096;
    String digits = plain ? value.toPlainString() : value.toString();
    int length = digits.length();
    if (length <= 16 && Integer.bitCount(length) == 1) {
      out.put(0xd4 + Integer.numberOfTrailingZeros(length));
    } else if (length <= 0xff) {
      head(0xc7, 1, length);
    } else if (length <= 0xffff) {
      head(0xc8, 2, length);
    } else {
      head(0xc9, 4, length);
    }
    out.put(EXT_DECIMAL);
    out.putAscii(digits);
  }

  private void head(int code, int width, long value) {
    int at = out.reserve(1 + width);
    byte[] bytes = out.array();
    bytes[at] = (byte) code;
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
      bytes[++at] = (byte) (value >>> shift);
    }
  }

  private static int textHead(int length) {
    return length < 32 ? 1 : length <= 0xff ? 2 : length <= 0xffff ? 3 : 5;
  }

  private static void putTextHead(GrowingBytes out, int length) {
    int start = out.reserve(textHead(length));
    putTextHead(out.array(), start, length);
  }

  private static void putTextHead(byte[] bytes, int at, int length) {
    switch (textHead(length)) {
      case 1 -> bytes[at] = (byte) (0xa0 | length);
      case 2 -> {
        bytes[at] = (byte) 0xd9;
        bytes[at + 1] = (byte) length;
      }
      case 3 -> {
        bytes[at] = (byte) 0xda;
        bytes[at + 1] = (byte) (length >>> 8);
        bytes[at + 2] = (byte) length;
      }
      default -> {
        bytes[at] = (byte) 0xdb;
        bytes[at + 1] = (byte) (length >>> 24);
        bytes[at + 2] = (byte) (length >>> 16);
        bytes[at + 3] = (byte) (length >>> 8);
        bytes[at + 4] = (byte) length;
      }
    }
  }
}
