package io.conexor.agent.executor;

import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.rows.RowWriter;
import java.nio.ByteBuffer;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Sends the answer to one call from the worker's own thread: rows in batches, each paid for with
 * credit.
 */
final class Answer {
  private static final int BATCH_BYTES = 64 * 1024;
  private static final int BATCH_ROWS = 1_000;

  /** How long a short last word is tried on a link that is full. */
  private static final long LAST_WORD_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** A row that no message can carry. */
  static final class RowTooLargeException extends Exception {
    private static final long serialVersionUID = 1L;
  }

  /** Writes the values of one row. */
  interface Row {
    void write(RowWriter out) throws SQLException;
  }

  private final Call call;
  private final ResultWriter writer;
  private final long maxBytes;
  private long bytes;
  private int batchRows;
  private boolean truncated;
  private boolean started;
  private boolean finished;

  Answer(Call call, long maxBytes) {
    this.call = call;
    this.writer = new ResultWriter(call.id, AgentWire.MAX_MESSAGE_BYTES);
    this.maxBytes = maxBytes;
  }

  void columns(List<Column> columns) {
    started = true;
    writer.columns(columns);
  }

  /** Adds a row; false when it is beyond the byte limit and was left out. */
  boolean row(Row row) throws SQLException, Call.StoppedException, RowTooLargeException {
    int before = writer.batchBytes();
    try {
      row.write(writer.rows());
    } catch (ProtocolException full) {
      writer.rows().undoRow();
      if (writer.rows().rowCount() == 0) {
        throw new RowTooLargeException();
      }
      flush();
      before = 0;
      try {
        row.write(writer.rows());
      } catch (ProtocolException alone) {
        throw new RowTooLargeException();
      }
    }
    int size = writer.batchBytes() - before;
    if (bytes + size > maxBytes) {
      writer.rows().undoRow();
      truncated = true;
      return false;
    }
    bytes += size;
    batchRows++;
    if (writer.batchBytes() >= BATCH_BYTES || batchRows >= BATCH_ROWS) {
      flush();
    }
    return true;
  }

  /** Whether the end is out. */
  boolean isFinished() {
    return finished;
  }

  /** Whether it is too late to begin anew. */
  boolean isStarted() {
    return started;
  }

  void truncated() {
    truncated = true;
  }

  private void flush() throws Call.StoppedException {
    call.awaitCredit();
    send(writer.takeBatch(), null);
    batchRows = 0;
  }

  /** A full link is waited for; a closed one stops the call. */
  private void send(ByteBuffer message, @Nullable CallEnd end) throws Call.StoppedException {
    while (!call.offer(message, end)) {
      call.pause(TimeUnit.MILLISECONDS.toNanos(2));
    }
  }

  void finish() throws Call.StoppedException {
    if (batchRows > 0) {
      call.awaitCredit();
    }
    call.leave();
    CallEnd end =
        new CallEnd(
            call.id, CallStatus.DONE, writer.rowCount(), truncated, call.elapsedMicros(), null);
    send(writer.finish(end), end);
    finished = true;
  }

  void fail(CallStatus status, CallError error) {
    call.leave();
    CallEnd end =
        new CallEnd(call.id, status, writer.rowCount(), truncated, call.elapsedMicros(), error);
    ByteBuffer message = writer.fail(end);
    long until = System.nanoTime() + LAST_WORD_NANOS;
    while (!call.offer(message, end)
        && call.stopped() != Call.Stop.GONE
        && System.nanoTime() - until < 0) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }
}
