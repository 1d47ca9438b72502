package io.conexor.agent.executor;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;

/**
 * What is done differently for each database: connecting, reading without writing, fetching in
 * pieces.
 */
final class Engine {

  /**
   * Up to so many rows a PostgreSQL result is fetched whole, in one trip; beyond, through a cursor.
   */
  static final long ONE_TRIP_ROWS = 1_000;

  private static final int FETCH_ROWS = 1_000;

  /** The first piece of a long PostgreSQL result. */
  static final int FIRST_ROWS = 100;

  /** The first piece where rows are so wide that {@link #FIRST_ROWS} of them are too much. */
  static final int FIRST_WIDE_ROWS = 4;

  /**
   * Types that pgjdbc would send in binary after the first execution. As text they are what the
   * engine prints: infinity, BC, offsets and every digit. int2, int4, int8, oid, float and bytea
   * stay binary.
   */
  private static final String TEXT_TYPES =
      "NUMERIC,DATE,TIME,TIMETZ,TIMESTAMP,TIMESTAMPTZ,INT2_ARRAY,INT4_ARRAY,INT8_ARRAY,FLOAT4_ARRAY,FLOAT8_ARRAY,"
          + "NUMERIC_ARRAY,VARCHAR_ARRAY,TEXT_ARRAY,BOOL_ARRAY,BYTEA_ARRAY,UUID_ARRAY,DATE_ARRAY,TIMESTAMP_ARRAY,"
          + "TIMESTAMPTZ_ARRAY,TIME_ARRAY,TIMETZ_ARRAY,POINT,BOX";

  /** How a read is kept from writing while it runs. */
  enum Transaction {
    /** Every statement of the session is a read-only transaction of its own. */
    SESSION,
    /** {@code BEGIN READ ONLY; ...; COMMIT} in one message. */
    ONE_TRIP,
    /** Several trips: begin, statement, always rolled back. */
    EXPLICIT
  }

  private final Dialect dialect;
  private final boolean mysqlDriver;

  Engine(SourceSettings settings) {
    this.dialect = settings.dialect();
    this.mysqlDriver = settings.url().toLowerCase(Locale.ROOT).startsWith("jdbc:mysql:");
  }

  Dialect dialect() {
    return dialect;
  }

  /** Properties for the driver; what the URL says wins. */
  Properties properties(SourceSettings settings) {
    Properties p = new Properties();
    long connectMillis = settings.connectTimeout().toMillis();
    String connectSeconds = Long.toString(Math.max(1, (connectMillis + 999) / 1000));
    long socketMillis = settings.maxTime().toMillis() + 10_000;
    switch (dialect) {
      case POSTGRESQL -> {
        p.setProperty("ApplicationName", "conexor-agent");
        p.setProperty("prepareThreshold", "1");
        p.setProperty("preparedStatementCacheQueries", "512");
        p.setProperty("stringtype", "unspecified");
        p.setProperty("logServerErrorDetail", "false");
        p.setProperty("binaryTransferDisable", TEXT_TYPES);
        p.setProperty("maxResultBuffer", "32M");
        p.setProperty("adaptiveFetch", "true");
        p.setProperty("adaptiveFetchMinimum", "1");
        p.setProperty("adaptiveFetchMaximum", Integer.toString(FETCH_ROWS));
        p.setProperty("defaultRowFetchSize", "100");
        p.setProperty("tcpKeepAlive", "true");
        p.setProperty("connectTimeout", connectSeconds);
        p.setProperty("loginTimeout", connectSeconds);
        p.setProperty("cancelSignalTimeout", connectSeconds);
        p.setProperty("socketTimeout", Long.toString((socketMillis + 999) / 1000));
      }
      case MYSQL -> {
        p.setProperty("tinyInt1isBit", "false");
        p.setProperty("yearIsDateType", "false");
        p.setProperty("allowMultiQueries", "false");
        p.setProperty("useServerPrepStmts", "true");
        p.setProperty("connectTimeout", Long.toString(connectMillis));
        p.setProperty("socketTimeout", Long.toString(socketMillis));
        if (mysqlDriver) {
          p.setProperty("allowLoadLocalInfile", "false");
          p.setProperty("autoDeserialize", "false");
          p.setProperty("cachePrepStmts", "true");
          p.setProperty("characterEncoding", "UTF-8");
        } else {
          p.setProperty("allowLocalInfile", "false");
        }
      }
      case SQLSERVER -> {
        p.setProperty("applicationName", "conexor-agent");
        p.setProperty("loginTimeout", connectSeconds);
        p.setProperty("socketTimeout", Long.toString(socketMillis));
      }
      case ORACLE -> {
        p.setProperty("v$session.program", "conexor-agent");
        p.setProperty("oracle.net.CONNECT_TIMEOUT", Long.toString(connectMillis));
        p.setProperty("oracle.jdbc.ReadTimeout", Long.toString(socketMillis));
        p.setProperty("oracle.jdbc.J2EE13Compliant", "true");
      }
      case SQLITE -> {
        p.setProperty("busy_timeout", Long.toString(connectMillis));
        if (settings.isReadOnly()) {
          // SQLITE_OPEN_READONLY: the file itself is opened for reading
          p.setProperty("open_mode", "1");
        }
      }
      case H2 -> {
        if (settings.isReadOnly() && !settings.url().contains(":mem:")) {
          p.setProperty("IFEXISTS", "TRUE");
        }
      }
    }
    return p;
  }

