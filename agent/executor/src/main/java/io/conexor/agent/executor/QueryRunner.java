package io.conexor.agent.executor;

import com.zaxxer.hikari.HikariDataSource;
import io.conexor.api.call.ColumnType;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.rows.RowWriter;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** Runs one statement on a worker and streams its rows. */
final class QueryRunner {

  /** The statement was not run, and why. */
  static final class RefusedException extends Exception {
    private static final long serialVersionUID = 1L;
    private final transient CallError error;

    RefusedException(CallError error) {
      super(error.message(), null, false, false);
      this.error = error;
    }

    CallError error() {
      return error;
    }
  }

  /** The database failed, with the question whether the statement had reached it. */
  static final class FailedException extends Exception {
    private static final long serialVersionUID = 1L;
    private final SQLException cause;
    private final boolean wasSent;

    FailedException(SQLException cause, boolean wasSent) {
      super(null, cause, false, false);
      this.cause = cause;
      this.wasSent = wasSent;
    }

    SQLException cause() {
      return cause;
    }

    boolean wasSent() {
      return wasSent;
    }
  }

  private final SourceSettings settings;
  private final Engine engine;
  private final HikariDataSource pool;
  private final ReadOnlyGate gate;

  QueryRunner(SourceSettings settings, Engine engine, HikariDataSource pool, ReadOnlyGate gate) {
    this.settings = settings;
    this.engine = engine;
    this.pool = pool;
    this.gate = gate;
  }

  void run(Call call, String sql, Answer answer, long maxRows)
      throws RefusedException, FailedException, Call.StoppedException, Answer.RowTooLargeException {
    if (!settings.isReadOnly()) {
      run(
          call,
          new Verdict.Allowed(sql, Verdict.Kind.QUERY, call.parameters.size()),
          answer,
          maxRows,
          Engine.Transaction.SESSION,
          Engine.FIRST_ROWS);
      return;
    }
    Verdict verdict = gate.check(sql, settings.dialect());
    if (verdict instanceof Verdict.Refused refused) {
      throw new RefusedException(SqlFailures.of(refused.code(), "CALLER", "NO", refused.reason()));
    }
    Verdict.Allowed allowed = (Verdict.Allowed) verdict;
    if (allowed.parameters() != call.parameters.size()) {
      throw new RefusedException(
          SqlFailures.of(
              "parameter_count",
              "CALLER",
              "NO",
              "the statement has "
                  + allowed.parameters()
                  + " parameters and "
                  + call.parameters.size()
                  + " values came with it"));
    }
    Engine.Transaction transaction = engine.transaction(maxRows);
    try {
      run(call, allowed, answer, maxRows, transaction, Engine.FIRST_ROWS);
    } catch (FailedException e) {
      if (answer.isStarted() || call.stopped() != null || !e.wasSent()) {
        throw e;
      }
      if (SqlFailures.isTooWide(e.cause())) {
        // few rows, but wide ones: through a cursor they fit into memory
        run(call, allowed, answer, maxRows, Engine.Transaction.EXPLICIT, Engine.FIRST_WIDE_ROWS);
      } else if (SqlFailures.isLost(e.cause())) {
        // the database was restarted under the pool: what is pooled is as dead as this connection
        pool.getHikariPoolMXBean().softEvictConnections();
        run(call, allowed, answer, maxRows, transaction, Engine.FIRST_ROWS);
      } else {
        throw e;
      }
    }
  }

  private void run(
      Call call,
      Verdict.Allowed statement,
      Answer answer,
      long maxRows,
      Engine.Transaction transaction,
      int firstRows)
      throws FailedException, Call.StoppedException, Answer.RowTooLargeException {
    Connection connection;
    try {
      connection = pool.getConnection();
    } catch (SQLException e) {
      throw new FailedException(e, false);
    }
    boolean isClean = false;
    try {
      if (transaction == Engine.Transaction.EXPLICIT) {
        engine.begin(connection, settings.isReadOnly());
      }
      isClean = execute(call, connection, statement, answer, maxRows, transaction, firstRows);
    } catch (SQLException e) {
      if (!answer.isFinished()) {
        throw new FailedException(e, true);
      }
      // nobody misses what broke behind the answer
    } finally {
      release(call, connection, transaction, isClean);
    }
  }

