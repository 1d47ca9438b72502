package io.conexor.api.database;

import io.conexor.api.Deadline;
import io.conexor.api.catalog.OrgId;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Optional;
import java.util.function.Supplier;
import org.osgi.annotation.versioning.ConsumerType;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The product's own PostgreSQL, by intent.
 *
 * <p><b>Threads.</b> Safe for concurrent use. Methods block until the work is done or the deadline
 * has passed; not for I/O threads.
 *
 * <p><b>Failure.</b> {@link io.conexor.api.ConexorException} with blame {@code DEPENDENCY}. {@code
 * Applied.NO}: nothing was committed, repeating is safe, and where the deadline allowed it was
 * repeated already. {@code Applied.UNKNOWN}: the commit may have happened. A work's own {@link
 * SQLException} that is the statement's fault (constraint, syntax) arrives as {@link
 * SqlFailedException}.
 *
 * <p><b>Tenancy.</b> Tables of tenants are under row-level security. The service itself sees none
 * of their rows: ask {@link #forOrganisation} for one tenant's, or {@link #forFleet} where the
 * tenant is not known yet (looking up a key) or several are concerned (delivering the audit).
 */
@ProviderType
public interface Database {

  /**
   * Runs work in a read-write transaction on the primary and commits it. The work may run more than
   * once, each time in a new transaction, after an attempt that certainly did not commit.
   */
  <T> Written<T> write(Deadline deadline, SqlWork<T> work);

  /**
   * Runs work in a read-only transaction on a server fresh enough. The work may run more than once.
   */
  <T> T read(Consistency consistency, Deadline deadline, SqlWork<T> work);

  /**
   * Does something for a caller of whom is known what they have written so far, here or elsewhere.
   * Meanwhile {@link #position} tells this, and every write of this thread adds to it.
   *
   * @param known the latest token of the caller; empty = nobody knows
   */
  <T> T following(Optional<CommitToken> known, Supplier<T> work);

  /**
   * What the caller that this thread is {@linkplain #following} has written; empty when nobody
   * knows: then only the primary is sure to have it.
   */
  Optional<CommitToken> position();

  /** The same database, where only rows of this organisation are seen and may be written. */
  Database forOrganisation(OrgId org);

  /** The same database, where the rows of all organisations are seen and may be written. */
  Database forFleet();

  /** What a write returned, and proof of it. */
  record Written<T>(T value, CommitToken token) {}

  /**
   * Statements on one connection, which is only good during the call. Must not commit, roll back or
   * close.
   */
  @ConsumerType
  @FunctionalInterface
  interface SqlWork<T> {
    T run(Connection connection) throws SQLException;
  }
}
