package io.conexor.protocol.hub;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.msgpack.PackWriter;
import org.jspecify.annotations.Nullable;

/**
 * Writes binary hub messages in place: {@link #begin}, the items through {@link #pack()}, {@link
 * #end}. Belongs to one thread at a time.
 */
public final class FrameWriter {
  private static final byte[] PING = {2, (byte) 0x91, 0x06};

  private final GrowingBytes out;
  private final PackWriter pack;
  private int start = -1;

  public FrameWriter(GrowingBytes out) {
    this.out = out;
    this.pack = new PackWriter(out);
  }

  public GrowingBytes out() {
    return out;
  }

  public PackWriter pack() {
    return pack;
  }

  /** Starts a message of {@code items} items, type included. */
  public PackWriter begin(int type, int items) {
    if (start >= 0) {
      throw new IllegalStateException("the message before was not ended");
    }
    start = out.reserve(1);
    pack.array(items);
    pack.integer(type);
    return pack;
  }

  /** As {@link #begin} for types 1 to 5, with no headers. */
  public PackWriter beginWithoutHeaders(int type, int items) {
    begin(type, items);
    pack.map(0);
    return pack;
  }

  /**
   * Starts an invocation up to and including the head of its arguments, which the caller writes.
   */
  public PackWriter beginInvocation(String target, int arguments) {
    beginWithoutHeaders(HubMessage.INVOCATION, 6);
    pack.nil();
    pack.text(target);
    pack.array(arguments);
    return pack;
  }

  /** Ends an invocation of either kind behind its arguments. */
  public void endInvocation() {
    pack.array(0);
    end();
  }

  /** Ends the message and puts its length in front. */
  public void end() {
    if (start < 0) {
      throw new IllegalStateException("no message was begun");
    }
    int length = out.size() - start - 1;
    int prefix = prefixLength(length);
    if (prefix > 1) {
      out.reserve(prefix - 1);
      System.arraycopy(out.array(), start + 1, out.array(), start + prefix, length);
    }
    putPrefix(out.array(), start, length);
    start = -1;
  }

  /** Throws away what was written since {@link #begin}, if anything. */
  public void abort() {
    if (start >= 0) {
      out.truncate(start);
      start = -1;
    }
  }

  public void ping() {
    out.put(PING);
  }

  public void close(@Nullable String error, boolean allowReconnect) {
    begin(HubMessage.CLOSE, 3);
    pack.textOrNil(error);
    pack.bool(allowReconnect);
    end();
  }

  /** How many bytes the length prefix of a message of {@code length} bytes takes. */
  public static int prefixLength(int length) {
    return length < 1 << 7
        ? 1
        : length < 1 << 14 ? 2 : length < 1 << 21 ? 3 : length < 1 << 28 ? 4 : 5;
  }

  /** Writes the length prefix at {@code at}. */
  public static void putPrefix(byte[] bytes, int at, int length) {
    int rest = length;
    int to = at;
    while (rest >= 0x80) {
      bytes[to++] = (byte) (0x80 | (rest & 0x7f));
      rest >>>= 7;
    }
    bytes[to] = (byte) rest;
  }
}
