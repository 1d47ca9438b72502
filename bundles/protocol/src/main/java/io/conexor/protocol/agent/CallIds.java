package io.conexor.protocol.agent;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.FrameWriter;
import io.conexor.protocol.msgpack.PackReader;
import io.conexor.protocol.msgpack.PackWriter;
import java.nio.ByteBuffer;

/** Gives answers that were written for one call to another one. */
public final class CallIds {

  /** Length prefix, array, type, no headers, call id. */
  private static final int HEAD = 5 + 3 + 11;

  private CallIds() {}

  /**
   * The same stream items and completions for another call.
   *
   * @param messages as {@link ResultWriter} made them, length prefixes included
   */
  public static ByteBuffer replaced(ByteBuffer messages, int callId) {
    FrameReader frame =
        new FrameReader()
            .reset(
                messages.array(),
                messages.arrayOffset() + messages.position(),
                messages.remaining());
    int capacity = messages.remaining() + 2 * HEAD;
    GrowingBytes out = new GrowingBytes(capacity, capacity);
    while (frame.next()) {
      PackReader body = frame.body();
      body.decimalText();
      int rest = body.index();
      int length = frame.end() - rest;
      FrameWriter writer = new FrameWriter(out);
      PackWriter pack = writer.beginWithoutHeaders(frame.type(), frame.items() + 1);
      pack.decimalText(callId);
      out.put(messages.array(), rest, length);
      writer.end();
    }
    return out.toByteBuffer();
  }
}
