package io.conexor.protocol.rows;

/** How a value in a row travels; what it means says its column. */
public enum ValueKind {
  NIL,
  BOOLEAN,
  INTEGER,
  FLOAT,
  TEXT,
  BYTES,
  ARRAY
}
