package io.conexor.runtime;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/**
 * What the operator wrote, before anything is known about the keys.
 *
 * @param values text by key; later sources have replaced earlier ones
 * @param origins where each value stands, for messages
 */
record Assignments(Map<String, String> values, Map<String, String> origins) {

  /** Reads a properties file in UTF-8; a missing file is an empty one only if {@code optional}. */
  static Assignments fromFile(Path file, boolean optional) {
    if (optional && !Files.exists(file)) {
      return new Assignments(Map.of(), Map.of());
    }
    Map<String, String> values = new LinkedHashMap<>();
    Map<String, String> origins = new LinkedHashMap<>();
    try (Reader reader = Files.newBufferedReader(file)) {
      Properties properties = new Properties();
      properties.load(reader);
      List<String> lines = Files.readAllLines(file);
      for (String key : properties.stringPropertyNames()) {
        values.put(key, properties.getProperty(key));
        origins.put(key, file.getFileName() + line(lines, key));
      }
    } catch (IOException | IllegalArgumentException e) {
      throw new LaunchException(
          "cannot read the configuration file " + file + ": " + e.getMessage(), e);
    }
    return new Assignments(values, origins);
  }

  private static String line(List<String> lines, String key) {
    List<Integer> found = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).stripLeading();
      if (line.startsWith(key) && line.substring(key.length()).stripLeading().matches("[=:].*")) {
        found.add(i + 1);
      }
    }
    // The last one wins in a properties file. Escaped keys are not found, which costs only the
    // number.
    return found.isEmpty() ? "" : " line " + found.get(found.size() - 1);
  }

  /** These, overridden by others. */
  Assignments overriddenBy(Map<String, String> others, String origin) {
    Map<String, String> allValues = new LinkedHashMap<>(values);
    Map<String, String> allOrigins = new LinkedHashMap<>(origins);
    others.forEach(
        (key, value) -> {
          allValues.put(key, value);
          allOrigins.put(key, origin);
        });
    return new Assignments(allValues, allOrigins);
  }
}