  /** Statements that make a new session read-only and fix how it reads literals. */
  List<String> afterConnect(SourceSettings settings) {
    List<String> sql = new ArrayList<>();
    switch (dialect) {
      case POSTGRESQL -> {
        // the gate reads '\' as an ordinary character; a server with the old setting would not
        sql.add("SET standard_conforming_strings = on");
        sql.add("SET statement_timeout = " + (settings.maxTime().toMillis() + 5_000));
        sql.add("SET DateStyle = ISO");
        sql.add("SET IntervalStyle = postgres");
        if (settings.isReadOnly()) {
          sql.add("SET default_transaction_read_only = on");
        }
      }
      case MYSQL -> {
        sql.add("SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')");
        if (settings.isReadOnly()) {
          sql.add("SET SESSION TRANSACTION READ ONLY");
        }
      }
      case SQLITE -> {
        if (settings.isReadOnly()) {
          sql.add("PRAGMA query_only = ON");
        }
      }
      case SQLSERVER, ORACLE, H2 -> {
        // their sessions have no such setting: transaction() does it for each statement
      }
    }
    return sql;
  }

  /** Statements that improve a new session where the server knows them. */
  List<String> afterConnectIfPossible() {
    // PostgreSQL 14: a statement whose client has gone ends by itself
    return dialect == Dialect.POSTGRESQL
        ? List.of("SET client_connection_check_interval = '2s'")
        : List.of();
  }

  /** How a read of at most so many rows is run. */
  Transaction transaction(long maxRows) {
    return switch (dialect) {
      case POSTGRESQL -> maxRows <= ONE_TRIP_ROWS ? Transaction.ONE_TRIP : Transaction.EXPLICIT;
      case MYSQL, SQLITE -> Transaction.SESSION;
      case SQLSERVER, ORACLE, H2 -> Transaction.EXPLICIT;
    };
  }

  /** Opens the transaction of {@link Transaction#EXPLICIT}. */
  void begin(Connection connection, boolean isReadOnly) throws SQLException {
    if (dialect == Dialect.POSTGRESQL && isReadOnly) {
      // sent by the driver together with the statement, as BEGIN READ ONLY
      connection.setReadOnly(true);
    }
    connection.setAutoCommit(false);
    if (dialect == Dialect.ORACLE && isReadOnly) {
      try (Statement statement = connection.createStatement()) {
        statement.execute("SET TRANSACTION READ ONLY");
      }
    }
  }

  /** Makes the driver fetch in pieces instead of holding the whole result. */
  void fetchInPieces(PreparedStatement statement, Transaction transaction, int firstRows)
      throws SQLException {
    switch (dialect) {
      case POSTGRESQL -> {
        if (transaction == Transaction.EXPLICIT) {
          // the driver adapts the size of the later pieces to the widest row so far
          statement.setFetchSize(firstRows);
        }
      }
      case MYSQL -> statement.setFetchSize(mysqlDriver ? Integer.MIN_VALUE : FETCH_ROWS);
      case ORACLE -> statement.setFetchSize(500);
      case SQLSERVER, SQLITE, H2 -> {
        // they stream or buffer by themselves
      }
    }
  }

  /**
   * Asks the database to end the statement.
   *
   * @param again whether it was asked before, and the statement goes on
   */
  void cancel(Statement statement, boolean again) throws SQLException {
    if (!again || dialect != Dialect.POSTGRESQL) {
      statement.cancel();
      return;
    }
    // pgjdbc cancels a statement once. A cancel that overtook the statement is lost, so ask the
    // connection, by name: drivers are not on the class path of this bundle.
    Connection raw = statement.getConnection().unwrap(Connection.class);
    try {
      raw.getClass().getMethod("cancelQuery").invoke(raw);
    } catch (ReflectiveOperationException e) {
      throw new SQLException("this driver cannot cancel again", e);
    }
  }

  /** Whether closing a result early would read the rest of it. */
  boolean readsToTheEnd() {
    return dialect == Dialect.MYSQL;
  }

  /**
   * Whether a read-only transaction of the engine stands behind the gate, for the probe's report.
   */
  boolean hasReadOnlyTransactions(String url) {
    return switch (dialect) {
      case POSTGRESQL, MYSQL, ORACLE, SQLITE -> true;
      case H2 -> url.toUpperCase(Locale.ROOT).contains("ACCESS_MODE_DATA=R");
      case SQLSERVER -> false;
    };
  }
}
