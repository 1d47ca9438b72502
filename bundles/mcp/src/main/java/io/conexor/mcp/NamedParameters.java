package io.conexor.mcp;

import java.util.ArrayList;
import java.util.List;

/**
 * A statement with {@code :name} parameters, rewritten to {@code ?} and the names in order. Texts,
 * quoted names, comments, dollar quotes and {@code ::} casts are passed over.
 *
 * @param names one for each {@code ?}, in order
 */
record NamedParameters(String sql, List<String> names) {

  static NamedParameters of(String sql) {
    StringBuilder out = new StringBuilder(sql.length());
    List<String> names = new ArrayList<>();
    int i = 0;
    while (i < sql.length()) {
      char c = sql.charAt(i);
      int end = skipped(sql, i, c);
      if (end > i) {
        out.append(sql, i, end);
        i = end;
      } else if (c == ':' && isStart(sql, i + 1)) {
        int stop = i + 1;
        while (stop < sql.length() && isPart(sql.charAt(stop))) {
          stop++;
        }
        names.add(sql.substring(i + 1, stop));
        out.append('?');
        i = stop;
      } else {
        out.append(c);
        i++;
      }
    }
    return new NamedParameters(out.toString(), List.copyOf(names));
  }

  /** The end of what has to stay as it is, or {@code i}. */
  private static int skipped(String sql, int i, char c) {
    return switch (c) {
      case '\'', '"', '`' -> quoted(sql, i, c);
      case '[' ->
          i; // an array in PostgreSQL, a name in SQL Server: both hold no parameter by chance
      case ':' -> sql.startsWith("::", i) ? i + 2 : sql.startsWith(":=", i) ? i + 2 : i;
      case '-' -> sql.startsWith("--", i) ? upTo(sql, i, "\n") : i;
      case '/' -> sql.startsWith("/*", i) ? comment(sql, i) : i;
      case '$' -> dollar(sql, i);
      default -> i;
    };
  }

  private static int quoted(String sql, int from, char quote) {
    boolean escapes =
        quote == '\''
            && from > 0
            && (sql.charAt(from - 1) == 'E' || sql.charAt(from - 1) == 'e')
            && (from == 1 || !isPart(sql.charAt(from - 2)));
    for (int i = from + 1; i < sql.length(); i++) {
      char c = sql.charAt(i);
      if (escapes && c == '\\') {
        i++;
      } else if (c == quote) {
        return i + 1; // a doubled quote opens the next quoted part at once
      }
    }
    return sql.length();
  }

  private static int comment(String sql, int from) {
    int depth = 0;
    for (int i = from; i + 1 < sql.length(); i++) {
      if (sql.startsWith("/*", i)) {
        depth++;
        i++;
      } else if (sql.startsWith("*/", i)) {
        i++;
        if (--depth == 0) {
          return i + 1;
        }
      }
    }
    return sql.length();
  }

  private static int dollar(String sql, int from) {
    if (from > 0 && isPart(sql.charAt(from - 1))) {
      return from;
    }
    int i = from + 1;
    while (i < sql.length() && isPart(sql.charAt(i))) {
      i++;
    }
    boolean tag =
        i < sql.length() && sql.charAt(i) == '$' && !Character.isDigit(sql.charAt(from + 1));
    return tag ? upTo(sql, i + 1, sql.substring(from, i + 1)) : from;
  }

  private static int upTo(String sql, int from, String end) {
    int at = sql.indexOf(end, from);
    return at < 0 ? sql.length() : at + end.length();
  }

  private static boolean isStart(String sql, int i) {
    return i < sql.length() && (Character.isLetter(sql.charAt(i)) || sql.charAt(i) == '_');
  }

  private static boolean isPart(char c) {
    return Character.isLetterOrDigit(c) || c == '_';
  }
}
