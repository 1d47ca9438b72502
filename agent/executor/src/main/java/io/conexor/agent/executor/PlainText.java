package io.conexor.agent.executor;

import io.conexor.agent.executor.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Writes tokens down again in the plainest SQL that has the same structure: no comments, every
 * literal {@code 's'} or a number, names quoted where the parser's keywords differ from the
 * engine's, operators it does not know replaced by ones it does. The parser then has no lexical
 * decision left to get wrong; only the shape of the statement is its business.
 */
final class PlainText {

  /**
   * Words the parser reserves and the engines do not, outside the places where they are keywords.
   */
  private static final Set<String> SOFT =
      words(
          """
          ABSENT CASEWHEN EXCLUDES EXTEND FINAL FORCE GLOBAL IGNORE INCLUDES OPTIMIZE
          OUTPUT OVERWRITE PREFERRING PRIOR PROCEDURE PUBLIC QUALIFY SAMPLE SEL SEMI
          START TABLES VALUE VARYING XOR CURRENT IF USE TOP MINUS SET CONNECT SQL_CACHE
          SOME UNKNOWN IIF ONLY NOCYCLE UNPIVOT PIVOT GROUPING NEXTVAL DEFAULT DOUBLE
          """);

  private static final Set<Kind> COUNTS = Set.of(Kind.NUMBER, Kind.PARAMETER);

  private static final Set<String> CLAUSES =
      words(
          """
          WHERE JOIN LEFT RIGHT INNER FULL CROSS NATURAL GROUP ORDER HAVING UNION MINUS
          INTERSECT CONNECT START FETCH OFFSET ON
          """);

  private static final Set<String> PREFIX_POSITION =
      words(
          """
          SELECT WHERE AND OR NOT ON HAVING BY WHEN THEN ELSE CASE IN LIKE BETWEEN
          DISTINCT LIMIT OFFSET RETURNING IS FROM VALUES ALL ANY ILIKE
          """);

  private final Dialect dialect;
  private final List<Token> tokens;
  private final StringBuilder text = new StringBuilder();
  private final List<int[]> places = new ArrayList<>();

  private PlainText(Dialect dialect, List<Token> tokens) {
    this.dialect = dialect;
    this.tokens = tokens;
  }

  static PlainText of(Dialect dialect, List<Token> tokens) {
    PlainText plain = new PlainText(dialect, tokens);
    for (int i = 0; i < tokens.size(); ) {
      int behind = plain.omitted(i);
      i = behind > i ? behind : plain.write(i);
    }
    return plain;
  }

  String text() {
    return text.toString();
  }

  /** Where the character at a column (from 1) of the plain text came from. */
  int origin(int column) {
    int origin = tokens.get(0).start();
    for (int[] place : places) {
      if (place[0] > column - 1) {
        break;
      }
      origin = place[1];
    }
    return origin;
  }

