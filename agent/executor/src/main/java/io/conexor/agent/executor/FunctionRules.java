package io.conexor.agent.executor;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which functions of a dialect a read must not call, and why. The names are in {@code
 * functions/*.txt} beside this class.
 *
 * <p>Parsers know no functions, and engines run most of these inside a read-only transaction.
 */
final class FunctionRules {

  /** {@code pattern} is upper case; with a dot it speaks of the last two parts of a name. */
  private record Prefix(String pattern, String reason) {}

  private final boolean anyPart;
  private final boolean pragmas;
  private final Map<String, String> exact = new HashMap<>();
  private final List<Prefix> prefixes = new ArrayList<>();
  private final Set<String> released = new HashSet<>();
  private final List<String> releasedPrefixes = new ArrayList<>();

  private FunctionRules(Dialect dialect) {
    this.anyPart = dialect == Dialect.ORACLE;
    this.pragmas = dialect == Dialect.SQLITE;
  }

  /**
   * The rules of a dialect.
   *
   * @param allowed names the operator of the source releases; a trailing {@code *} releases a
   *     prefix
   */
  static FunctionRules of(Dialect dialect, Set<String> allowed) {
    FunctionRules rules = new FunctionRules(dialect);
    String file = "functions/" + dialect.name().toLowerCase(Locale.ROOT) + ".txt";
    try (InputStream in = FunctionRules.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new IllegalStateException("missing in the bundle: " + file);
      }
      rules.read(new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    allowed.forEach(name -> rules.release(name.toUpperCase(Locale.ROOT)));
    return rules;
  }

  private void read(BufferedReader lines) throws IOException {
    String reason = "";
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.startsWith("#") || line.isBlank()) {
        continue;
      }
      if (line.endsWith(":")) {
        reason = line.substring(0, line.length() - 1);
        continue;
      }
      for (String word : line.trim().toUpperCase(Locale.ROOT).split(" +", -1)) {
        if (word.startsWith("+")) {
          release(word.substring(1));
        } else if (word.endsWith("*")) {
          prefixes.add(new Prefix(word.substring(0, word.length() - 1), reason));
        } else {
          exact.put(word, reason);
        }
      }
    }
  }

  private void release(String word) {
    if (word.endsWith("*")) {
      releasedPrefixes.add(word.substring(0, word.length() - 1));
    } else {
      released.add(word);
    }
  }

  /**
   * Why the named function must not be called, or empty.
   *
   * @param parts of the dotted name, folded
   * @param called whether an argument list follows
   * @param empty whether that list is empty
   */
  Optional<String> refusal(List<String> parts, boolean called, boolean empty) {
    int last = parts.size() - 1;
    if (isReleased(parts, last) || (empty && released.contains(parts.get(last) + "()"))) {
      return Optional.empty();
    }
    if (anyPart && (called || last > 0)) {
      for (int i = 0; i <= last; i++) {
        Optional<String> why = reason(parts, i);
        if (why.isPresent()) {
          return why;
        }
      }
      return Optional.empty();
    }
    // a table-valued pragma without arguments needs no parentheses
    return called || (pragmas && parts.get(last).startsWith("PRAGMA_"))
        ? reason(parts, last)
        : Optional.empty();
  }

  private boolean isReleased(List<String> parts, int i) {
    String name = parts.get(i);
    String pair = i > 0 ? parts.get(i - 1) + "." + name : name;
    return released.contains(name)
        || released.contains(pair)
        || releasedPrefixes.stream()
            .anyMatch(p -> (p.indexOf('.') < 0 ? name : pair).startsWith(p));
  }

  private Optional<String> reason(List<String> parts, int i) {
    String name = parts.get(i);
    String pair = i > 0 ? parts.get(i - 1) + "." + name : name;
    String why = exact.get(name);
    if (why == null) {
      why = exact.get(pair);
    }
    if (why != null) {
      return Optional.of(why);
    }
    for (Prefix prefix : prefixes) {
      if ((prefix.pattern().indexOf('.') < 0 ? name : pair).startsWith(prefix.pattern())) {
        return Optional.of(prefix.reason());
      }
    }
    return Optional.empty();
  }
}
