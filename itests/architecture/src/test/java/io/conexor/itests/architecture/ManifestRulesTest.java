package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.runtime.Artifact;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The rules of the architecture, read from the jars as they end up in the archives. */
class ManifestRulesTest {

  private static final int LINES = 2_750;

  @ParameterizedTest
  @EnumSource
  void every_bundle_keeps_the_rule(ManifestRule rule) {
    assertThat(Tree.OURS.stream().flatMap(jar -> rule.broken(jar).stream())).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void a_bundle_that_breaks_the_rule_is_found(ManifestRule rule) {
    assertThat(rule.broken(rule.bad())).isNotEmpty();
  }

  @Test
  void every_folder_is_a_bundle_of_a_feature() {
    Set<String> folders =
        Tree.bundleFolders().stream()
            .map(Tree::nameOf)
            .collect(Collectors.toCollection(TreeSet::new));

    assertThat(Tree.OURS.stream().map(Jar::name)).containsExactlyInAnyOrderElementsOf(folders);
  }

  @Test
  void a_package_lives_in_one_bundle() {
    assertThat(split(Tree.OURS)).isEmpty();
  }

  @Test
  void a_package_in_two_bundles_is_found() {
    assertThat(
            split(
                List.of(
                    Jar.scripted("io.conexor.a", Map.of(), "io.conexor.a"),
                    Jar.scripted("io.conexor.b", Map.of(), "io.conexor.b", "io.conexor.a"))))
        .containsOnlyKeys("io.conexor.a");
  }

  @Test
  void a_library_is_installed_or_embedded_but_there_once() {
    assertThat(duplicates(Tree.JARS)).isEmpty();
  }

  @Test
  void a_library_that_is_there_twice_is_found() {
    Jar installed = Jar.scripted("org.lib", Map.of(), "org.lib");
    Jar one = Jar.scripted("io.conexor.a", Map.of()).embedding("lib-1.jar", "org.lib");

    assertThat(duplicates(List.of(installed, one))).containsOnlyKeys("org.lib");
  }

  @Test
  void what_is_not_ours_is_a_bundle() {
    List<Path> plain =
        Tree.JARS.stream()
            .filter(j -> !j.headers().containsKey("Bundle-SymbolicName"))
            .map(Jar::file)
            .toList();

    assertThat(plain)
        .as("jars without OSGi metadata are embedded by the bundle that uses them")
        .isEmpty();
  }

  @Test
  void what_is_not_ours_is_as_it_was_published() throws Exception {
    for (Jar jar : Tree.JARS) {
      Path published = jar.file().resolveSibling(jar.file().getFileName() + ".sha1");
      if (!jar.isOurs() && Files.exists(published)) {
        String sum = Files.readString(published).strip().split("\\s+")[0];
        assertThat(sha1(jar.file())).as(jar.name()).isEqualTo(sum);
      }
    }
  }

  @Test
  void features_and_their_artifacts_are_the_same_set() {
    Set<Artifact> listed =
        Tree.FEATURES.all().stream().flatMap(f -> f.bundles().stream()).collect(Collectors.toSet());
    String pom = Tree.text(Tree.ROOT.resolve("features/pom.xml"));

    assertThat(listed).allSatisfy(a -> assertThat(Tree.ARTIFACTS.jar(a)).exists());
    assertThat(
            pom.lines()
                .filter(l -> l.contains("<artifactId>"))
                .map(l -> l.replaceAll("</?artifactId>", "").trim())
                .filter(a -> !a.endsWith("-plugin"))
                .filter(
                    a ->
                        !Set.of("io.conexor", "io.conexor.features", "io.conexor.runtime")
                            .contains(a)))
        .as("what features/pom.xml fetches and no feature names")
        .allMatch(a -> listed.stream().anyMatch(l -> l.artifactId().equals(a)));
  }

  @Test
  void no_feature_orders_the_start() {
    assertThat(Tree.list(Tree.ROOT.resolve("features")).filter(f -> f.toString().endsWith(".json")))
        .isNotEmpty()
        .allSatisfy(
            f -> assertThat(Tree.text(f)).doesNotContainIgnoringCase("start-order", "start-level"));
  }

  @Test
  void no_bundle_is_larger_than_a_decision_allows() {
    Map<String, Integer> lines = new TreeMap<>();
    for (Path folder : Tree.bundleFolders()) {
      int sum = 0;
      for (Path source : Tree.sources(folder.resolve("src/main"))) {
        sum += (int) Tree.text(source).lines().filter(ManifestRulesTest::isCode).count();
      }
      lines.put(Tree.nameOf(folder), sum);
      if (sum > LINES) {
        assertThat(sizeDecision(folder))
            .as(
                "%s has %d lines of code, more than %d: split it or name an ADR",
                folder, sum, LINES)
            .exists();
      }
    }
    lines.forEach((name, sum) -> System.out.printf("%6d lines  %s%n", sum, name));
  }

  private static boolean isCode(String line) {
    return !line.matches("\\s*($|//|/?\\*|import |package ).*");
  }

  /** {@code # size: docs/adr/...} in the bundle's {@code bnd.bnd}. */
  private static Path sizeDecision(Path folder) {
    Path bnd = folder.resolve("bnd.bnd");
    return (Files.exists(bnd) ? Tree.text(bnd) : "")
        .lines()
        .filter(l -> l.startsWith("# size: "))
        .map(l -> Tree.ROOT.resolve(l.substring("# size: ".length()).trim()))
        .findFirst()
        .orElse(Tree.ROOT.resolve("docs/adr/none"));
  }

  private static Map<String, Set<String>> split(List<Jar> jars) {
    Map<String, Set<String>> owners = new TreeMap<>();
    for (Jar jar : jars) {
      jar.packages().forEach(p -> owners.computeIfAbsent(p, k -> new TreeSet<>()).add(jar.name()));
    }
    owners.values().removeIf(names -> names.size() == 1);
    return owners;
  }

  private static Map<String, Set<String>> duplicates(List<Jar> jars) {
    Map<String, Set<String>> owners = new TreeMap<>();
    Set<String> embedded = new HashSet<>();
    for (Jar jar : jars) {
      Stream.concat(
              jar.packages().stream(),
              jar.embedded().values().stream().flatMap(Set::stream).distinct())
          .forEach(p -> owners.computeIfAbsent(p, k -> new TreeSet<>()).add(jar.name()));
      jar.embedded().values().forEach(embedded::addAll);
    }
    owners.keySet().retainAll(embedded);
    owners.values().removeIf(names -> names.size() == 1);
    return owners;
  }

  private static String sha1(Path file) throws IOException, java.security.NoSuchAlgorithmException {
    return HexFormat.of()
        .formatHex(MessageDigest.getInstance("SHA-1").digest(Files.readAllBytes(file)));
  }
}
