package io.conexor.protocol;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A byte array that grows up to a limit, with its content open to look at and to patch.
 *
 * <p>Growing past the limit is a {@link ProtocolException}; the content up to {@link #size()} stays
 * as it was.
 */
public final class GrowingBytes {
  private static final int SHORT = 512; // beyond it the JDK's own encoder wins over a loop of ours

  private final int maxSize;
  private byte[] bytes;
  private int size;

  /**
   * @param initialCapacity room made at once; 0 makes it lazy
   * @param maxSize most bytes it may ever hold
   */
  public GrowingBytes(int initialCapacity, int maxSize) {
    if (initialCapacity < 0 || maxSize < initialCapacity) {
      throw new IllegalArgumentException("capacity " + initialCapacity + ", limit " + maxSize);
    }
    this.maxSize = maxSize;
    this.bytes = new byte[initialCapacity];
  }

  /** The array behind it, valid until the next call that adds something. */
  public byte[] array() {
    return bytes;
  }

  public int size() {
    return size;
  }

  public int maxSize() {
    return maxSize;
  }

  public boolean isEmpty() {
    return size == 0;
  }

  public void clear() {
    size = 0;
  }

  /** Forgets everything behind {@code newSize}. */
  public void truncate(int newSize) {
    if (newSize < 0 || newSize > size) {
      throw new IllegalArgumentException("truncate " + size + " to " + newSize);
    }
    size = newSize;
  }

  /** Makes room for {@code count} bytes, counts them as written and returns where they start. */
  public int reserve(int count) {
    int start = size;
    ensure(count);
    size = start + count;
    return start;
  }

  /**
   * Makes sure that {@code count} more bytes fit into {@link #array()} without growing it again.
   */
  public void ensure(int count) {
    int free = bytes.length - size;
    if (count <= free) {
      return;
    }
    if (count < 0 || count > maxSize - size) {
      throw new ProtocolException("more than the limit of " + maxSize + " bytes", size);
    }
    long doubled = Math.max(64L, 2L * bytes.length);
    bytes = Arrays.copyOf(bytes, (int) Math.min(maxSize, Math.max(doubled, (long) size + count)));
  }

  public void put(int b) {
    if (size == bytes.length) {
      ensure(1);
    }
    bytes[size++] = (byte) b;
  }

  public void put(byte[] source) {
    put(source, 0, source.length);
  }

  public void put(byte[] source, int offset, int length) {
    ensure(length);
    System.arraycopy(source, offset, bytes, size, length);
    size += length;
  }

  /** Adds what remains in {@code source}, which is left at its limit. */
  public void put(ByteBuffer source) {
    int length = source.remaining();
    ensure(length);
    source.get(bytes, size, length);
    size += length;
  }

  /** Adds the low byte of each character; for text known to be ASCII. */
  @SuppressWarnings(
      "deprecation") // getBytes(int, int, byte[], int) copies low bytes, which is what ASCII needs
  public void putAscii(String text) {
    int length = text.length();
    ensure(length);
    text.getBytes(0, length, bytes, size);
    size += length;
  }

  /** Adds the decimal digits of {@code value}. */
  public void putDecimal(long value) {
    if (value == Long.MIN_VALUE) {
      putAscii("-9223372036854775808");
      return;
    }
    ensure(20);
    long rest = value;
    if (rest < 0) {
      bytes[size++] = '-';
      rest = -rest;
    }
    int digits = 1;
    for (long limit = 10; digits < 19 && rest >= limit; limit *= 10) {
      digits++;
    }
    for (int at = size + digits - 1; at >= size; at--) {
      bytes[at] = (byte) ('0' + rest % 10);
      rest /= 10;
    }
    size += digits;
  }

  /**
   * Adds {@code text} as UTF-8; a lone surrogate becomes {@code ?}. Returns how many bytes were
   * added.
   */
  public int putUtf8(String text) {
    int length = text.length();
    if (length > SHORT) {
      byte[] encoded = text.getBytes(UTF_8);
      put(encoded);
      return encoded.length;
    }
    int start = size;
    ensure(length);
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      if (c >= 0x80) {
        byte[] rest = text.substring(i).getBytes(UTF_8);
        try {
          put(rest);
        } catch (ProtocolException e) {
          size = start;
          throw e;
        }
        return size - start;
      }
      bytes[size++] = (byte) c;
    }
    return length;
  }

  /** A view of the content for writing it to a socket; valid until something is added. */
  public ByteBuffer toByteBuffer() {
    return ByteBuffer.wrap(bytes, 0, size);
  }

  /** A copy of the content. */
  public byte[] toByteArray() {
    return Arrays.copyOf(bytes, size);
  }
}
