package io.conexor.api.call;

/**
 * The types a result column or a parameter can have, whatever the engine. How each is written in
 * JSON: docs/architecture.md#types.
 */
public enum ColumnType {
  BOOLEAN,
  /** Whole numbers up to 64 bits. */
  INTEGER,
  /** Exact decimals of any precision. */
  DECIMAL,
  /** Binary floating point, NaN and infinities included. */
  DOUBLE,
  TEXT,
  BYTES,
  DATE,
  TIME,
  TIME_TZ,
  TIMESTAMP,
  /** A moment; its offset is kept where the engine keeps it. */
  TIMESTAMP_TZ,
  INTERVAL,
  UUID,
  JSON,
  ARRAY,
  /** Anything else, as the driver prints it. */
  OTHER
}
