package io.conexor.agent.executor;

import io.conexor.protocol.agent.AgentMessage.CallError;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Translates what databases and drivers say. No password, URL or parameter value leaves through
 * here.
 */
final class SqlFailures {
  private static final int MAX_MESSAGE = 1_000;

  private SqlFailures() {}

  static CallError of(String code, String blame, String applied, String message) {
    return new CallError(code, blame, applied, message, null);
  }

  /**
   * The error of a failed statement.
   *
   * @param isReadOnly a read has no effect, whatever happened to it
   * @param wasSent whether the statement may have reached the database
   */
  static CallError of(
      SourceSettings source,
      SQLException failure,
      List<? extends @Nullable Object> parameters,
      boolean isReadOnly,
      boolean wasSent) {
    String state = failure.getSQLState() == null ? "" : failure.getSQLState();
    String message = clean(source, failure, parameters);
    boolean lost = failure instanceof SQLTransientConnectionException || state.startsWith("08");
    String applied = isReadOnly || !wasSent || !(lost || state.startsWith("57")) ? "NO" : "UNKNOWN";
    if (!wasSent && failure instanceof SQLTransientConnectionException) {
      String cause =
          failure.getCause() instanceof SQLException why ? clean(source, why, List.of()) : message;
      return new CallError(
          "source_unreachable",
          "DEPENDENCY",
          "NO",
          "no connection to '"
              + source.name()
              + "' within "
              + source.connectTimeout().toMillis()
              + " ms: "
              + cause,
          sqlState(state));
    }
    if (isTooWide(failure)) {
      return of(
          "row_too_large",
          "CALLER",
          applied,
          "rows got too wide on the way; select fewer or shorter columns");
    }
    Kind kind = kind(source.dialect(), state, failure.getErrorCode());
    return new CallError(
        kind.code, kind.blame, applied, "'" + source.name() + "': " + message, sqlState(state));
  }

  /** Whether pgjdbc gave up because rows take more memory than it may use. */
  static boolean isTooWide(SQLException failure) {
    return String.valueOf(failure.getMessage()).contains("maxResultBuffer");
  }

  /** Whether the connection is dead, and not only the statement. */
  static boolean isLost(SQLException failure) {
    String state = failure.getSQLState() == null ? "" : failure.getSQLState();
    return state.startsWith("08") || state.startsWith("57P");
  }

  private record Kind(String code, String blame) {}

  private static Kind kind(Dialect dialect, String state, int number) {
    if (dialect == Dialect.SQLITE && state.isEmpty()) {
      return switch (number & 0xff) {
        case 5, 6 -> new Kind("source_locked", "CAPACITY");
        case 8 -> new Kind("sql_read_only", "CALLER");
        case 10, 11, 13, 14, 26 -> new Kind("source_failing", "DEPENDENCY");
        case 18 -> new Kind("row_too_large", "CALLER");
        default -> new Kind("sql_error", "CALLER");
      };
    }
    boolean readOnly =
        state.equals("25006")
            || (dialect == Dialect.MYSQL && number == 1792)
            || (dialect == Dialect.ORACLE && number == 1456)
            || (dialect == Dialect.H2 && number == 90097);
    if (readOnly) {
      return new Kind("sql_read_only", "CALLER");
    }
    if (state.length() < 2) {
      return new Kind("sql_error", "CALLER");
    }
    return switch (state.substring(0, 2)) {
      case "08", "58", "XX", "F0" -> new Kind("source_failing", "DEPENDENCY");
      case "57" ->
          new Kind(state.equals("57014") ? "statement_cancelled" : "source_failing", "DEPENDENCY");
      case "53" -> new Kind("source_busy", "CAPACITY");
      case "40", "55" -> new Kind("sql_conflict", "DEPENDENCY");
      case "28" -> new Kind("source_login_refused", "DEPENDENCY");
      default -> new Kind("sql_error", "CALLER");
    };
  }

  private static @Nullable String sqlState(String state) {
    return state.isEmpty() ? null : state;
  }

  /** The message in one line, without the values that were bound and without secrets. */
  static String clean(
      SourceSettings source, Throwable failure, List<? extends @Nullable Object> parameters) {
    String message =
        failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    message = message.replaceAll("\\s+", " ").trim();
    for (Object parameter : parameters) {
      String value = parameter == null || parameter instanceof Boolean ? "" : parameter.toString();
      if (value.length() > 1 || (value.length() == 1 && message.contains("\"" + value + "\""))) {
        message =
            value.length() > 1
                ? message.replace(value, "***")
                : message.replace("\"" + value + "\"", "\"***\"");
      }
    }
    String password = source.password().reveal();
    if (password.length() > 2) {
      message = message.replace(password, "***");
    }
    if (message.toLowerCase(Locale.ROOT).contains("jdbc:")) {
      message = message.replaceAll("(?i)jdbc:\\S+", "the configured URL");
    }
    return message.length() > MAX_MESSAGE ? message.substring(0, MAX_MESSAGE) + "..." : message;
  }
}