  /**
   * Clauses the parser does not know and that hold no statement: where they end, or {@code i}. The
   * token rules have seen them already.
   */
  private int omitted(int i) {
    Token token = tokens.get(i);
    if (token.kind() == Kind.STRING) {
      // 'a' 'b' is one literal
      return i > 0 && tokens.get(i - 1).kind() == Kind.STRING ? i + 1 : i;
    }
    if (token.kind() == Kind.VARIABLE && dialect == Dialect.ORACLE) {
      return behindName(i + 1);
    }
    if (token.kind() != Kind.WORD || i == 0 || tokens.get(i - 1).isMark('.')) {
      return i;
    }
    String previous = tokens.get(i - 1).fold();
    return switch (token.fold()) {
      case "COLLATE" -> nameFollows(i + 1) ? behindName(i + 2) : i;
      case "NOT" -> word(i + 1, "MATERIALIZED") ? i + 2 : word(i + 1, "INDEXED") ? i + 2 : i;
      case "INDEXED" -> word(i + 1, "BY") ? i + 3 : i;
      case "CHARACTER" -> word(i + 1, "SET") ? i + 3 : i;
      case "NAME" ->
          i > 1 && tokens.get(i - 2).isWord("XMLELEMENT") && nameFollows(i + 1) ? i + 1 : i;
      case "WITH" ->
          dialect == Dialect.SQLSERVER && mark(i + 1, '(') ? behindParentheses(i + 1) : i;
      case "OPTION" ->
          dialect == Dialect.SQLSERVER && mark(i + 1, '(') ? behindParentheses(i + 1) : i;
      case "FOR" -> word(i + 1, "SYSTEM_TIME") ? behindSystemTime(i + 2) : i;
      case "AS" ->
          dialect == Dialect.ORACLE
                  && word(i + 1, "OF")
                  && (word(i + 2, "TIMESTAMP") || word(i + 2, "SCN"))
              ? behindExpression(i + 3)
              : i;
      case "VERSIONS" ->
          dialect == Dialect.ORACLE && word(i + 1, "BETWEEN") ? behindExpression(i + 2) : i;
      case "IS" -> behindTruth(i, previous);
      case "NOTNULL", "ISNULL" -> dialect == Dialect.SQLITE && !mark(i + 1, '(') ? i + 1 : i;
      case "TO" ->
          i > 1 && tokens.get(i - 2).kind() == Kind.STRING && nameFollows(i + 1) ? i + 2 : i;
      case "COLUMNS", "PASSING" -> behindTableColumns(i);
      default -> i;
    };
  }

  private boolean word(int i, String upper) {
    return i < tokens.size() && tokens.get(i).isWord(upper);
  }

  private boolean mark(int i, char mark) {
    return i < tokens.size() && tokens.get(i).isMark(mark);
  }

  private boolean nameFollows(int i) {
    return i < tokens.size() && tokens.get(i).isName();
  }

  private int behindName(int i) {
    return mark(i, '.') && nameFollows(i + 1) ? behindName(i + 2) : i;
  }

  private int behindParentheses(int open) {
    int depth = 0;
    for (int i = open; i < tokens.size(); i++) {
      if (tokens.get(i).isMark('(')) {
        depth++;
      } else if (tokens.get(i).isMark(')') && --depth == 0) {
        return i + 1;
      }
    }
    return tokens.size();
  }

  private int behindSystemTime(int i) {
    if (word(i, "ALL")) {
      return i + 1;
    }
    if (word(i, "AS") && word(i + 1, "OF")) {
      return i + 3;
    }
    if (word(i, "CONTAINED") && mark(i + 2, '(')) {
      return behindParentheses(i + 2);
    }
    return i + 4;
  }

  private int behindExpression(int i) {
    int depth = 0;
    for (; i < tokens.size(); i++) {
      Token token = tokens.get(i);
      if (token.isMark('(')) {
        depth++;
      } else if (token.isMark(')') && --depth < 0) {
        return i;
      } else if (depth == 0
          && (token.isMark(',') || (token.kind() == Kind.WORD && CLAUSES.contains(token.fold())))) {
        return i;
      }
    }
    return i;
  }

  /** {@code (...) IS NOT TRUE} says nothing about the shape. */
  private int behindTruth(int i, String previous) {
    int truth = word(i + 1, "NOT") ? i + 2 : i + 1;
    boolean isTruth = word(truth, "TRUE") || word(truth, "FALSE") || word(truth, "UNKNOWN");
    return isTruth && previous.equals(")") ? truth + 1 : i;
  }

  /** The column list of JSON_TABLE and XMLTABLE, up to the parenthesis that closes the call. */
  private int behindTableColumns(int i) {
    int depth = 0;
    for (int j = i; j >= 0; j--) {
      if (tokens.get(j).isMark(')')) {
        depth++;
      } else if (tokens.get(j).isMark('(') && --depth < 0) {
        boolean table = j > 0 && (word(j - 1, "JSON_TABLE") || word(j - 1, "XMLTABLE"));
        return table ? behindParentheses(j) - 1 : i;
      }
    }
    return i;
  }

