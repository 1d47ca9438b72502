package io.conexor.itests.architecture;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One clause of a manifest header: its paths, and its attributes and directives by name. */
record Header(List<String> paths, Map<String, String> parameters) {

  /** The clauses of a header value; none for a header that is absent. */
  static List<Header> clauses(String value) {
    List<Header> clauses = new ArrayList<>();
    for (String clause : split(value, ',')) {
      List<String> paths = new ArrayList<>();
      Map<String, String> parameters = new LinkedHashMap<>();
      for (String part : split(clause, ';')) {
        int equals = part.indexOf('=');
        if (equals < 0) {
          paths.add(part);
        } else {
          String name = part.substring(0, equals).replaceFirst(":(\\w+<?\\w*>?)?$", "").trim();
          parameters.put(name, part.substring(equals + 1).trim().replaceAll("^\"|\"$", ""));
        }
      }
      clauses.add(new Header(List.copyOf(paths), Map.copyOf(parameters)));
    }
    return clauses;
  }

  static List<String> names(String value) {
    return clauses(value).stream().flatMap(c -> c.paths().stream()).toList();
  }

  private static List<String> split(String value, char separator) {
    List<String> parts = new ArrayList<>();
    StringBuilder part = new StringBuilder();
    boolean quoted = false;
    for (char c : value.toCharArray()) {
      if (c == '"') {
        quoted = !quoted;
      }
      if (c == separator && !quoted) {
        parts.add(part.toString().trim());
        part.setLength(0);
      } else {
        part.append(c);
      }
    }
    parts.add(part.toString().trim());
    parts.removeIf(String::isEmpty);
    return parts;
  }
}
