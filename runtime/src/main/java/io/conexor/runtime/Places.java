package io.conexor.runtime;

import java.nio.file.Path;
import java.util.List;

/**
 * Where an installation keeps its parts. Everything below {@code home} is read only; what is
 * written goes below the data directory, which is configured.
 *
 * @param defaultFeatures what this distribution starts when {@code runtime.features} is not set
 */
public record Places(
    Path home, Path configuration, Path bundles, Path features, List<String> defaultFeatures) {

  public Places {
    defaultFeatures = List.copyOf(defaultFeatures);
  }

  /** The layout of the archives. */
  public static Places below(Path home, List<String> defaultFeatures) {
    Path absolute = home.toAbsolutePath().normalize();
    return new Places(
        absolute,
        absolute.resolve("etc/conexor.properties"),
        absolute.resolve("bundles"),
        absolute.resolve("features"),
        defaultFeatures);
  }

  Places withConfiguration(Path file) {
    return new Places(home, file.toAbsolutePath(), bundles, features, defaultFeatures);
  }
}