  private int write(int i) {
    Token token = tokens.get(i);
    switch (token.kind()) {
      case WORD -> {
        return word(i);
      }
      case NAME, EITHER -> put(quoted(token.value()), token);
      case STRING -> put("'s'", token);
      case NUMBER -> put(number(token.value()), token);
      case PARAMETER -> put("?", token);
      case VARIABLE -> put(variable(token), token);
      case OPERATOR -> {
        return operator(i);
      }
      case MARK -> {
        put(token.value(), token);
        if (token.isMark('.') && mark(i + 1, '.')) {
          // db..table: the schema left out
          put("\"x\"", token);
        }
      }
    }
    return i + 1;
  }

  private int word(int i) {
    Token token = tokens.get(i);
    boolean ascii = token.value().chars().allMatch(c -> c < 0x80);
    boolean odd = !ascii || token.value().indexOf('$') >= 0 || token.value().indexOf('#') >= 0;
    boolean behindDot = i > 0 && tokens.get(i - 1).isMark('.');
    boolean call = mark(i + 1, '(');
    Optional<String> other = infix(i);
    if (other.isPresent()) {
      put(other.get(), token);
      return token.isWord("IS") && word(i + 1, "NOT") ? i + 2 : i + 1;
    }
    boolean name = odd || (behindDot && !call) || (SOFT.contains(token.fold()) && !isKeyword(i));
    put(name ? quoted(token.value()) : token.value(), token);
    return i + 1;
  }

  /** Words that are operators in one dialect. */
  private Optional<String> infix(int i) {
    if (i == 0
        || i + 1 >= tokens.size()
        || isPrefixPosition(tokens.get(i - 1))
        || tokens.get(i - 1).isMark('.')) {
      return Optional.empty();
    }
    String word = tokens.get(i).fold();
    if (dialect == Dialect.MYSQL
        && (word.equals("DIV") || word.equals("MOD"))
        && !mark(i + 1, '(')) {
      return Optional.of("/");
    }
    if (dialect == Dialect.SQLITE
        && (word.equals("GLOB") || word.equals("MATCH"))
        && !mark(i + 1, '(')) {
      return Optional.of("LIKE");
    }
    if (dialect == Dialect.SQLITE && word.equals("IS")) {
      int operand = word(i + 1, "NOT") ? i + 2 : i + 1;
      boolean plain =
          word(operand, "NULL")
              || word(operand, "DISTINCT")
              || word(operand, "TRUE")
              || word(operand, "FALSE");
      return plain ? Optional.empty() : Optional.of("=");
    }
    return Optional.empty();
  }

  /** Whether a word of {@link #SOFT} is a keyword where it stands. */
  private boolean isKeyword(int i) {
    String word = tokens.get(i).fold();
    String next = i + 1 < tokens.size() ? tokens.get(i + 1).fold() : "";
    String previous = i > 0 ? tokens.get(i - 1).fold() : "";
    return switch (word) {
      case "START", "CONNECT" -> next.equals("WITH") || next.equals("BY");
      case "CURRENT" -> next.equals("ROW");
      case "TOP" -> isTop(i, previous);
      case "MINUS" -> dialect == Dialect.ORACLE || dialect == Dialect.H2;
      case "PIVOT", "UNPIVOT" -> next.equals("(");
      case "PRIOR", "NOCYCLE" -> dialect == Dialect.ORACLE;
      case "XOR" -> dialect == Dialect.MYSQL;
      case "IF", "IIF", "CASEWHEN" -> next.equals("(");
      case "GROUPING" -> next.equals("(") || next.equals("SETS");
      case "QUALIFY" ->
          dialect == Dialect.H2 && !previous.equals("SELECT") && !previous.equals(",");
      case "USE", "FORCE", "IGNORE" ->
          next.equals("INDEX")
              || next.equals("KEY")
              || (word.equals("IGNORE") && next.equals("NULLS"));
      case "SOME" -> next.equals("(");
      case "ONLY" ->
          previous.equals("ROWS") || previous.equals("ROW") || dialect == Dialect.POSTGRESQL;
      case "UNKNOWN" -> previous.equals("IS") || previous.equals("NOT");
      case "VARYING", "SET" -> previous.equals("CHARACTER") || previous.equals("BIT");
      case "DOUBLE" -> next.equals("PRECISION") || previous.equals("AS") || previous.equals("::");
      case "GLOBAL", "PUBLIC", "SQL_CACHE", "DEFAULT" -> false;
      case "SAMPLE" -> dialect == Dialect.ORACLE && next.equals("(");
      case "ABSENT" -> next.equals("ON");
      default -> false;
    };
  }

