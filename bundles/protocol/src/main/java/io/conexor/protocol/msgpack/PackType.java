package io.conexor.protocol.msgpack;

/** What the next MessagePack value is. */
public enum PackType {
  NIL,
  BOOLEAN,
  /** A whole number; one above {@link Long#MAX_VALUE} can not be read and is refused. */
  INTEGER,
  /** A 32 or 64 bit floating point number. */
  FLOAT,
  TEXT,
  BYTES,
  ARRAY,
  MAP,
  EXTENSION
}
