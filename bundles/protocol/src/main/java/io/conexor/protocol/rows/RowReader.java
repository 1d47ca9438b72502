package io.conexor.protocol.rows;

import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.msgpack.PackReader;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A cursor over a batch of rows: {@link #nextRow()}, then a method per value, until {@link
 * #valuesLeft()} is 0. Values not read are passed over by the next {@link #nextRow()}. Reusable;
 * belongs to one thread at a time.
 *
 * <p>Broken bytes are a {@link ProtocolException}.
 */
public final class RowReader {
  /** How deep arrays may be nested. */
  static final int MAX_DEPTH = 16;

  private static final int MAX_VALUES = 4_096;

  private final PackReader pack = new PackReader();
  private int values;
  private int valuesLeft;
  private int rowStart;

  public RowReader() {}

  public RowReader(byte[] bytes, int offset, int length) {
    reset(bytes, offset, length);
  }

  public RowReader reset(byte[] bytes, int offset, int length) {
    pack.reset(bytes, offset, length);
    values = 0;
    valuesLeft = 0;
    return this;
  }

  /** Moves to the next row, if there is one. */
  public boolean nextRow() {
    while (valuesLeft > 0) {
      skip();
    }
    if (pack.atEnd()) {
      return false;
    }
    rowStart = pack.position();
    values = pack.array(MAX_VALUES);
    valuesLeft = values;
    return true;
  }

  /** Where the row begins, counted from the beginning of the batch. */
  public int rowStart() {
    return rowStart;
  }

  /** How many values the row has. */
  public int values() {
    return values;
  }

  public int valuesLeft() {
    return valuesLeft;
  }

  /** What the next value is; consumes nothing. */
  public ValueKind peek() {
    if (valuesLeft == 0) {
      throw new IllegalStateException("the row has no more values");
    }
    return kind();
  }

  /** Consumes the next value if it is null. */
  public boolean nextNil() {
    if (peek() != ValueKind.NIL) {
      return false;
    }
    take();
    pack.nextNil();
    return true;
  }

  public boolean bool() {
    take();
    return pack.bool();
  }

  public long integer() {
    take();
    return pack.integer();
  }

  public double float64() {
    take();
    return pack.float64();
  }

  public String text() {
    take();
    return pack.text(Integer.MAX_VALUE);
  }

  public byte[] bytes() {
    take();
    return pack.bytes(Integer.MAX_VALUE);
  }

  public void skip() {
    take();
    pack.skip();
  }

  /** The next value as null, Boolean, Long, Double, String, byte[] or List of these. */
  public @Nullable Object value() {
    take();
    return value(0);
  }

  private @Nullable Object value(int depth) {
    return switch (kind()) {
      case NIL -> {
        pack.nextNil();
        yield null;
      }
      case BOOLEAN -> pack.bool();
      case INTEGER -> pack.integer();
      case FLOAT -> pack.float64();
      case TEXT -> pack.text(Integer.MAX_VALUE);
      case BYTES -> pack.bytes(Integer.MAX_VALUE);
      case ARRAY -> list(depth);
    };
  }

  private List<@Nullable Object> list(int depth) {
    int length = beginArray(depth);
    List<@Nullable Object> list = new ArrayList<>(Math.min(length, 64));
    for (int i = 0; i < length; i++) {
      list.add(value(depth + 1));
    }
    return list;
  }

  int beginArray(int depth) {
    if (depth >= MAX_DEPTH) {
      throw pack.error("arrays nested deeper than " + MAX_DEPTH);
    }
    return pack.array(Integer.MAX_VALUE);
  }

  /** The bytes below, for {@link RowJson}, which transcodes them without objects. */
  PackReader pack() {
    return pack;
  }

  void take() {
    if (valuesLeft == 0) {
      throw new IllegalStateException("the row has no more values");
    }
    valuesLeft--;
  }

  ValueKind kind() {
    return switch (pack.peek()) {
      case NIL -> ValueKind.NIL;
      case BOOLEAN -> ValueKind.BOOLEAN;
      case INTEGER -> ValueKind.INTEGER;
      case FLOAT -> ValueKind.FLOAT;
      case TEXT -> ValueKind.TEXT;
      case BYTES -> ValueKind.BYTES;
      case ARRAY -> ValueKind.ARRAY;
      case MAP, EXTENSION -> throw pack.error("a kind of value that rows do not have");
    };
  }
}
