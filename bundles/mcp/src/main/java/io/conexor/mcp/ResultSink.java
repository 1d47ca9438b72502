package io.conexor.mcp;

import io.conexor.api.ConexorException;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonWriter;
import io.conexor.protocol.rows.RowJson;
import io.conexor.protocol.rows.RowReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Turns rows into the JSON of a tool result as they come in, on the thread that brings them. */
final class ResultSink implements RowSink {

  /** Hears how it ended. */
  interface End {
    void done(ResultSink sink, QuerySummary summary);

    void failed(ConexorException cause);
  }

  private final GrowingBytes out;
  private final End end;
  private final RowReader reader = new RowReader();
  private @Nullable RowJson json;
  private final List<String> key;
  private int[] keyColumns = new int[0];
  private long toSkip;
  private byte @Nullable [] lastRow;

  /** Written by the thread that brings rows, read for the progress too. */
  private volatile long rows;

  private long bytes;
  private int owed;
  private @Nullable AgentCall call;
  private boolean over;

  /**
   * A sink.
   *
   * @param toSkip rows at the beginning that are not wanted
   * @param key columns that {@link #lastKey} is about
   */
  ResultSink(int maxBytes, long toSkip, List<String> key, End end) {
    this.out = new GrowingBytes(512, maxBytes);
    this.toSkip = toSkip;
    this.key = key;
    this.end = end;
  }

  /** Tells the call; batches that came before are asked for now. */
  synchronized void started(AgentCall started) {
    call = started;
    if (owed > 0 && !over) {
      started.request(owed);
    }
    owed = 0;
  }

  /** What brings the rows; null before it is known. */
  synchronized @Nullable AgentCall call() {
    return call;
  }

  void cancel(String reason) {
    AgentCall started;
    synchronized (this) {
      started = call;
    }
    if (started != null) {
      started.cancel(reason);
    }
  }

  long rows() {
    return rows;
  }

  /** All that came, what was skipped included. */
  long bytes() {
    return bytes;
  }

  /** The key of the last row; null when there is none, or with a gap in it. */
  @Nullable List<@Nullable Object> lastKey() {
    byte[] row = lastRow;
    if (row == null || keyColumns.length != key.size()) {
      return null;
    }
    RowReader last = new RowReader(row, 0, row.length);
    last.nextRow();
    List<@Nullable Object> values = new ArrayList<>();
    while (last.valuesLeft() > 0) {
      values.add(last.value());
    }
    List<@Nullable Object> found = new ArrayList<>();
    for (int column : keyColumns) {
      found.add(values.get(column));
    }
    return found.contains(null) ? null : found;
  }

  @Override
  public void batch(RowBatch batch) {
    if (over) {
      return;
    }
    try {
      RowJson writer = json;
      if (writer == null) {
        writer = begin(batch.columns());
      }
      bytes += batch.length();
      reader.reset(batch.data(), batch.offset(), batch.length());
      long count = rows;
      int last = 0;
      while (reader.nextRow()) {
        if (toSkip > 0) {
          toSkip--;
          continue;
        }
        if (count++ > 0) {
          out.put(',');
        }
        last = reader.rowStart();
        writer.object(reader, out);
      }
      if (keyColumns.length > 0 && count > rows) {
        int from = batch.offset() + last;
        lastRow = Arrays.copyOfRange(batch.data(), from, batch.offset() + batch.length());
      }
      rows = count;
    } catch (ProtocolException e) {
      over = true;
      cancel("the result can't be passed on");
      end.failed(
          new ConexorException(
              ConexorException.Blame.CALLER,
              ConexorException.Applied.UNKNOWN,
              "result_too_large",
              "the result is too large for one answer; ask for fewer rows or columns",
              e));
      return;
    }
    synchronized (this) {
      if (call == null) {
        owed++;
      } else {
        call.request(1);
      }
    }
  }

  private RowJson begin(List<Column> columns) {
    boolean[] isJson = new boolean[columns.size()];
    List<String> names = RowJson.uniqueNames(columns.stream().map(Column::name).toList());
    out.putAscii("{\"columns\":[");
    for (int i = 0; i < columns.size(); i++) {
      Column column = columns.get(i);
      isJson[i] =
          column.type() == ColumnType.JSON
              || column.elementType().filter(t -> t == ColumnType.JSON).isPresent();
      out.putAscii(i == 0 ? "{\"name\":" : ",{\"name\":");
      JsonWriter.text(out, names.get(i));
      out.putAscii(",\"type\":\"" + column.type() + "\"}");
    }
    out.putAscii("],\"rows\":[");
    keyColumns = key.stream().mapToInt(names::indexOf).filter(i -> i >= 0).toArray();
    RowJson made = new RowJson(names, isJson);
    json = made;
    return made;
  }

  @Override
  public void done(QuerySummary summary) {
    if (!over) {
      over = true;
      end.done(this, summary);
    }
  }

  @Override
  public void failed(ConexorException cause) {
    if (!over) {
      over = true;
      end.failed(cause);
    }
  }

  /** Closes the object. */
  GrowingBytes finished(QuerySummary summary, @Nullable String nextCursor, double elapsedMs) {
    if (json == null) {
      begin(List.of());
    }
    out.putAscii("],\"rowCount\":");
    out.putDecimal(rows);
    out.putAscii(
        summary.truncated() || nextCursor != null ? ",\"truncated\":true" : ",\"truncated\":false");
    if (nextCursor != null) {
      out.putAscii(",\"nextCursor\":");
      JsonWriter.text(out, nextCursor);
    }
    out.putAscii(",\"agent\":");
    JsonWriter.text(out, summary.agentName());
    out.putAscii(",\"elapsedMs\":" + Math.round(elapsedMs * 1000) / 1000.0 + "}");
    return out;
  }
}
