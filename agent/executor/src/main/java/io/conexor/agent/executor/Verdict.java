package io.conexor.agent.executor;

/** What the gate thinks of one statement text. */
sealed interface Verdict {

  /**
   * What kind of read it is; the executor runs only {@link #QUERY} inside a one-trip transaction.
   */
  enum Kind {
    QUERY,
    EXPLAIN,
    SHOW
  }

  /**
   * The statement may run.
   *
   * @param text what to send: the checked text without what follows it (a semicolon, comments)
   * @param parameters how many {@code ?} it has
   */
  record Allowed(String text, Kind kind, int parameters) implements Verdict {}

  /**
   * The statement must not run.
   *
   * @param code stable word for programs, such as {@code sql_writes}
   * @param reason for the person who wrote the statement: what was found, where, and what to do
   *     instead
   * @param position offset in the text, or -1 when no single place is to blame
   */
  record Refused(String code, String reason, int position) implements Verdict {}
}
