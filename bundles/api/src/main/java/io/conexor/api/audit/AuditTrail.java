package io.conexor.api.audit;

import io.conexor.api.Page;
import io.conexor.api.catalog.OrgId;
import java.time.Instant;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Keeps the audit trail.
 *
 * <p><b>Threads.</b> Safe for concurrent use. {@link #record} does not block and is cheap enough
 * for the hot path; {@link #search} blocks.
 *
 * <p><b>Failure.</b> A record is on this host's disk (spool) moments after {@link #record} returned
 * and reaches the database in order and once, also when the database was away or the process was
 * killed in between. When the spool is full or its disk fails, {@link #accepting} turns false and
 * edges refuse new work with 503 rather than let it go unrecorded.
 */
@ProviderType
public interface AuditTrail {

  /** Takes a record over. */
  void record(AuditRecord record);

  /** False while records can't be kept safely. */
  boolean accepting();

  /**
   * Newest first.
   *
   * @throws io.conexor.api.ConexorException when the database is away
   */
  Page<AuditRecord> search(Query query);

  /**
   * What to look for.
   *
   * @param limit 1 to 1,000
   * @param cursor from the page before
   */
  record Query(
      OrgId org,
      Optional<String> action,
      Optional<String> principal,
      Optional<String> source,
      Optional<AuditRecord.Outcome> outcome,
      Optional<Instant> from,
      Optional<Instant> to,
      int limit,
      Optional<String> cursor) {}
}
