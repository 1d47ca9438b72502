package io.conexor.api.database;

import io.conexor.api.ConexorException;
import java.io.Serial;
import java.sql.SQLException;

/** The statement itself was at fault; the transaction was rolled back. */
public final class SqlFailedException extends ConexorException {

  @Serial private static final long serialVersionUID = 1L;

  private final String sqlState;

  public SqlFailedException(SQLException cause) {
    super(
        Blame.BUG,
        Applied.NO,
        "sql_failed",
        "PostgreSQL refused a statement: " + cause.getMessage(),
        cause);
    this.sqlState = cause.getSQLState() == null ? "" : cause.getSQLState();
  }

  /** Five characters, e.g. {@code 23505} for a unique violation; empty when unknown. */
  public String sqlState() {
    return sqlState;
  }
}
