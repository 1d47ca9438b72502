package io.conexor.audit;

import java.nio.file.Path;
import java.time.Duration;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/**
 * The configuration, checked.
 *
 * @param syncInterval zero = after every group of records
 */
record Settings(
    Path spoolFolder,
    long spoolMaxBytes,
    long fileBytes,
    Duration syncInterval,
    int queueMax,
    int batchMax) {

  static final String PID = "io.conexor.audit";

  /** The configuration as it is described to operators. */
  @ObjectClassDefinition(
      name = "Audit",
      description = "The audit trail: a spool on this host, delivered to PostgreSQL")
  @interface Config {
    @AttributeDefinition(
        name = "Spool folder",
        description = "Where records wait for PostgreSQL; on a disk that survives a restart")
    String spool_dir() default "data/audit";

    @AttributeDefinition(
        name = "Spool size",
        description = "Bytes that may wait; beyond it new work is refused, 1048576..1099511627776",
        min = "1048576",
        max = "1099511627776")
    long spool_max_bytes() default 1_073_741_824;

    @AttributeDefinition(
        name = "Spool file size",
        description = "Bytes after which a new file is begun, 65536..1073741824",
        min = "65536",
        max = "1073741824")
    long spool_file_bytes() default 8_388_608;

    @AttributeDefinition(
        name = "Sync interval",
        description =
            "Milliseconds between syncs to disk, 0..60000; 0 = with every group of records. A"
                + " killed process loses nothing, a machine without power this much",
        min = "0",
        max = "60000")
    long sync_interval_ms() default 1_000;

    @AttributeDefinition(
        name = "Queue",
        description = "Records that may wait in memory for the disk, 1024..10000000",
        min = "1024",
        max = "10000000")
    int queue_max() default 65_536;

    @AttributeDefinition(
        name = "Batch",
        description = "Records delivered in one statement, 1..10000",
        min = "1",
        max = "10000")
    int batch_max() default 1_000;
  }

  static Settings checked(Config config) {
    return new Settings(
        Path.of(config.spool_dir()),
        in("spool.max.bytes", config.spool_max_bytes(), 1L << 20, 1L << 40),
        in("spool.file.bytes", config.spool_file_bytes(), 1L << 16, 1L << 30),
        Duration.ofMillis(in("sync.interval.ms", config.sync_interval_ms(), 0, 60_000)),
        (int) in("queue.max", config.queue_max(), 1_024, 10_000_000),
        (int) in("batch.max", config.batch_max(), 1, 10_000));
  }

  private static long in(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + ": " + key + " is " + value + ", not within " + min + ".." + max);
    }
    return value;
  }
}
