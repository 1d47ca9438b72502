package io.conexor.api.database;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.catalog.OrgId;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * The simplest {@link Database} there is, for the tests of bundles that use one: a few connections
 * to one server, no routing and no retries. Consistency is ignored, for there is one server.
 */
public final class DirectDatabase implements Database, AutoCloseable {

  private final LocalPostgres server;
  private final String scope;
  private final ConcurrentLinkedDeque<Connection> idle;

  private static final ThreadLocal<Optional<CommitToken>> FOLLOWED = new ThreadLocal<>();

  /** Reads and writes begun, for tests that prove that none was needed. */
  public final AtomicInteger uses;

  public DirectDatabase(LocalPostgres server) {
    this(server, "", new ConcurrentLinkedDeque<>(), new AtomicInteger());
  }

  private DirectDatabase(
      LocalPostgres server,
      String scope,
      ConcurrentLinkedDeque<Connection> idle,
      AtomicInteger uses) {
    this.server = server;
    this.scope = scope;
    this.idle = idle;
    this.uses = uses;
  }

  @Override
  public Database forOrganisation(OrgId org) {
    return new DirectDatabase(server, org.toString(), idle, uses);
  }

  @Override
  public Database forFleet() {
    return new DirectDatabase(server, "*", idle, uses);
  }

  @Override
  public <T> Written<T> write(Deadline deadline, SqlWork<T> work) {
    T value = run(work);
    CommitToken token = new CommitToken(1, uses.get());
    if (FOLLOWED.get() != null) {
      FOLLOWED.set(Optional.of(token));
    }
    return new Written<>(value, token);
  }

  @Override
  public <T> T read(Consistency consistency, Deadline deadline, SqlWork<T> work) {
    return run(work);
  }

  @Override
  public <T> T following(Optional<CommitToken> known, Supplier<T> work) {
    FOLLOWED.set(known);
    try {
      return work.get();
    } finally {
      FOLLOWED.remove();
    }
  }

  @Override
  public Optional<CommitToken> position() {
    Optional<CommitToken> known = FOLLOWED.get();
    return known == null ? Optional.empty() : known;
  }

  private <T> T run(SqlWork<T> work) {
    uses.incrementAndGet();
    Connection connection;
    try {
      connection = idle.poll();
      if (connection == null || !connection.isValid(2)) {
        connection = server.connect();
        connection.setAutoCommit(false);
      }
    } catch (SQLException e) {
      throw new ConexorException(
          Blame.DEPENDENCY, Applied.NO, "database_unavailable", "PostgreSQL is away", e);
    }
    try {
      try (PreparedStatement see =
          connection.prepareStatement("select set_config('conexor.org', ?, true)")) {
        see.setString(1, scope);
        see.execute();
      }
      T result = work.run(connection);
      connection.commit();
      idle.push(connection);
      return result;
    } catch (SQLException e) {
      close(connection);
      String state = e.getSQLState() == null ? "" : e.getSQLState();
      if (state.startsWith("08") || state.startsWith("57")) {
        throw new ConexorException(
            Blame.DEPENDENCY, Applied.UNKNOWN, "database_unavailable", "PostgreSQL went away", e);
      }
      throw new SqlFailedException(e);
    } catch (RuntimeException e) {
      close(connection);
      throw e;
    }
  }

  private static void close(Connection connection) {
    try {
      connection.close();
    } catch (SQLException ignored) {
      // it was broken before
    }
  }

  @Override
  public void close() {
    Connection connection;
    while ((connection = idle.poll()) != null) {
      close(connection);
    }
  }
}