  private boolean isTop(int i, String previous) {
    boolean dialectHasTop = dialect == Dialect.SQLSERVER || dialect == Dialect.H2;
    boolean count =
        mark(i + 1, '(') || (i + 1 < tokens.size() && COUNTS.contains(tokens.get(i + 1).kind()));
    return dialectHasTop
        && count
        && (previous.equals("SELECT") || previous.equals("DISTINCT") || previous.equals("ALL"));
  }

  private int operator(int i) {
    Token token = tokens.get(i);
    String operator = token.value();
    int end = i + 1;
    while (end < tokens.size()
        && dialect == Dialect.POSTGRESQL
        && tokens.get(end).kind() == Kind.OPERATOR
        && tokens.get(end).start() == tokens.get(end - 1).end()
        && (operator.indexOf('?') >= 0 || tokens.get(end).value().indexOf('?') >= 0)) {
      operator += tokens.get(end).value();
      end++;
    }
    String plain = plain(operator, i);
    if (!plain.isEmpty()) {
      put(plain, token);
    }
    return end;
  }

  private String plain(String operator, int i) {
    boolean prefix = i == 0 || isPrefixPosition(tokens.get(i - 1));
    switch (operator) {
      case "+",
          "-",
          "*",
          "/",
          "%",
          "=",
          "<",
          ">",
          "<=",
          ">=",
          "<>",
          "!=",
          "||",
          "::",
          "->",
          "->>",
          "~",
          "&&",
          "=>",
          ":" -> {
        return prefix && operator.equals("~") ? "-" : operator;
      }
      case "<=>", "^=", "=*", "==" -> {
        return "=";
      }
      case "&", "|", "^", "#", "<<", ">>" -> {
        return prefix ? "-" : "+";
      }
      case "!" -> {
        return "NOT";
      }
      case "$" -> {
        return "";
      }
      case ":=" -> {
        return "=>";
      }
      case "!~",
          "!~*",
          "~*",
          "~~",
          "~~*",
          "!~~",
          "!~~*",
          "@@",
          "@>",
          "<@",
          "@?",
          "??",
          "??|",
          "??&",
          "@??" -> {
        return "LIKE";
      }
      default -> {
        // PostgreSQL lets anybody define operators; one in front of a value is dropped, one between
        // two becomes a plus
        return prefix ? "" : operator.endsWith("=") && operator.length() > 1 ? "=" : "+";
      }
    }
  }

  private static boolean isPrefixPosition(Token previous) {
    return previous.kind() == Kind.OPERATOR
        || previous.isMark('(')
        || previous.isMark(',')
        || previous.isMark('[')
        || (previous.kind() == Kind.WORD && PREFIX_POSITION.contains(previous.fold()));
  }

  private static String number(String digits) {
    boolean plain = digits.chars().allMatch(c -> c >= '0' && c <= '9') && digits.length() < 18;
    return plain ? digits : "1.5";
  }

  private static String variable(Token token) {
    return token.value().startsWith(":") ? "?" : "\"v\"";
  }

  private static String quoted(String name) {
    StringBuilder safe = new StringBuilder("\"");
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      boolean plain =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      safe.append(plain ? c : 'x');
    }
    return safe.append(name.isEmpty() ? "x\"" : "\"").toString();
  }

  private void put(String plain, Token from) {
    if (text.length() > 0) {
      text.append(' ');
    }
    places.add(new int[] {text.length(), from.start()});
    text.append(plain);
  }

  private static Set<String> words(String list) {
    return Set.of(list.trim().split("\\s+"));
  }
}
