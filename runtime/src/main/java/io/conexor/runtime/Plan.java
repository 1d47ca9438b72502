package io.conexor.runtime;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Everything that is known, and checked, before a framework exists. */
final class Plan {

  private final Places places;
  private final Assignments written;
  private final Map<String, String> environment;
  private final Map<String, String> commandLine;
  private final RuntimeSettings settings;
  private final FeatureFiles features;
  private final BundleDirectory bundles;
  private final ConfigurationKeys keys;
  private final Placeholders placeholders;

  /**
   * @param commandLine {@code key=value} pairs that override every other source
   */
  Plan(Places places, Map<String, String> environment, Map<String, String> commandLine) {
    this.places = places;
    this.environment = Map.copyOf(environment);
    this.commandLine = Map.copyOf(commandLine);
    written =
        Assignments.fromFile(places.configuration(), true)
            .overriddenBy(commandLine, Configurations.COMMAND_LINE);
    Map<String, String> names = new HashMap<>(Map.of("home", places.home().toString()));
    settings = RuntimeSettings.of(written, environment, names, places.defaultFeatures());
    names.put("data.dir", settings.dataDirectory().toString());
    placeholders = new Placeholders(environment, names);
    features = FeatureFiles.in(places.features());
    bundles = BundleDirectory.at(places.bundles());
    keys = ConfigurationKeys.of(bundles.jars());
  }

  /**
   * The same with what stands in the file now.
   *
   * @throws LaunchException when that is not usable
   */
  Plan reread() {
    return new Plan(places, environment, commandLine);
  }

  Composition composition() {
    if (settings.features().isEmpty()) {
      throw new LaunchException(
          "no features to start: set runtime.features in " + places.configuration());
    }
    return Composition.of(features.select(settings.features()));
  }

  Configurations configurations(Composition composition) {
    return Configurations.checked(
        composition.configurations(), written, environment, keys, placeholders);
  }

  Places places() {
    return places;
  }

  RuntimeSettings settings() {
    return settings;
  }

  FeatureFiles features() {
    return features;
  }

  BundleDirectory bundles() {
    return bundles;
  }

  ConfigurationKeys keys() {
    return keys;
  }

  /** Variables that look like ours and are not: a typing mistake, or somebody else's. */
  List<String> unknownEnvironment() {
    List<String> known =
        keys.all().stream()
            .map(ConfigurationKey::environmentName)
            .collect(java.util.stream.Collectors.toList());
    return environment.keySet().stream()
        .filter(v -> v.startsWith("CONEXOR_") && !known.contains(v))
        .filter(v -> !List.of("CONEXOR_HOME", "CONEXOR_CONFIG", "CONEXOR_JAVA_OPTS").contains(v))
        .sorted()
        .map(v -> v + Nearest.hint(v, known))
        .toList();
  }
}
