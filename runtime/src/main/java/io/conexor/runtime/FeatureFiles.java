package io.conexor.runtime;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.felix.feature.impl.FeatureServiceImpl;
import org.osgi.service.feature.FeatureBundle;
import org.osgi.service.feature.FeatureConfiguration;

/** The feature files of one directory (OSGi Compendium chapter 159), read once. */
public final class FeatureFiles {

  private final Path directory;
  private final Map<String, Feature> features;

  private FeatureFiles(Path directory, Map<String, Feature> features) {
    this.directory = directory;
    this.features = features;
  }

  public static FeatureFiles in(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new LaunchException("no feature directory at " + directory);
    }
    Map<String, Feature> features = new TreeMap<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".json")).toList()) {
        Feature feature = read(file);
        features.put(feature.name(), feature);
      }
    } catch (IOException e) {
      throw new LaunchException(
          "cannot read the feature directory " + directory + ": " + e.getMessage(), e);
    }
    return new FeatureFiles(directory, features);
  }

  private static Feature read(Path file) {
    String name = file.getFileName().toString().replaceFirst("\\.json$", "");
    // The specified way to a FeatureService is the service registry, which does not run yet.
    try (Reader reader = Files.newBufferedReader(file)) {
      org.osgi.service.feature.Feature read = new FeatureServiceImpl().readFeature(reader);
      Map<String, Map<String, Object>> configurations = new LinkedHashMap<>();
      for (FeatureConfiguration configuration : read.getConfigurations().values()) {
        configurations.put(configuration.getPid(), Map.copyOf(configuration.getValues()));
      }
      return new Feature(
          name,
          read.getDescription().orElse(""),
          read.getBundles().stream().map(FeatureBundle::getID).map(Artifact::of).toList(),
          configurations);
    } catch (IOException | RuntimeException e) {
      throw new LaunchException("cannot read the feature file " + file + ": " + e.getMessage(), e);
    }
  }

  public List<Feature> all() {
    return List.copyOf(features.values());
  }

  /**
   * The named features, in the given order.
   *
   * @param names feature names; {@code *} stands for any characters, as in {@code jdbc-*}
   */
  public List<Feature> select(List<String> names) {
    Map<String, Feature> selected = new LinkedHashMap<>();
    for (String name : names) {
      Pattern pattern =
          Pattern.compile(
              Stream.of(name.split("\\*", -1))
                  .map(Pattern::quote)
                  .collect(Collectors.joining(".*")));
      List<Feature> matching =
          features.values().stream().filter(f -> pattern.matcher(f.name()).matches()).toList();
      if (matching.isEmpty()) {
        throw new LaunchException(
            "there is no feature '%s' in %s%s; it has %s"
                .formatted(
                    name, directory, Nearest.hint(name, features.keySet()), features.keySet()));
      }
      matching.forEach(f -> selected.put(f.name(), f));
    }
    return List.copyOf(selected.values());
  }

  /** The names of the features that list a bundle, for messages. */
  List<String> listing(Artifact artifact) {
    return features.values().stream()
        .filter(f -> f.bundles().contains(artifact))
        .map(Feature::name)
        .toList();
  }
}
