package io.conexor.runtime;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The launcher's own part of the configuration. */
record RuntimeSettings(
    List<String> features,
    Path dataDirectory,
    Path logDirectory,
    LogTo logTo,
    boolean jsonLog,
    String logLevel,
    List<String> logLevels,
    int logKeepDays,
    Path driversDirectory,
    Duration reloadInterval,
    Duration readyTimeout,
    Duration drainTimeout,
    Duration stopTimeout) {

  static final String PID = "io.conexor.runtime";

  enum LogTo {
    CONSOLE,
    FILE,
    BOTH
  }

  /**
   * Reads the {@code runtime.*} keys alone, because the rest can only be judged once the features,
   * and with them the bundles, are known.
   *
   * @param names placeholder names; {@code data.dir} is added to them
   * @param defaultFeatures used when {@code runtime.features} is not set: a distribution says what
   *     it is
   */
  static RuntimeSettings of(
      Assignments written,
      Map<String, String> environment,
      Map<String, String> names,
      List<String> defaultFeatures) {
    ConfigurationKeys keys = ConfigurationKeys.of(List.of());
    Assignments own = own(written);
    Map<String, String> known = new HashMap<>(names);
    // The data directory may not refer to itself, everything else may refer to it.
    Assignments dataOnly = new Assignments(filter(own.values(), "runtime.data.dir"), own.origins());
    Values first = new Values(dataOnly, environment, keys, known, List.of("data.dir"));
    Path data = Path.of(first.text("data.dir")).toAbsolutePath().normalize();
    known.put("data.dir", data.toString());

    Values all = new Values(own, environment, keys, known, List.of());
    List<String> features = all.list("features");
    return new RuntimeSettings(
        features.isEmpty() ? defaultFeatures : features,
        data,
        Path.of(all.text("log.dir")).toAbsolutePath().normalize(),
        LogTo.valueOf(all.text("log.to").toUpperCase(java.util.Locale.ROOT)),
        all.text("log.format").equals("json"),
        all.text("log.level"),
        all.list("log.levels"),
        all.number("log.keep.days").intValue(),
        Path.of(all.text("drivers.dir")).toAbsolutePath().normalize(),
        Duration.ofMillis(all.number("reload.ms").longValue()),
        Duration.ofMillis(all.number("ready.timeout.ms").longValue()),
        Duration.ofMillis(all.number("drain.timeout.ms").longValue()),
        Duration.ofMillis(all.number("stop.timeout.ms").longValue()));
  }

  private static Assignments own(Assignments written) {
    return new Assignments(
        written.values().entrySet().stream()
            .filter(e -> e.getKey().startsWith("runtime."))
            .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue)),
        written.origins());
  }

  private static Map<String, String> filter(Map<String, String> values, String key) {
    @Nullable String value = values.get(key);
    return value == null ? Map.of() : Map.of(key, value);
  }

  /** Checked values with the defaults of the metatype XML filled in. */
  private static final class Values {

    private final Map<String, Object> values = new TreeMap<>();

    Values(
        Assignments written,
        Map<String, String> environment,
        ConfigurationKeys keys,
        Map<String, String> names,
        List<String> only) {
      Placeholders placeholders = new Placeholders(environment, names);
      Map<String, String> relevant = new HashMap<>(environment);
      if (!only.isEmpty()) {
        relevant
            .keySet()
            .removeIf(
                k ->
                    only.stream()
                        .noneMatch(
                            o -> k.equals(ConfigurationKey.environmentName("runtime." + o))));
      }
      values.putAll(
          Configurations.checked(Map.of(), written, relevant, keys, placeholders)
              .byPid()
              .getOrDefault(PID, Map.of()));
      for (ConfigurationKey key : keys.all()) {
        String text = key.defaultValue();
        boolean wanted = only.isEmpty() || only.contains(key.attribute());
        if (text != null && wanted && !values.containsKey(key.attribute())) {
          values.put(key.attribute(), key.parse(placeholders.resolve(text)));
        }
      }
    }

    private Object value(String attribute) {
      Object value = values.get(attribute);
      if (value == null) {
        throw new IllegalStateException("the launcher's metatype has no default for " + attribute);
      }
      return value;
    }

    String text(String attribute) {
      return (String) value(attribute);
    }

    Number number(String attribute) {
      return (Number) value(attribute);
    }

    List<String> list(String attribute) {
      return values.containsKey(attribute) ? List.of((String[]) value(attribute)) : List.of();
    }
  }
}
