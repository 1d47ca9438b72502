package io.conexor.protocol.hub;

import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.msgpack.PackReader;
import java.nio.ByteBuffer;

/**
 * Walks over the hub messages in one binary transport message without decoding them: {@code [VarInt
 * length][message]}, repeated. Reusable; belongs to one thread at a time.
 *
 * <p>After {@link #next} the {@link #body()} stands behind the headers, so what comes next depends
 * on {@link #type()} alone.
 */
public final class FrameReader {
  /** Most items a hub message may have at its outermost level. */
  private static final int MAX_ITEMS = 16;

  private final PackReader body = new PackReader();
  private byte[] bytes = new byte[0];
  private int origin;
  private int limit;
  private int messageStart;
  private int frameEnd;
  private int type;
  private int items;
  private int headersStart;

  public FrameReader reset(byte[] newBytes, int offset, int length) {
    body.reset(newBytes, offset, length);
    bytes = newBytes;
    origin = offset;
    limit = offset + length;
    messageStart = offset;
    frameEnd = offset;
    type = 0;
    return this;
  }

  /** Stands on the one message these bytes hold, which has no length prefix. */
  public FrameReader message(byte[] newBytes, int offset, int length) {
    reset(newBytes, offset, length);
    open(offset, limit);
    return this;
  }

  /** As {@link #message(byte[], int, int)} for what remains in a buffer with an array behind it. */
  public FrameReader message(ByteBuffer buffer) {
    return message(buffer.array(), buffer.arrayOffset() + buffer.position(), buffer.remaining());
  }

  /** Moves to the next message, if there is one, and reads its type. */
  public boolean next() {
    if (frameEnd == limit) {
      return false;
    }
    int at = frameEnd;
    long length = 0;
    for (int shift = 0; ; shift += 7) {
      if (at == limit) {
        throw new ProtocolException("a length prefix ends too early", at - origin);
      }
      int b = bytes[at++];
      length |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        break;
      }
      if (shift == 28) {
        throw new ProtocolException("a length prefix of more than five bytes", at - origin);
      }
    }
    if (length == 0 || length > limit - at) {
      throw new ProtocolException(
          length == 0 ? "an empty hub message" : "a hub message longer than its transport message",
          at - origin);
    }
    open(at, at + (int) length);
    return true;
  }

  private void open(int from, int to) {
    messageStart = from;
    frameEnd = to;
    body.range(from, to);
    items = body.array(MAX_ITEMS) - 1;
    if (items < 0) {
      throw body.error("a hub message without a type");
    }
    type = body.integer(0, Integer.MAX_VALUE);
    if (type >= HubMessage.INVOCATION && type <= HubMessage.CANCEL_INVOCATION) {
      need(2);
      headersStart = body.index();
      skipHeaders();
    }
  }

  /** The message's type, of {@link HubMessage}'s constants, or one that is not known there. */
  public int type() {
    return type;
  }

  /** Items behind the type, headers included where the type has them. */
  public int items() {
    return items;
  }

  /** Refuses the message unless it has at least {@code count} items behind its type. */
  public void need(int count) {
    if (items < count) {
      throw body.error(
          "a hub message of type " + type + " with " + items + " instead of " + count + " items");
    }
  }

  /** The rest of the message; its end is the message's end. */
  public PackReader body() {
    return body;
  }

  /** Where the headers of a message of type 1 to 5 start. */
  int headersStart() {
    return headersStart;
  }

  /** Where the message starts, its length prefix left out. */
  public int start() {
    return messageStart;
  }

  /** Where the message ends. */
  public int end() {
    return frameEnd;
  }

  private void skipHeaders() {
    if (body.nextNil()) {
      return;
    }
    int entries = body.map(64);
    for (int i = 0; i < 2 * entries; i++) {
      body.advance(body.textHead(4_096));
    }
  }
}
