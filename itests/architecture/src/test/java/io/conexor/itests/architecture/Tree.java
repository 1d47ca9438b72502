package io.conexor.itests.architecture;

import io.conexor.features.ResolvedArtifacts;
import io.conexor.runtime.FeatureFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The source tree and what was built of it. */
final class Tree {

  /** The only bundles that others may import. */
  static final Set<String> CONTRACTS = Set.of("io.conexor.api", "io.conexor.protocol");

  static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();
  static final ResolvedArtifacts ARTIFACTS = artifacts();
  static final FeatureFiles FEATURES =
      FeatureFiles.in(ROOT.resolve("features/target/classes/features"));

  /** Every jar that a feature names, ours and others'. */
  static final List<Jar> JARS =
      FEATURES.all().stream()
          .flatMap(f -> f.bundles().stream())
          .distinct()
          .map(ARTIFACTS::jar)
          .sorted()
          .map(Jar::read)
          .toList();

  static final List<Jar> OURS = JARS.stream().filter(Jar::isOurs).toList();

  static final List<Component> COMPONENTS =
      OURS.stream().flatMap(j -> j.components().stream()).toList();

  private Tree() {}

  /** The folders that are a bundle each. */
  static List<Path> bundleFolders() {
    return Stream.of("bundles", "agent")
        .flatMap(layer -> list(ROOT.resolve(layer)))
        .filter(folder -> Files.exists(folder.resolve("pom.xml")))
        .sorted()
        .toList();
  }

  /** {@code bundles/agent-registry} is {@code io.conexor.agent.registry}. */
  static String nameOf(Path folder) {
    String layer = folder.getParent().getFileName().toString();
    String name = folder.getFileName().toString().replace('-', '.');
    return "io.conexor." + (layer.equals("agent") ? "agent." : "") + name;
  }

  static Path folderOf(Jar jar) {
    return bundleFolders().stream()
        .filter(folder -> nameOf(folder).equals(jar.name()))
        .findFirst()
        .orElseThrow(() -> new IllegalStateException("no folder is called like " + jar.name()));
  }

  /** The Java files below a folder; none if there is no such folder. */
  static List<Path> sources(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(f -> f.toString().endsWith(".java")).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Stream<Path> list(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ResolvedArtifacts artifacts() {
    try {
      return new ResolvedArtifacts(ROOT.resolve("features/target/artifacts.txt"));
    } catch (IOException e) {
      throw new UncheckedIOException("build with 'package' first: the rules are about jars", e);
    }
  }
}
