package io.conexor.api.database;

import io.conexor.api.Deadline;
import java.sql.Connection;
import java.sql.SQLException;
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
