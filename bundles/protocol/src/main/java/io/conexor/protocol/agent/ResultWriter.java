package io.conexor.protocol.agent;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.hub.FrameWriter;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.msgpack.PackWriter;
import io.conexor.protocol.rows.RowWriter;
import java.nio.ByteBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Writes the answer to one call: rows in place behind room for their head, so a batch is never
 * copied. Each buffer that is handed out belongs to the caller; the next batch starts a new one.
 * Belongs to one thread at a time.
 *
 * <p>Use: {@link #columns} once, then {@link #rows()} until {@link #batchBytes()} is large enough,
 * then {@link #takeBatch()}; at the end {@link #finish}, which sends what is left of the rows
 * together with the completion.
 */
public final class ResultWriter {
  /** Length prefix (5), array of 4 (1), type (1), no headers (1), call id (11), item array (1). */
  private static final int HEAD_ROOM = 20;

  /** Row count and length of the rows, both as 32 bits. */
  private static final int ROWS_HEAD = 10;

  private static final int SMALL = 256;

  private final int callId;
  private final int maxBytes;
  private @Nullable List<Column> columns;
  private boolean columnsSent;
  private int initialCapacity = SMALL;
  private GrowingBytes out;
  private RowWriter rows;
  private int rowsStart;
  private long rowsTaken;

  /**
   * @param maxBytes most bytes one message may take, the completion included
   */
  public ResultWriter(int callId, int maxBytes) {
    this.callId = callId;
    this.maxBytes = maxBytes;
    this.out = new GrowingBytes(0, maxBytes);
    this.rows = new RowWriter(out);
  }

  /** Says what the rows hold; once, before the first row. */
  public void columns(List<Column> newColumns) {
    if (columns != null) {
      throw new IllegalStateException("the columns are known already");
    }
    columns = newColumns;
    begin();
  }

  /** Where to write rows; valid until the next {@link #takeBatch()}. */
  public RowWriter rows() {
    if (columns == null) {
      throw new IllegalStateException("columns first");
    }
    return rows;
  }

  /** Rows handed out so far and not yet handed out. */
  public long rowCount() {
    return rowsTaken + rows.rowCount();
  }

  /** Bytes of rows waiting to be taken. */
  public int batchBytes() {
    return columns == null ? 0 : out.size() - rowsStart;
  }

  /** The rows so far, and the columns if they were not yet sent, as one message. */
  public ByteBuffer takeBatch() {
    ByteBuffer batch = endBatch();
    rowsTaken += rows.rowCount();
    columnsSent = true;
    // The next batch will likely be as large as this one.
    initialCapacity = Math.min(maxBytes, Math.max(SMALL, batch.limit()));
    begin();
    return batch;
  }

  /**
   * The last message: rows that are left, columns not yet sent, and the completion.
   *
   * @param end its call id and row count have to be those of this writer
   */
  public ByteBuffer finish(CallEnd end) {
    int start = 0;
    if (columns != null && (!columnsSent || rows.rowCount() > 0)) {
      start = endBatch().position();
    } else {
      out = new GrowingBytes(64, maxBytes);
    }
    new AgentEncoder(out).message(end);
    return ByteBuffer.wrap(out.array(), start, out.size() - start);
  }

  /**
   * The completion alone; throws away rows that were not taken. For a call that failed or was
   * cancelled.
   */
  public ByteBuffer fail(CallEnd end) {
    GrowingBytes alone = new GrowingBytes(64, maxBytes);
    new AgentEncoder(alone).message(end);
    return alone.toByteBuffer();
  }

  private void begin() {
    out = new GrowingBytes(initialCapacity, maxBytes);
    rows = new RowWriter(out);
    out.reserve(HEAD_ROOM);
    PackWriter pack = new PackWriter(out);
    List<Column> toSend = columns;
    if (toSend == null || columnsSent) {
      pack.nil();
    } else {
      AgentEncoder.columns(pack, toSend);
    }
    rowsStart = out.reserve(ROWS_HEAD) + ROWS_HEAD;
  }

  /** Fills in the heads, and returns the message as a view of the buffer. */
  private ByteBuffer endBatch() {
    byte[] bytes = out.array();
    int rowsLength = out.size() - rowsStart;
    bytes[rowsStart - 10] = (byte) 0xce;
    putInt(bytes, rowsStart - 9, rows.rowCount());
    bytes[rowsStart - 5] = (byte) 0xc6;
    putInt(bytes, rowsStart - 4, rowsLength);

    int at = HEAD_ROOM - 1;
    bytes[at] = (byte) 0x93;
    int rest = callId;
    int digits = 0;
    do {
      bytes[--at] = (byte) ('0' + rest % 10);
      rest /= 10;
      digits++;
    } while (rest > 0);
    bytes[--at] = (byte) (0xa0 | digits);
    bytes[--at] = (byte) 0x80;
    bytes[--at] = HubMessage.STREAM_ITEM;
    bytes[--at] = (byte) 0x94;
    int length = out.size() - at;
    at -= FrameWriter.prefixLength(length);
    FrameWriter.putPrefix(bytes, at, length);
    return ByteBuffer.wrap(bytes, at, out.size() - at);
  }

  private static void putInt(byte[] bytes, int at, int value) {
    bytes[at] = (byte) (value >>> 24);
    bytes[at + 1] = (byte) (value >>> 16);
    bytes[at + 2] = (byte) (value >>> 8);
    bytes[at + 3] = (byte) value;
  }
}
