package io.conexor.agent.executor;

import java.util.Locale;
import java.util.Optional;

/**
 * The SQL dialects the gate knows, with what their lexers do differently.
 *
 * <p>A gate that cuts a text into tokens differently from the engine can be made to look at a
 * comment while the engine looks at a statement; every flag here exists because of one such
 * difference.
 */
enum Dialect {
  POSTGRESQL("PostgreSQL"),
  MYSQL("MySQL/MariaDB"),
  SQLSERVER("SQL Server"),
  ORACLE("Oracle"),
  SQLITE("SQLite"),
  H2("H2");

  private final String title;

  Dialect(String title) {
    this.title = title;
  }

  String title() {
    return title;
  }

  /** The dialect behind a JDBC URL, or empty if this agent has no rules for it. */
  static Optional<Dialect> ofUrl(String url) {
    String lower = url.toLowerCase(Locale.ROOT);
    if (lower.startsWith("jdbc:postgresql:")) {
      return Optional.of(POSTGRESQL);
    }
    if (lower.startsWith("jdbc:mysql:") || lower.startsWith("jdbc:mariadb:")) {
      return Optional.of(MYSQL);
    }
    if (lower.startsWith("jdbc:sqlserver:")) {
      return Optional.of(SQLSERVER);
    }
    if (lower.startsWith("jdbc:oracle:")) {
      return Optional.of(ORACLE);
    }
    if (lower.startsWith("jdbc:sqlite:")) {
      return Optional.of(SQLITE);
    }
    if (lower.startsWith("jdbc:h2:")) {
      return Optional.of(H2);
    }
    return Optional.empty();
  }

  boolean nestedComments() {
    return this == POSTGRESQL || this == SQLSERVER || this == H2;
  }

  boolean dollarQuotes() {
    return this == POSTGRESQL || this == H2;
  }

  boolean backslashEscapes() {
    return this == MYSQL;
  }

  boolean bracketIdentifiers() {
    return this == SQLSERVER || this == SQLITE;
  }

  boolean backtickIdentifiers() {
    return this == MYSQL || this == SQLITE || this == H2;
  }

  /** Whether a doubled closing quote stands for one inside a double-quoted name. */
  boolean doubledNameQuotes() {
    return this != ORACLE;
  }

  boolean unicodeEscapes() {
    return this == POSTGRESQL || this == H2;
  }

  boolean hashComments() {
    return this == MYSQL;
  }

  boolean slashComments() {
    return this == H2;
  }

  /** Whether a reserved word directly behind a dot is an ordinary name. */
  boolean reservedNamesAfterDot() {
    return this == POSTGRESQL || this == MYSQL;
  }
}
