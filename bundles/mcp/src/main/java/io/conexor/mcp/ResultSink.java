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
  private long rows;
  private int owed;
  private @Nullable AgentCall call;
  private boolean over;

  ResultSink(int maxBytes, End end) {
    this.out = new GrowingBytes(512, maxBytes);
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
      reader.reset(batch.data(), batch.offset(), batch.length());
      while (reader.nextRow()) {
        if (rows++ > 0) {
          out.put(',');
        }
        writer.object(reader, out);
      }
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
