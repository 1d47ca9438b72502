package io.conexor.runtime;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The configuration to hand to Configuration Admin: features' defaults, overridden by the file,
 * overridden by the environment, overridden by the command line; every key known and every value
 * within its range.
 *
 * @param byPid typed values by PID; instances of a factory are written {@code factoryPid~instance}
 */
public record Configurations(Map<String, Map<String, Object>> byPid) {

  private static final Pattern INSTANCE = Pattern.compile("([^~]+)~([A-Za-z0-9_-]+)\\.(.+)");

  /**
   * @throws LaunchException listing everything that is wrong, one line each
   */
  static Configurations checked(
      Map<String, Map<String, Object>> defaults,
      Assignments written,
      Map<String, String> environment,
      ConfigurationKeys keys,
      Placeholders placeholders) {
    List<String> problems = new ArrayList<>();
    Map<String, Map<String, Object>> byPid = new TreeMap<>();
    defaults.forEach(
        (pid, values) ->
            values.forEach(
                (attribute, value) -> {
                  try {
                    put(
                        byPid,
                        pid,
                        attribute,
                        typedDefault(pid, attribute, value, keys, placeholders));
                  } catch (IllegalArgumentException e) {
                    problems.add(
                        "feature default " + attribute + " of " + pid + ": " + e.getMessage());
                  }
                }));
    withEnvironment(written, environment, keys)
        .forEach(
            (name, assignment) -> {
              try {
                assign(byPid, name, placeholders.resolve(assignment.text), keys);
              } catch (IllegalArgumentException e) {
                problems.add(assignment.origin + ": " + name + ": " + e.getMessage());
              }
            });
    if (!problems.isEmpty()) {
      throw new LaunchException(
          "the configuration is not usable:\n  " + String.join("\n  ", problems));
    }
    return new Configurations(byPid);
  }

  private static Map<String, Assignment> withEnvironment(
      Assignments written, Map<String, String> environment, ConfigurationKeys keys) {
    Map<String, Assignment> all = new LinkedHashMap<>();
    written
        .values()
        .forEach((k, v) -> all.put(k, new Assignment(v, written.origins().getOrDefault(k, "?"))));
    List<String> names = new ArrayList<>(all.keySet());
    keys.all().stream().filter(k -> !k.factory()).map(ConfigurationKey::name).forEach(names::add);
    for (String name : names) {
      String variable = ConfigurationKey.environmentName(name);
      String value = environment.get(variable);
      Assignment before = all.get(name);
      if (value != null && (before == null || !before.origin.equals(COMMAND_LINE))) {
        all.put(name, new Assignment(value, "environment variable " + variable));
      }
    }
    return all;
  }

  static final String COMMAND_LINE = "command line";

  private record Assignment(String text, String origin) {}

  private static Object typedDefault(
      String pid,
      String attribute,
      Object value,
      ConfigurationKeys keys,
      Placeholders placeholders) {
    if (!(value instanceof String text)) {
      return value;
    }
    String resolved = placeholders.resolve(text);
    return keys.all().stream()
        .filter(k -> k.pid().equals(pid) && k.attribute().equals(attribute))
        .findFirst()
        .map(k -> k.parse(resolved))
        .orElse(resolved);
  }

  private static void assign(
      Map<String, Map<String, Object>> byPid, String name, String text, ConfigurationKeys keys) {
    Matcher instance = INSTANCE.matcher(name);
    if (instance.matches()) {
      String general = instance.group(1) + "." + instance.group(3);
      ConfigurationKey key =
          keys.find(general)
              .filter(ConfigurationKey::factory)
              .orElseThrow(() -> unknown(general, instance.group(2), keys));
      put(byPid, key.pid() + "~" + instance.group(2), key.attribute(), key.parse(text));
      return;
    }
    Optional<ConfigurationKey> key = keys.find(name);
    if (key.isEmpty()) {
      String pid = keys.pidOfStandardKey(name).orElseThrow(() -> unknown(name, "", keys));
      String attribute = ("io.conexor." + name).substring(pid.length() + 1);
      put(
          byPid,
          pid,
          attribute,
          attribute.equals("service.ranking") ? Integer.valueOf(text) : text);
      return;
    }
    if (key.get().factory()) {
      throw new IllegalArgumentException(
          "there can be several of these, so it needs a name: '%s~NAME.%s'"
              .formatted(key.get().pid().substring("io.conexor.".length()), key.get().attribute()));
    }
    put(byPid, key.get().pid(), key.get().attribute(), key.get().parse(text));
  }

  private static IllegalArgumentException unknown(
      String name, String instance, ConfigurationKeys keys) {
    String hint =
        keys.nearest(name)
            .map(
                k ->
                    "; did you mean "
                        + (instance.isEmpty() ? k : named(k, instance)).describe()
                        + "?")
            .orElse("; docs/configuration.md lists the keys");
    return new IllegalArgumentException("there is no such key" + hint);
  }

  private static ConfigurationKey named(ConfigurationKey k, String instance) {
    String name = k.name().substring(0, k.name().length() - k.attribute().length() - 1);
    return new ConfigurationKey(
        name + "~" + instance + "." + k.attribute(),
        k.pid(),
        k.attribute(),
        k.type(),
        k.factory(),
        k.list(),
        k.min(),
        k.max(),
        k.defaultValue(),
        k.options());
  }

  private static void put(
      Map<String, Map<String, Object>> byPid, String pid, String attribute, Object value) {
    byPid.computeIfAbsent(pid, p -> new LinkedHashMap<>()).put(attribute, value);
  }
}
