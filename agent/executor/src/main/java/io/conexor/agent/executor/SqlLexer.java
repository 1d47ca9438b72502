package io.conexor.agent.executor;

import io.conexor.agent.executor.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Cuts a statement into tokens exactly as the engine of its dialect does, and refuses what engines
 * or their drivers could cut in two ways. Comments are dropped; nothing behind the lexer sees them.
 */
final class SqlLexer {
  /** Deeper nesting has no use and costs the parser its stack. */
  private static final int MAX_DEPTH = 100;

  private final String sql;
  private final Dialect dialect;
  private final int maxTokens;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private int depth;

  private SqlLexer(String sql, Dialect dialect, int maxTokens) {
    this.sql = sql;
    this.dialect = dialect;
    this.maxTokens = maxTokens;
  }

  static List<Token> tokens(String sql, Dialect dialect, int maxTokens) {
    return new SqlLexer(sql, dialect, maxTokens).run();
  }

  private List<Token> run() {
    while (at < sql.length()) {
      char c = sql.charAt(at);
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        at++;
      } else if (c == '-' && next(1) == '-' && dashesStartComment()) {
        lineComment(2);
      } else if (c == '#' && dialect.hashComments()) {
        lineComment(1);
      } else if (c == '/' && next(1) == '/' && dialect.slashComments()) {
        lineComment(2);
      } else if (c == '/' && next(1) == '*') {
        blockComment();
      } else {
        token(c);
        if (tokens.size() > maxTokens) {
          throw refuse(
              "sql_too_long", "the statement has more than " + maxTokens + " words and signs", at);
        }
      }
    }
    if (depth > 0) {
      throw refuse("sql_not_understood", "an opening parenthesis is never closed", sql.length());
    }
    return tokens;
  }

  /**
   * MySQL takes {@code --} for a comment only in front of white space; {@code 5--1} is six there.
   */
  private boolean dashesStartComment() {
    return dialect != Dialect.MYSQL || at + 2 >= sql.length() || sql.charAt(at + 2) <= ' ';
  }

  private void lineComment(int opening) {
    int i = at + opening;
    for (; i < sql.length() && sql.charAt(i) != '\n'; i++) {
      char c = sql.charAt(i);
      boolean loneReturn = c == '\r' && !(i + 1 < sql.length() && sql.charAt(i + 1) == '\n');
      if (loneReturn
          || c == 0
          || c == 0x0B
          || c == '\f'
          || c == 0x85
          || c == 0x2028
          || c == 0x2029) {
        // engines disagree on whether these end the comment: the rest could be code to one and
        // comment to another
        throw refuse(
            "sql_ambiguous",
            "a line comment contains a line ending that engines read differently; use \\n",
            i);
      }
    }
    at = i;
  }

  private void blockComment() {
    int start = at;
    if (dialect == Dialect.MYSQL) {
      if (next(2) == '!' || ((next(2) == 'M' || next(2) == 'm') && next(3) == '!')) {
        throw refuse(
            "sql_executable_comment",
            "MySQL runs what is inside a comment like /*! */; write it openly",
            at);
      }
      if (next(2) == '+') {
        refuseStateChangingHints();
      }
    }
    int level = 1;
    int i = at + 2;
    while (level > 0) {
      int close = sql.indexOf("*/", i);
      if (close < 0) {
        throw refuse("sql_not_understood", "a comment is never closed", start);
      }
      int open = sql.indexOf("/*", i);
      if (open >= 0 && open < close) {
        if (dialect == Dialect.H2 || dialect == Dialect.MYSQL) {
          // nesting depends on the version there
          throw refuse(
              "sql_ambiguous",
              "a comment inside a comment is read differently by versions; remove it",
              open);
        }
        if (dialect.nestedComments()) {
          level++;
          i = open + 2;
        } else {
          level--;
          i = close + 2;
        }
      } else {
        level--;
        i = close + 2;
      }
    }
    at = i;
  }

  private void refuseStateChangingHints() {
    int close = sql.indexOf("*/", at);
    String hint = sql.substring(at, close < 0 ? sql.length() : close).toUpperCase(Locale.ROOT);
    if (hint.contains("SET_VAR") || hint.contains("RESOURCE_GROUP")) {
      throw refuse(
          "sql_changes_session", "the hints SET_VAR and RESOURCE_GROUP change server settings", at);
    }
  }

  private void token(char c) {
    int start = at;
    if (c == '\'') {
      string(start, dialect.backslashEscapes());
    } else if (c == '"') {
      doubleQuoted(start, false);
    } else if (c == '`' && dialect.backtickIdentifiers()) {
      at++;
      add(Kind.NAME, quoted('`', true, false), start);
    } else if (c == '[' && dialect.bracketIdentifiers()) {
      at++;
      add(Kind.NAME, quoted(']', dialect == Dialect.SQLSERVER, false), start);
    } else if (c == '$' && dialect.dollarQuotes() && dollarQuoted(start)) {
      return;
    } else if (isDigit(c) || (c == '.' && isDigit(next(1)) && !behindName())) {
      number(start);
    } else if (c == '$' && dialect == Dialect.POSTGRESQL && isDigit(next(1))) {
      at++;
      while (isDigit(next(0))) {
        at++;
      }
      throw refuse(
          "sql_not_understood", "numbered parameters ($1) are not bound here; write ?", start);
    } else if (c == '@'
        || (c == '$' && dialect == Dialect.SQLITE)
        || (c == ':' && isWordStart(next(1)) && !behind(':'))) {
      variable(c, start);
    } else if (isWordStart(c) || (c == '$' && dialect == Dialect.MYSQL)) {
      word(start);
    } else if (c == '(' || c == ')' || c == '[' || c == ']' || c == ',' || c == ';' || c == '.') {
      at++;
      depth(c, start);
      add(Kind.MARK, String.valueOf(c), start);
    } else if (c == '?') {
      questionMark(start);
    } else if (c == '{' || c == '}') {
      throw refuse(
          "sql_escape",
          "JDBC and ODBC escapes ({fn ...}, {d ...}) are not allowed; write the dialect's own form",
          at);
    } else if (c > ' ' && c < 0x7F) {
      operator(start);
    } else {
      throw refuse(
          "sql_invisible_character",
          String.format(
              Locale.ROOT,
              "character U+%04X outside quotes is not plain white space; replace it",
              sql.codePointAt(at)),
          at);
    }
  }

  private void depth(char c, int start) {
    if (c == '(') {
      depth++;
      if (depth > MAX_DEPTH) {
        throw refuse(
            "sql_too_long", "parentheses are nested more than " + MAX_DEPTH + " deep", start);
      }
    } else if (c == ')') {
      depth--;
      if (depth < 0) {
        throw refuse("sql_not_understood", "a closing parenthesis has no opening one", start);
      }
    }
  }

  private void string(int start, boolean backslash) {
    at++;
    String value = quoted('\'', true, backslash);
    add(Kind.STRING, value, start);
  }

  /**
   * Content of a quoted token; {@code at} stands behind the opening quote and ends behind the
   * closing one.
   */
  private String quoted(char close, boolean doubling, boolean backslash) {
    int opening = at - 1;
    StringBuilder value = new StringBuilder();
    while (at < sql.length()) {
      char c = sql.charAt(at);
      if (c == 0) {
        throw refuse(
            "sql_invisible_character",
            "a NUL character ends the text for some engines; remove it",
            at);
      }
      if (backslash && c == '\\') {
        value.append(c);
        if (at + 1 < sql.length()) {
          value.append(sql.charAt(at + 1));
        }
        at += 2;
      } else if (c == close) {
        if (doubling && next(1) == close) {
          value.append(c);
          at += 2;
        } else {
          at++;
          return value.toString();
        }
      } else {
        value.append(c);
        at++;
      }
    }
    throw refuse("sql_not_understood", "a quote is never closed", opening);
  }

  private void doubleQuoted(int start, boolean unicode) {
    at++;
    if (dialect == Dialect.MYSQL) {
      int inside = at;
      String asString = quoted('"', true, true);
      int end = at;
      at = inside;
      if (sql.substring(inside, Math.min(end, sql.length())).indexOf('\\') >= 0) {
        int asNameEnd;
        try {
          quoted('"', true, false);
          asNameEnd = at;
        } catch (SqlSyntaxException neverClosed) {
          asNameEnd = -1;
        }
        if (asNameEnd != end) {
          throw refuse(
              "sql_ambiguous",
              "\\\" in double quotes depends on the server's mode; use single quotes",
              start);
        }
      }
      at = end;
      add(Kind.EITHER, asString, start);
      return;
    }
    String value = quoted('"', dialect.doubledNameQuotes(), false);
    add(Kind.NAME, unicode ? unescaped(value, start) : value, start);
  }

  private boolean dollarQuoted(int start) {
    if (!tokens.isEmpty() && tokens.get(tokens.size() - 1).end() == start) {
      Token last = tokens.get(tokens.size() - 1);
      if (last.kind() == Kind.WORD || last.kind() == Kind.NUMBER) {
        throw refuse(
            "sql_ambiguous",
            "a dollar quote directly behind a word or number; put a space between",
            start);
      }
    }
    int i = start + 1;
    if (dialect == Dialect.POSTGRESQL) {
      while (i < sql.length() && isWordPart(sql.charAt(i)) && sql.charAt(i) != '$') {
        i++;
      }
      if (i > start + 1 && isDigit(sql.charAt(start + 1))) {
        return false;
      }
    }
    if (i >= sql.length() || sql.charAt(i) != '$') {
      return false;
    }
    String tag = sql.substring(start, i + 1);
    int close = sql.indexOf(tag, i + 1);
    if (close < 0) {
      throw refuse("sql_not_understood", "a dollar quote is never closed", start);
    }
    String value = sql.substring(i + 1, close);
    if (value.indexOf(0) >= 0) {
      throw refuse(
          "sql_invisible_character",
          "a NUL character ends the text for some engines; remove it",
          start);
    }
    at = close + tag.length();
    add(Kind.STRING, value, start);
    return true;
  }

  private void number(int start) {
    if (next(0) == '0' && (next(1) == 'x' || next(1) == 'X')) {
      at += 2;
      while (Character.digit(next(0), 16) >= 0 || next(0) == '_') {
        at++;
      }
    } else {
      digits();
      if (next(0) == '.' && next(1) != '.') {
        at++;
        digits();
      }
      int exponent = next(1) == '+' || next(1) == '-' ? 2 : 1;
      if ((next(0) == 'e' || next(0) == 'E') && isDigit(next(exponent))) {
        at += exponent;
        digits();
      }
    }
    add(Kind.NUMBER, sql.substring(start, at), start);
  }

  private void digits() {
    while (isDigit(next(0)) || (next(0) == '_' && isDigit(next(1)))) {
      at++;
    }
  }

  private void variable(char sign, int start) {
    if (sign == '@' && dialect == Dialect.POSTGRESQL) {
      operator(start);
      return;
    }
    if (sign == ':'
        && (dialect == Dialect.POSTGRESQL || dialect == Dialect.H2)
        && !tokens.isEmpty()) {
      Token last = tokens.get(tokens.size() - 1);
      if (last.end() == start
          && dialect == Dialect.POSTGRESQL
          && (last.isName() || last.kind() == Kind.NUMBER)) {
        // an array slice such as a[lo:hi]
        at++;
        add(Kind.OPERATOR, ":", start);
        return;
      }
    }
    at++;
    if (sign == '@' && next(0) == '@') {
      at++;
    }
    char c = next(0);
    if (sign == '@' && dialect == Dialect.MYSQL && (c == '`' || c == '\'' || c == '"')) {
      at++;
      quoted(c, true, c != '`');
      if (c == '"' && sql.substring(start, at).indexOf('\\') >= 0) {
        throw refuse(
            "sql_ambiguous", "a backslash in a variable's quoted name; use a plain name", start);
      }
    } else {
      while (isWordPart(next(0)) || (next(0) == '#' && dialect == Dialect.SQLSERVER)) {
        at++;
      }
    }
    add(Kind.VARIABLE, sql.substring(start, at), start);
  }

  private void word(int start) {
    while (at < sql.length() && isWordPart(sql.charAt(at))) {
      at++;
    }
    String word = sql.substring(start, at);
    char c = next(0);
    if (c == '\'' && prefixedString(word, start)) {
      return;
    }
    if (dialect.unicodeEscapes()
        && word.equalsIgnoreCase("u")
        && c == '&'
        && (next(1) == '\'' || next(1) == '"')) {
      at++;
      if (next(0) == '"') {
        doubleQuoted(start, true);
      } else {
        string(start, false);
        refuseContinuation(start);
        Token last = tokens.remove(tokens.size() - 1);
        add(Kind.STRING, unescaped(last.value(), start), start);
      }
      return;
    }
    add(Kind.WORD, word, start);
  }

  /**
   * Strings whose prefix changes how they are read: E'..', q'[..]', and the harmless N'..', X'..',
   * B'..'.
   */
  private boolean prefixedString(String word, int start) {
    String prefix = word.toUpperCase(Locale.ROOT);
    if (dialect == Dialect.POSTGRESQL && prefix.equals("E")) {
      string(start, true);
      refuseContinuation(start);
      return true;
    }
    if (dialect == Dialect.ORACLE && (prefix.equals("Q") || prefix.equals("NQ"))) {
      oracleQuoted(start);
      return true;
    }
    boolean harmless =
        switch (prefix) {
          case "N" -> true;
          case "X", "B" -> dialect != Dialect.SQLSERVER && dialect != Dialect.ORACLE;
          default -> dialect == Dialect.MYSQL && word.startsWith("_");
        };
    if (harmless) {
      string(start, dialect.backslashEscapes());
    }
    return harmless;
  }

  /**
   * PostgreSQL continues a string on the next line with the same escape rules; nobody needs that
   * here.
   */
  private void refuseContinuation(int start) {
    int saved = at;
    int count = tokens.size();
    while (at < sql.length()) {
      char c = sql.charAt(at);
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        at++;
      } else if (c == '-' && next(1) == '-') {
        lineComment(2);
      } else {
        break;
      }
    }
    if (next(0) == '\'') {
      throw refuse(
          "sql_ambiguous",
          "a string with escapes that goes on in a second literal; join them with ||",
          start);
    }
    at = saved;
    while (tokens.size() > count) {
      tokens.remove(tokens.size() - 1);
    }
  }

  private void oracleQuoted(int start) {
    at++;
    if (at >= sql.length()) {
      throw refuse("sql_not_understood", "a quote is never closed", start);
    }
    char open = sql.charAt(at);
    if (open <= ' ' || Character.isSurrogate(open) || Character.isWhitespace(open)) {
      throw refuse("sql_not_understood", "q'' needs a visible delimiter", start);
    }
    char close =
        switch (open) {
          case '[' -> ']';
          case '{' -> '}';
          case '(' -> ')';
          case '<' -> '>';
          default -> open;
        };
    int end = sql.indexOf("" + close + '\'', at + 1);
    if (end < 0) {
      throw refuse("sql_not_understood", "a quote is never closed", start);
    }
    String value = sql.substring(at + 1, end);
    at = end + 2;
    add(Kind.STRING, value, start);
  }

  /**
   * Decodes {@code \0061} and {@code \+000061}; a custom escape character follows in a UESCAPE
   * clause.
   */
  private String unescaped(String raw, int start) {
    char escape = '\\';
    int saved = at;
    skipBlanks();
    if (sql.regionMatches(true, at, "UESCAPE", 0, 7)) {
      at += 7;
      skipBlanks();
      if (next(0) != '\'' || next(2) != '\'') {
        throw refuse("sql_not_understood", "UESCAPE needs one character in single quotes", at);
      }
      escape = next(1);
      at += 3;
    } else {
      at = saved;
    }
    StringBuilder out = new StringBuilder(raw.length());
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      if (c != escape) {
        out.append(c);
      } else if (i + 1 < raw.length() && raw.charAt(i + 1) == escape) {
        out.append(escape);
        i++;
      } else {
        boolean wide = i + 1 < raw.length() && raw.charAt(i + 1) == '+';
        int from = i + (wide ? 2 : 1);
        int to = from + (wide ? 6 : 4);
        int codePoint;
        try {
          codePoint = to <= raw.length() ? Integer.parseInt(raw.substring(from, to), 16) : -1;
        } catch (NumberFormatException notHex) {
          codePoint = -1;
        }
        if (codePoint <= 0 || !Character.isValidCodePoint(codePoint)) {
          throw refuse(
              "sql_not_understood",
              "a Unicode escape is not four (or + and six) hexadecimal digits",
              start);
        }
        out.appendCodePoint(codePoint);
        i = to - 1;
      }
    }
    return out.toString();
  }

  private void skipBlanks() {
    while (at < sql.length()) {
      char c = sql.charAt(at);
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        at++;
      } else if (c == '-' && next(1) == '-') {
        lineComment(2);
      } else if (c == '/' && next(1) == '*') {
        blockComment();
      } else {
        return;
      }
    }
  }

  private void questionMark(int start) {
    if (next(1) == '?') {
      // JDBC's way to write PostgreSQL's ? operators
      at += 2;
      if (next(0) == '|' || next(0) == '&') {
        at++;
      }
      add(Kind.OPERATOR, sql.substring(start, at), start);
      return;
    }
    at++;
    if (isDigit(next(0))) {
      throw refuse(
          "sql_not_understood", "numbered parameters (?1) are not bound here; write ?", start);
    }
    if (dialect == Dialect.POSTGRESQL && (next(0) == '|' || next(0) == '&') && next(1) != next(0)) {
      throw refuse(
          "sql_not_understood", "write the operator ?" + next(0) + " as ??" + next(0), start);
    }
    add(Kind.PARAMETER, "?", start);
  }

  private void operator(int start) {
    if ("+-*/<>=~!@#%^&|`:\\$".indexOf(next(0)) < 0) {
      throw refuse("sql_not_understood", "unexpected character '" + next(0) + "'", start);
    }
    at++;
    if (dialect == Dialect.POSTGRESQL && sql.charAt(start) != ':') {
      while ("+-*/<>=~!@#%^&|`".indexOf(next(0)) >= 0 && next(0) != 0) {
        if ((next(0) == '-' && next(1) == '-') || (next(0) == '/' && next(1) == '*')) {
          break;
        }
        at++;
      }
      // a multi-character operator does not end in + or - unless it has one of these: 1*-1 is * and
      // -
      String run = sql.substring(start, at);
      while (run.length() > 1
          && (run.endsWith("+") || run.endsWith("-"))
          && run.chars().noneMatch(ch -> "~!@#%^&|`?".indexOf(ch) >= 0)) {
        run = run.substring(0, run.length() - 1);
      }
      at = start + run.length();
    } else {
      for (String pair :
          new String[] {
            "->>", "<=>", "||", "<>", "!=", "<=", ">=", "::", ":=", "->", "&&", "<<", ">>", "=>",
            "^=", "=="
          }) {
        if (sql.startsWith(pair, start)) {
          at = start + pair.length();
          break;
        }
      }
    }
    add(Kind.OPERATOR, sql.substring(start, at), start);
  }

  private void add(Kind kind, String value, int start) {
    tokens.add(new Token(kind, value, start, at));
  }

  private boolean behindName() {
    if (tokens.isEmpty()) {
      return false;
    }
    Token last = tokens.get(tokens.size() - 1);
    return last.end() == at && (last.isName() || last.isMark(')') || last.isMark(']'));
  }

  private boolean behind(char c) {
    return at > 0 && sql.charAt(at - 1) == c;
  }

  private char next(int ahead) {
    int i = at + ahead;
    return i < sql.length() ? sql.charAt(i) : 0;
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private boolean isWordStart(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') {
      return true;
    }
    if (c == '#') {
      return dialect == Dialect.SQLSERVER;
    }
    return c >= 0x80 && isVisible(c);
  }

  private boolean isWordPart(char c) {
    return isWordStart(c)
        || isDigit(c)
        || c == '$'
        || (c == '#' && dialect == Dialect.ORACLE)
        || (c == '@' && dialect == Dialect.SQLSERVER);
  }

  /**
   * Letters, marks, digits, symbols; not the white space and format characters some engines skip
   * over.
   */
  private static boolean isVisible(char c) {
    if (Character.isSurrogate(c)) {
      return true;
    }
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SPACE_SEPARATOR,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.UNASSIGNED,
          Character.PRIVATE_USE ->
          false;
      default -> true;
    };
  }

  private static SqlSyntaxException refuse(String code, String reason, int position) {
    return new SqlSyntaxException(code, reason, position);
  }
}
