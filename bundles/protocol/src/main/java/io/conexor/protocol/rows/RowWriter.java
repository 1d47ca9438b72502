package io.conexor.protocol.rows;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.msgpack.PackWriter;
import org.jspecify.annotations.Nullable;

/**
 * Appends typed rows to a {@link GrowingBytes}: {@link #row} with the number of values, then
 * exactly so many values. Belongs to one thread at a time.
 */
public final class RowWriter {
  private final GrowingBytes out;
  private final PackWriter pack;
  private int rowCount;
  private int rowStart;

  public RowWriter(GrowingBytes out) {
    this.out = out;
    this.pack = new PackWriter(out);
    this.rowStart = out.size();
  }

  /** Starts a row of {@code values} values. */
  public void row(int values) {
    rowStart = out.size();
    pack.array(values);
    rowCount++;
  }

  /** Takes back the row begun last, whole or in part; for one that turned out not to fit. */
  public void undoRow() {
    if (rowCount == 0 || rowStart > out.size()) {
      throw new IllegalStateException("no row to take back");
    }
    out.truncate(rowStart);
    rowStart = Integer.MAX_VALUE;
    rowCount--;
  }

  public int rowCount() {
    return rowCount;
  }

  /** Bytes of the row begun last. */
  public int rowBytes() {
    return out.size() - rowStart;
  }

  public void nil() {
    pack.nil();
  }

  public void bool(boolean value) {
    pack.bool(value);
  }

  public void integer(long value) {
    pack.integer(value);
  }

  /** Any double, NaN and infinities included. */
  public void float64(double value) {
    pack.float64(value);
  }

  /**
   * TEXT, and every type that travels as text (DECIMAL, dates and times, UUID, JSON, INTERVAL,
   * OTHER).
   */
  public void text(@Nullable String value) {
    pack.textOrNil(value);
  }

  /** As {@link #text(String)} for text that is UTF-8 already. */
  public void text(byte[] utf8, int offset, int length) {
    pack.text(utf8, offset, length);
  }

  public void bytes(byte @Nullable [] value) {
    if (value == null) {
      pack.nil();
    } else {
      pack.bytes(value);
    }
  }

  public void bytes(byte[] value, int offset, int length) {
    pack.bytes(value, offset, length);
  }

  /** Starts an array of {@code elements} elements, which follow as values; arrays may be nested. */
  public void array(int elements) {
    pack.array(elements);
  }
}
