package io.conexor.rest;

import java.time.Duration;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The configuration, checked. */
record Settings(
    int bodyMaxBytes,
    int threads,
    int queue,
    int documentRows,
    int documentMaxBytes,
    long rowsMax,
    long bytesMax,
    Duration timeout,
    Duration timeoutMax,
    Duration keep) {

  static final String PID = "io.conexor.rest";

  /** The configuration as it is described to operators. */
  @ObjectClassDefinition(name = "REST", description = "The REST API under /api/v1")
  @interface Config {
    @AttributeDefinition(
        name = "Body size",
        description = "Largest request body in bytes, 4096..16777216",
        min = "4096",
        max = "16777216")
    int body_max_bytes() default 1_048_576;

    @AttributeDefinition(
        name = "Threads",
        description = "For operations that use the database, 1..128",
        min = "1",
        max = "128")
    int threads() default 8;

    @AttributeDefinition(
        name = "Waiting operations",
        description = "Operations waiting for a thread; more are answered with 503, 1..10000",
        min = "1",
        max = "10000")
    int queue() default 128;

    @AttributeDefinition(
        name = "Rows of a document",
        description = "Row limit of a JSON answer when the request names none, 1..1000000",
        min = "1",
        max = "1000000")
    int query_document_rows() default 1_000;

    @AttributeDefinition(
        name = "Size of a document",
        description = "Bytes of rows in one JSON answer, 65536..268435456",
        min = "65536",
        max = "268435456")
    int query_document_max_bytes() default 8_388_608;

    @AttributeDefinition(
        name = "Rows",
        description = "Largest row limit a request may name, 1..1000000000",
        min = "1",
        max = "1000000000")
    long query_rows_max() default 10_000_000;

    @AttributeDefinition(
        name = "Size of a stream",
        description = "Bytes of rows in one streamed answer, 65536..1099511627776",
        min = "65536",
        max = "1099511627776")
    long query_bytes_max() default 10_737_418_240L;

    @AttributeDefinition(
        name = "Time",
        description = "Milliseconds for a query that names no time, 100..3600000",
        min = "100",
        max = "3600000")
    long query_timeout_ms() default 30_000;

    @AttributeDefinition(
        name = "Longest time",
        description = "Milliseconds a request may name, 100..3600000",
        min = "100",
        max = "3600000")
    long query_timeout_max_ms() default 300_000;

    @AttributeDefinition(
        name = "Keep",
        description =
            "Milliseconds a result is kept for who comes for it later or again (Prefer:"
                + " respond-async, Idempotency-Key), 1000..3600000; the agent's own limit may be lower",
        min = "1000",
        max = "3600000")
    long query_keep_ms() default 600_000;
  }

  static Settings checked(Config config) {
    long timeout = in("query.timeout.ms", config.query_timeout_ms(), 100, 3_600_000);
    long timeoutMax = in("query.timeout.max.ms", config.query_timeout_max_ms(), 100, 3_600_000);
    if (timeout > timeoutMax) {
      throw new IllegalArgumentException(
          PID + ": query.timeout.ms " + timeout + " is above query.timeout.max.ms " + timeoutMax);
    }
    return new Settings(
        (int) in("body.max.bytes", config.body_max_bytes(), 4_096, 16_777_216),
        (int) in("threads", config.threads(), 1, 128),
        (int) in("queue", config.queue(), 1, 10_000),
        (int) in("query.document.rows", config.query_document_rows(), 1, 1_000_000),
        (int)
            in("query.document.max.bytes", config.query_document_max_bytes(), 65_536, 268_435_456),
        in("query.rows.max", config.query_rows_max(), 1, 1_000_000_000),
        in("query.bytes.max", config.query_bytes_max(), 65_536, 1_099_511_627_776L),
        Duration.ofMillis(timeout),
        Duration.ofMillis(timeoutMax),
        Duration.ofMillis(in("query.keep.ms", config.query_keep_ms(), 1_000, 3_600_000)));
  }

  private static long in(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + ": " + key + " is " + value + ", not within " + min + ".." + max);
    }
    return value;
  }
}
