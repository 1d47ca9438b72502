package io.conexor.features;

import io.conexor.runtime.Artifact;
import io.conexor.runtime.Composition;
import io.conexor.runtime.FeatureFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;

/**
 * Lays out {@code bundles/} and {@code features/} of a distribution from the features it offers.
 */
public final class Assembly {

  private Assembly() {}

  /**
   * @param args the feature directory, the artifact list, the distribution's directory, then the
   *     features, {@code *} standing for any characters
   */
  public static void main(String[] args) throws IOException {
    assemble(
        Path.of(args[0]),
        new ResolvedArtifacts(Path.of(args[1])),
        Path.of(args[2]),
        List.of(args).subList(3, args.length));
  }

  /** The bundles and feature files of the features, replacing what is there. */
  public static void assemble(
      Path features, ResolvedArtifacts artifacts, Path target, List<String> names)
      throws IOException {
    // A bundle of the build before would be found by name and mistaken for one of this build.
    delete(target.resolve("bundles"));
    delete(target.resolve("features"));
    Files.createDirectories(target.resolve("features"));
    for (var feature : FeatureFiles.in(features).select(names)) {
      String file = feature.name() + ".json";
      Files.copy(features.resolve(file), target.resolve("features").resolve(file));
      for (Artifact artifact : Composition.of(List.of(feature)).bundles()) {
        Path jar = target.resolve("bundles").resolve(artifact.path());
        Files.createDirectories(jar.getParent());
        Files.copy(artifacts.jar(artifact), jar, StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
