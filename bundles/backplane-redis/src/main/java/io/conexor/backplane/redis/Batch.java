package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Some events of one writer that were appended together: one entry of the stream, or one ring of
 * the bell.
 *
 * @param previous the {@link #chain} of the batch before it in the stream, "" for the first
 * @param first the offset of its first event
 * @param last the offset of its last event
 * @param body the events; empty when the bell rang without them
 */
record Batch(
    String epoch,
    long first,
    long last,
    String previous,
    NodeId writer,
    long sequence,
    byte[] body) {

  private static final int RING_FIELDS = 7;

  /**
   * Stands for this batch and all before it in the stream: SHA-1 over the chain before it and its
   * own name. Two streams that end with the same batch differ in it if anything differs before. It
   * is no secret; {@link Scripts#APPEND} makes the same.
   */
  String chain() {
    String link = previous + "/" + epoch + "/" + writer + ":" + sequence;
    try {
      byte[] digest = MessageDigest.getInstance("SHA-1").digest(link.getBytes(UTF_8));
      return HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has it
    }
  }

  /** From the fields of an entry as the scripts answer them, six per batch. */
  static Batch ofEntry(List<?> fields, int at) {
    String id = text(fields.get(at + 4));
    int colon = id.lastIndexOf(':');
    return new Batch(
        text(fields.get(at)),
        Long.parseLong(text(fields.get(at + 1))),
        Long.parseLong(text(fields.get(at + 2))),
        text(fields.get(at + 3)),
        new NodeId(id.substring(0, colon)),
        Long.parseLong(id.substring(colon + 1)),
        (byte[]) fields.get(at + 5));
  }

  static final int ENTRY_FIELDS = 6;

  /** What the bell said: {@code topic\n epoch\n first\n last\n previous\n id\n flag\n body}. */
  record Ring(Topic topic, Batch batch, boolean complete) {
    static Topic topicOf(byte[] message) {
      int end = 0;
      while (message[end] != '\n') {
        end++;
      }
      return new Topic(new String(message, 0, end, UTF_8));
    }

    static Ring parse(byte[] message) {
      String[] fields = new String[RING_FIELDS];
      int start = 0;
      for (int f = 0; f < RING_FIELDS; f++) {
        int end = start;
        while (message[end] != '\n') {
          end++;
        }
        fields[f] = new String(message, start, end - start, UTF_8);
        start = end + 1;
      }
      byte[] body = Arrays.copyOfRange(message, start, message.length);
      int colon = fields[5].lastIndexOf(':');
      Batch batch =
          new Batch(
              fields[1],
              Long.parseLong(fields[2]),
              Long.parseLong(fields[3]),
              fields[4],
              new NodeId(fields[5].substring(0, colon)),
              Long.parseLong(fields[5].substring(colon + 1)),
              body);
      return new Ring(new Topic(fields[0]), batch, fields[6].equals("1"));
    }
  }

  /** The events after an offset. */
  List<Event> events(Topic topic, int partition, long after) {
    ByteBuffer in = ByteBuffer.wrap(body);
    List<Event> events = new ArrayList<>();
    for (long offset = first; offset <= last; offset++) {
      byte[] key = new byte[in.getShort() & 0xffff];
      in.get(key);
      byte[] payload = new byte[in.getInt()];
      in.get(payload);
      if (offset > after) {
        events.add(
            new Event(
                topic,
                new String(key, UTF_8),
                writer,
                new Position(epoch, partition, offset),
                payload));
      }
    }
    return events;
  }

  /** The body of a batch. */
  static byte[] encode(List<byte[]> keys, List<byte[]> payloads) {
    int size = 0;
    for (int i = 0; i < keys.size(); i++) {
      size += 6 + keys.get(i).length + payloads.get(i).length;
    }
    ByteBuffer out = ByteBuffer.allocate(size);
    for (int i = 0; i < keys.size(); i++) {
      out.putShort((short) keys.get(i).length).put(keys.get(i));
      out.putInt(payloads.get(i).length).put(payloads.get(i));
    }
    return out.array();
  }

  static String text(Object value) {
    return value instanceof byte[] raw ? new String(raw, UTF_8) : String.valueOf(value);
  }
}
