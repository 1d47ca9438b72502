package io.conexor.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Replaces <code>${env:NAME}</code>, <code>${file:/path}</code> and the launcher's own names (
 * <code>${home}</code>, <code>${data.dir}</code>) in a configuration value.
 */
final class Placeholders {

  private static final Pattern PLACEHOLDER = Pattern.compile("\\$\\{([^}]*)}");
  private static final int LARGEST_FILE = 64 * 1024;

  private final Map<String, String> environment;
  private final Map<String, String> names;

  Placeholders(Map<String, String> environment, Map<String, String> names) {
    this.environment = Map.copyOf(environment);
    this.names = Map.copyOf(names);
  }

  /**
   * @throws IllegalArgumentException naming the placeholder that has no value; the message never
   *     holds one
   */
  String resolve(String text) {
    Matcher matcher = PLACEHOLDER.matcher(text);
    StringBuilder resolved = new StringBuilder();
    while (matcher.find()) {
      matcher.appendReplacement(resolved, Matcher.quoteReplacement(value(matcher.group(1))));
    }
    return matcher.appendTail(resolved).toString();
  }

  private String value(String name) {
    if (name.startsWith("file:")) {
      return content(Path.of(name.substring("file:".length())));
    }
    @Nullable String value =
        name.startsWith("env:")
            ? environment.get(name.substring("env:".length()))
            : names.get(name);
    if (value == null) {
      throw new IllegalArgumentException(
          name.startsWith("env:")
              ? "the environment variable " + name.substring("env:".length()) + " is not set"
              : "'${"
                  + name
                  + "}' is unknown; use ${env:NAME}, ${file:/path}, or one of "
                  + names.keySet());
    }
    return value;
  }

  private static String content(Path file) {
    try {
      if (Files.size(file) > LARGEST_FILE) {
        throw new IllegalArgumentException(
            "the file " + file + " is larger than " + LARGEST_FILE + " bytes");
      }
      // Editors end a file with a line break, which is never part of a secret.
      return Files.readString(file).stripTrailing();
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot read the file " + file + ": " + e, e);
    }
  }
}