  /** Returns whether the connection can be used again as it is. */
  private boolean execute(
      Call call,
      Connection connection,
      Verdict.Allowed allowed,
      Answer answer,
      long maxRows,
      Engine.Transaction transaction,
      int firstRows)
      throws SQLException, Call.StoppedException, Answer.RowTooLargeException {
    String text =
        transaction == Engine.Transaction.ONE_TRIP
            ? "BEGIN READ ONLY; " + allowed.text() + "; COMMIT"
            : allowed.text();
    // MySQL cannot prepare every form of SHOW and EXPLAIN
    boolean plain = allowed.kind() != Verdict.Kind.QUERY && settings.dialect() == Dialect.MYSQL;
    try (Statement statement =
        plain ? connection.createStatement() : connection.prepareStatement(text)) {
      if (statement instanceof PreparedStatement prepared) {
        Parameters.bind(prepared, call.parameters, settings.dialect());
        engine.fetchInPieces(prepared, transaction, firstRows);
      }
      // MySQL's drivers would read a longer result to its end without a word
      if (maxRows < Integer.MAX_VALUE && !engine.readsToTheEnd()) {
        statement.setMaxRows((int) maxRows + 1);
      }
      call.begin(statement, connection);
      try {
        boolean hasRows =
            statement instanceof PreparedStatement prepared
                ? prepared.execute()
                : statement.execute(text);
        while (!hasRows
            && transaction == Engine.Transaction.ONE_TRIP
            && statement.getUpdateCount() != -1) {
          // past BEGIN
          hasRows = statement.getMoreResults();
        }
        boolean isExhausted = true;
        if (hasRows) {
          try (ResultSet rows = statement.getResultSet()) {
            isExhausted = stream(call, rows, answer, maxRows);
            call.end();
            answer.finish();
            if (!isExhausted && engine.readsToTheEnd()) {
              // closing would read all the rest first
              connection.abort(Runnable::run);
            }
          }
        } else {
          changed(statement.getUpdateCount(), answer);
          call.end();
          answer.finish();
        }
        return isExhausted || !engine.readsToTheEnd();
      } finally {
        call.end();
      }
    }
  }

  private boolean stream(Call call, ResultSet rows, Answer answer, long maxRows)
      throws SQLException, Call.StoppedException, Answer.RowTooLargeException {
    Columns columns = Columns.of(rows.getMetaData(), settings.dialect());
    answer.columns(columns.list());
    Cell[] cells = columns.cells();
    Answer.Row row = out -> write(rows, cells, out);
    long left = maxRows;
    while (rows.next()) {
      call.check();
      if (left-- == 0) {
        answer.truncated();
        return !engine.readsToTheEnd() || !rows.next();
      }
      if (!answer.row(row)) {
        return false;
      }
    }
    return true;
  }

  private static void write(ResultSet rows, Cell[] cells, RowWriter out) throws SQLException {
    out.row(cells.length);
    for (int i = 0; i < cells.length; i++) {
      cells[i].write(rows, i + 1, out);
    }
  }

  private static void changed(int count, Answer answer)
      throws SQLException, Call.StoppedException, Answer.RowTooLargeException {
    answer.columns(List.of(new Column("changed_rows", ColumnType.INTEGER.name(), false, null, "")));
    answer.row(
        out -> {
          out.row(1);
          out.integer(Math.max(0, count));
        });
  }

  /** Gives the connection back without a trace of this call on it, or not at all. */
  private void release(
      Call call, Connection connection, Engine.Transaction transaction, boolean isClean) {
    boolean isReusable = false;
    try {
      if (call.stopped() != null) {
        // a cancel may still be on its way to this session
        isReusable = false;
      } else if (transaction == Engine.Transaction.EXPLICIT) {
        connection.rollback();
        isReusable = true;
      } else if (!isClean && transaction == Engine.Transaction.ONE_TRIP) {
        // an error between BEGIN and COMMIT leaves an aborted transaction behind
        try (Statement statement = connection.createStatement()) {
          statement.execute("ROLLBACK");
        }
        isReusable = true;
      } else {
        isReusable = isClean || !engine.readsToTheEnd();
      }
    } catch (SQLException e) {
      isReusable = false;
    }
    giveBack(pool, connection, isReusable);
  }

  /** Not both: the pool fails to close what it has evicted. */
  static void giveBack(HikariDataSource pool, Connection connection, boolean isReusable) {
    if (!isReusable) {
      pool.evictConnection(connection);
      return;
    }
    try {
      connection.close();
    } catch (SQLException e) {
      pool.evictConnection(connection);
    }
  }
}
