package io.conexor.audit;

import io.conexor.api.Page;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.database.Database;
import io.conexor.api.database.Schema;
import io.conexor.api.database.SqlFailedException;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The audit trail: memory, then this host's disk, then PostgreSQL.
 *
 * <p>{@link #record} puts the record into a queue and nothing more. The writer takes all that wait,
 * appends them to the spool with one write, and looks again every 2 ms. The shipper delivers from
 * the spool in batches; a batch whose outcome is unknown is delivered again, which stores nothing
 * twice because records carry their ids.
 */
@Component(
    service = {AuditTrail.class, HealthCheck.class},
    configurationPid = Settings.PID,
    immediate = true) // what was spooled before a restart is delivered without being asked
@Designate(ocd = Settings.Config.class)
public final class SpooledAuditTrail implements AuditTrail, HealthCheck {

  private static final Logger log = LoggerFactory.getLogger(SpooledAuditTrail.class);

  /** How often a busy writer looks for records. */
  private static final long GROUP_NANOS = TimeUnit.MILLISECONDS.toNanos(2);

  /** Looks without finding anything after which the writer sleeps until it is woken. */
  private static final int IDLE_LOOKS = 50;

  /** A statement costs the same for one record as for many, so some are let come together. */
  private static final long GATHER_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final int GROUP_BYTES = 256 * 1024;
  private static final Duration RETRY = Duration.ofMillis(250);
  private static final Duration RETRY_MAX = Duration.ofSeconds(5);
  private static final Duration CLOSE = Duration.ofSeconds(3);

  private final Spool spool;
  private final AuditTable table;
  private final Settings settings;
  private final Thread writer;
  private final Thread shipper;
  private final ConcurrentLinkedQueue<AuditRecord> queue = new ConcurrentLinkedQueue<>();

  /** Counts what the queue holds; callers up, the writer down. */
  private final AtomicInteger queued = new AtomicInteger();

  private final AtomicLong lost = new AtomicLong();

  /** Written by the writer, read by everybody. */
  private final AtomicLong spooled = new AtomicLong();

  /** Written by the shipper, read by everybody. */
  private final AtomicLong shipped = new AtomicLong();

  /** Set by the writer before it sleeps, cleared by whoever wakes it. */
  private volatile boolean isWriterAsleep;

  /** Why nothing may be recorded; empty = it may. Written by the writer, read by everybody. */
  private volatile String refusal = "";

  /** Why delivery fails; empty = it does not. Written by the shipper, read by everybody. */
  private volatile String undelivered = "";

  /** Written by {@link #close}, read by the threads. */
  private volatile boolean isClosing;

  @Activate
  public SpooledAuditTrail(
      @Reference(name = "database") Database database,
      @Reference(name = "schema") Schema schema,
      Settings.Config config)
      throws IOException {
    this(database, Settings.checked(config));
    log.info("audit spool in {}, tables of version {}", settings.spoolFolder(), schema.version());
  }

  SpooledAuditTrail(Database database, Settings settings) throws IOException {
    this.settings = settings;
    this.table = new AuditTable(database);
    this.spool = new Spool(settings.spoolFolder(), settings.fileBytes());
    this.writer = new Thread(this::write, "conexor-audit-writer");
    this.shipper = new Thread(this::ship, "conexor-audit-shipper");
    writer.setDaemon(true);
    shipper.setDaemon(true);
    writer.start();
    shipper.start();
  }

  @Override
  public void record(AuditRecord record) {
    if (queued.incrementAndGet() > settings.queueMax()) {
      queued.decrementAndGet();
      long total = lost.incrementAndGet();
      if (Long.bitCount(total) == 1) {
        log.error("an audit record was lost, {} so far: {}", total, refusal);
      }
      return;
    }
    queue.add(record);
    if (isWriterAsleep) {
      isWriterAsleep = false;
      LockSupport.unpark(writer);
    }
  }

  /**
   * Turns false at half of the queue: the other half is for what was let in before and has not
   * ended yet.
   */
  @Override
  public boolean accepting() {
    return refusal.isEmpty() && queued.get() <= settings.queueMax() / 2 && !isClosing;
  }

  @Override
  public Page<AuditRecord> search(Query query) {
    return table.search(query);
  }

  private void write() {
    ByteBuffer group = ByteBuffer.allocate(GROUP_BYTES + Frames.MAX_FRAME);
    int held = 0; // records encoded and not yet on disk
    int emptyLooks = 0;
    int failures = 0;
    long syncedAt = System.nanoTime();
    while (true) {
      try {
        while (group.position() < GROUP_BYTES) {
          AuditRecord record = queue.poll();
          if (record == null) {
            break;
          }
          // INVARIANT: a record counts as queued until it is on disk.
          Frames.encode(record, group);
          held++;
        }
        if (held > 0) {
          emptyLooks = 0;
          long pending = spool.pendingBytes();
          if (pending > settings.spoolMaxBytes() + settings.fileBytes()) {
            refuse("the spool is full: PostgreSQL has not taken " + pending + " bytes of audit");
            pause(RETRY.toNanos());
            continue;
          }
          spool.append(group.duplicate().flip());
          group.clear();
          queued.addAndGet(-held);
          spooled.addAndGet(held);
          held = 0;
          failures = 0;
          if (pending > settings.spoolMaxBytes()) {
            refuse("the spool is full: PostgreSQL has not taken " + pending + " bytes of audit");
          } else {
            allow();
          }
        } else if (spool.pendingBytes() <= settings.spoolMaxBytes()) {
          allow();
        }
        long now = System.nanoTime();
        if (now - syncedAt >= settings.syncInterval().toNanos()) {
          spool.sync();
          syncedAt = now;
        }
        if (queue.isEmpty()) {
          if (isClosing) {
            return;
          }
          emptyLooks++;
          doze(emptyLooks);
        }
      } catch (IOException | RuntimeException e) {
        // Nothing counts as written; what is held is tried again.
        failures++;
        refuse("the disk of the audit spool fails: " + e.getMessage());
        if (Integer.bitCount(failures) == 1) {
          log.error("can't write the audit spool, attempt {}", failures, e);
        }
        if (isClosing) {
          log.error("{} audit records are lost with this stop", held + queue.size());
          return;
        }
        pause(RETRY.toNanos());
      }
    }
  }

  private void doze(int emptyLooks) {
    if (emptyLooks < IDLE_LOOKS) {
      pause(GROUP_NANOS);
      return;
    }
    isWriterAsleep = true;
    // A record added before the flag was seen would wait for the next one: look once more.
    if (queue.isEmpty() && !isClosing) {
      pause(Math.max(TimeUnit.MILLISECONDS.toNanos(200), GROUP_NANOS));
    }
    isWriterAsleep = false;
  }

  private static void pause(long nanos) {
    LockSupport.parkNanos(nanos);
  }

  private void refuse(String why) {
    if (refusal.isEmpty()) {
      log.error("audit refuses new work: {}", why);
    }
    refusal = why;
  }

  private void allow() {
    if (!refusal.isEmpty()) {
      log.info("audit takes records again");
      refusal = "";
    }
  }

  private void ship() {
    int failures = 0;
    long until = Long.MAX_VALUE;
    while (true) {
      try {
        if (isClosing && until == Long.MAX_VALUE) {
          until = System.nanoTime() + CLOSE.toNanos();
        }
        Spool.Batch batch = spool.read(settings.batchMax());
        if (batch.records().isEmpty()) {
          if (isClosing && !writer.isAlive()) {
            return;
          }
          pause(TimeUnit.MILLISECONDS.toNanos(isClosing ? 5 : 20));
          continue;
        }
        deliver(batch.records());
        spool.delivered(batch.end());
        shipped.addAndGet(batch.records().size());
        if (failures > 0) {
          log.info("audit records reach PostgreSQL again");
          undelivered = "";
        }
        failures = 0;
        if (batch.records().size() < settings.batchMax() && !isClosing) {
          pause(GATHER_NANOS);
        }
      } catch (IOException | RuntimeException e) {
        failures++;
        undelivered = String.valueOf(e.getMessage());
        if (Integer.bitCount(failures) == 1) {
          log.warn(
              "audit records wait on disk ({} bytes), attempt {}: {}",
              spool.pendingBytes(),
              failures,
              e.getMessage());
        }
        if (isClosing) {
          return; // they are delivered after the next start
        }
        pause(Math.min(RETRY_MAX.toNanos(), RETRY.toNanos() << Math.min(failures - 1, 6)));
      }
      if (isClosing && System.nanoTime() - until > 0) {
        return;
      }
    }
  }

  private void deliver(List<AuditRecord> records) {
    try {
      table.insert(records);
    } catch (SqlFailedException e) {
      if (records.size() == 1) {
        // One record the table does not take must not hold up all that follow.
        lost.incrementAndGet();
        log.error("audit record {} can't be stored: {}", records.get(0), e.getMessage());
        return;
      }
      deliver(records.subList(0, records.size() / 2));
      deliver(records.subList(records.size() / 2, records.size()));
    }
  }

  /** Records on disk since the start. */
  long spooled() {
    return spooled.get();
  }

  @Override
  public String name() {
    return "audit";
  }

  @Override
  public Health check() {
    Map<String, String> facts =
        Map.of(
            "queued", Integer.toString(queued.get()),
            "spooled", Long.toString(spooled.get()),
            "delivered", Long.toString(shipped.get()),
            "pendingBytes", Long.toString(spool.pendingBytes()),
            "lost", Long.toString(lost.get()));
    String why = refusal;
    if (!why.isEmpty()) {
      return Health.unhealthy("new work is refused: " + why, facts);
    }
    if (!accepting()) {
      return Health.unhealthy("new work is refused: the disk does not keep up", facts);
    }
    if (lost.get() > 0) {
      return Health.degraded(lost.get() + " audit records were lost; see the log", facts);
    }
    String waiting = undelivered;
    return waiting.isEmpty()
        ? Health.healthy(facts)
        : Health.degraded("audit records wait on disk for PostgreSQL: " + waiting, facts);
  }

  /** Writes what waits, delivers what it can within 3 s; the rest follows after the next start. */
  @Deactivate
  void close() {
    isClosing = true;
    LockSupport.unpark(writer);
    LockSupport.unpark(shipper);
    try {
      writer.join(CLOSE.toMillis());
      shipper.join(2 * CLOSE.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    shipper.interrupt();
    try {
      spool.close();
    } catch (IOException e) {
      log.warn("can't close the audit spool: {}", e.getMessage());
    }
  }
}
