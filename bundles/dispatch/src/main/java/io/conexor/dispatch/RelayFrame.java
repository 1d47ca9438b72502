package io.conexor.dispatch;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.agent.LinkId;
import io.conexor.api.backplane.Backplane;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;

/**
 * What backends say to each other about calls: {@code [type][length of the body][body]}, one or
 * more in a message. A type that is not known is skipped.
 */
final class RelayFrame {

  /** id, link, 1 = more follows, part of the agent's message that starts the call. */
  static final byte OPEN = 1;

  /** id, batches allowed in all. */
  static final byte GRANT = 2;

  /** id. */
  static final byte CANCEL = 3;

  /** The calls under way at the receiver: id and batches allowed in all, repeated. */
  static final byte PING = 4;

  /** For each call of a ping: id and how many frames were sent for it, -1 = not known. */
  static final byte PONG = 5;

  /** id, number of this frame, 1 = more follows, part of an agent's message. */
  static final byte DATA = 6;

  /** id, number of this frame, 1 = may have run, why. The call will hear nothing more. */
  static final byte LOST = 7;

  /**
   * id, query id, milliseconds. The agent shall go on and keep the result for so long; nobody
   * listens here any more.
   */
  static final byte DETACH = 8;

  static final int HEAD = 5;

  /** Most bytes of an agent's message in one frame. */
  static final int PART_BYTES = Backplane.MAX_PAYLOAD / 2;

  private static final int MAX_REASON = 200;

  /** A call in a ping or pong. */
  record Entry(int id, int count) {}

  private RelayFrame() {}

  static byte[] open(int id, LinkId link, boolean more, byte[] bytes, int offset, int length) {
    byte[] frame = new byte[HEAD + 13 + length];
    body(frame, OPEN)
        .putInt(id)
        .putLong(link.value())
        .put((byte) (more ? 1 : 0))
        .put(bytes, offset, length);
    return frame;
  }

  static byte[] grant(int id, int total) {
    byte[] frame = new byte[HEAD + 8];
    body(frame, GRANT).putInt(id).putInt(total);
    return frame;
  }

  static byte[] detach(int id, UUID queryId, int keepMillis) {
    byte[] frame = new byte[HEAD + 24];
    body(frame, DETACH)
        .putInt(id)
        .putLong(queryId.getMostSignificantBits())
        .putLong(queryId.getLeastSignificantBits())
        .putInt(keepMillis);
    return frame;
  }

  static byte[] cancel(int id) {
    byte[] frame = new byte[HEAD + 4];
    body(frame, CANCEL).putInt(id);
    return frame;
  }

  static byte[] list(byte type, List<Entry> entries) {
    byte[] frame = new byte[HEAD + 8 * entries.size()];
    ByteBuffer body = body(frame, type);
    entries.forEach(e -> body.putInt(e.id()).putInt(e.count()));
    return frame;
  }

  static byte[] data(int id, int number, boolean more, byte[] bytes, int offset, int length) {
    byte[] frame = new byte[HEAD + 9 + length];
    body(frame, DATA)
        .putInt(id)
        .putInt(number)
        .put((byte) (more ? 1 : 0))
        .put(bytes, offset, length);
    return frame;
  }

  static byte[] lost(int id, int number, Applied applied, String reason) {
    String cut = reason.length() > MAX_REASON ? reason.substring(0, MAX_REASON) : reason;
    byte[] text = cut.getBytes(StandardCharsets.UTF_8);
    byte[] frame = new byte[HEAD + 9 + text.length];
    body(frame, LOST)
        .putInt(id)
        .putInt(number)
        .put((byte) (applied == Applied.NO ? 0 : 1))
        .put(text);
    return frame;
  }

  private static ByteBuffer body(byte[] frame, byte type) {
    return ByteBuffer.wrap(frame).put(type).putInt(frame.length - HEAD);
  }
}
