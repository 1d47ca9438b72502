package io.conexor.agent.executor;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The statements in {@code gate/*.txt} with what the gate must say to each. */
final class Corpus {
  private static final Pattern ESCAPE = Pattern.compile("<U\\+([0-9A-F]+)>");

  /**
   * One statement.
   *
   * @param code of the refusal; empty when it is allowed
   * @param runs whether the fixture's tables suffice to run it
   */
  record Entry(String line, String sql, String code, boolean runs) {
    boolean allowed() {
      return code.isEmpty();
    }
  }

  private Corpus() {}

  /** What every dialect shares and what it has for itself. */
  static List<Entry> of(Dialect dialect) {
    return Stream.concat(read("common.txt"), read(dialect.name().toLowerCase(Locale.ROOT) + ".txt"))
        .toList();
  }

  private static Stream<Entry> read(String file) {
    try (InputStream in =
            Objects.requireNonNull(Corpus.class.getResourceAsStream("/gate/" + file), file);
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return lines
          .lines()
          .filter(line -> !line.isBlank() && !line.startsWith("#"))
          .map(Corpus::entry)
          .toList()
          .stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Entry entry(String line) {
    String text =
        ESCAPE
            .matcher(line)
            .replaceAll(
                hit ->
                    Matcher.quoteReplacement(
                        Character.toString(Integer.parseInt(hit.group(1), 16))));
    String rest = text.substring(2);
    if (text.charAt(0) != '-') {
      return new Entry(line, rest, "", text.charAt(0) == '+');
    }
    int space = rest.indexOf(' ');
    String code = space < 0 ? rest : rest.substring(0, space);
    return new Entry(line, space < 0 ? "" : rest.substring(space + 1), code, false);
  }
}
