package io.conexor.itests.architecture;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/** A rule that every bundle of ours keeps, with a bundle that breaks it. */
enum ManifestRule {
  EVERY_PACKAGE_STARTS_WITH_THE_NAME_OF_THE_BUNDLE(
      jar ->
          jar.packages().stream()
              .filter(p -> !p.equals(jar.name()) && !p.startsWith(jar.name() + "."))
              .filter(p -> !embeddedPackages(jar).contains(p))
              .map(p -> "holds the package " + p),
      Jar.scripted("io.conexor.hub", Map.of(), "io.conexor.hub", "io.conexor.hubs")),

  ONLY_CONTRACTS_EXPORT(
      jar ->
          jar.isContract()
              ? Stream.of()
              : jar.exports().stream().map(p -> "exports the package " + p),
      Jar.scripted("io.conexor.hub", Map.of("Export-Package", "io.conexor.hub;version=\"1.0\""))),

  EXPORTS_HAVE_A_VERSION_OF_THEIR_OWN(
      jar ->
          Header.clauses(jar.headers().getOrDefault("Export-Package", "")).stream()
              .filter(
                  c -> !c.parameters().getOrDefault("version", "").matches("\\d+\\.\\d+\\.\\d+"))
              .map(c -> "exports " + c.paths() + " without a version"),
      Jar.scripted("io.conexor.api", Map.of("Export-Package", "io.conexor.api"))),

  OUR_IMPORTS_END_AT_A_CONTRACT(
      jar ->
          Header.names(jar.headers().getOrDefault("Import-Package", "")).stream()
              .filter(p -> p.startsWith("io.conexor."))
              .filter(
                  p -> Tree.CONTRACTS.stream().noneMatch(c -> p.equals(c) || p.startsWith(c + ".")))
              .map(p -> "imports " + p),
      Jar.scripted(
          "io.conexor.rest", Map.of("Import-Package", "io.conexor.mcp;version=\"[1.0,2)\""))),

  CONTRACTS_IMPORT_THE_JDK_AND_JSPECIFY_ONLY(
      jar ->
          jar.isContract()
              ? Header.names(jar.headers().getOrDefault("Import-Package", "")).stream()
                  .filter(p -> !p.startsWith("org.jspecify.") && !p.startsWith("java"))
                  .filter(p -> !jar.exports().contains(p))
                  .map(p -> "imports " + p)
              : Stream.of(),
      Jar.scripted("io.conexor.api", Map.of("Import-Package", "org.slf4j;version=\"[2.0,3)\""))),

  IMPORTS_HAVE_A_VERSION_RANGE(
      jar ->
          jar.imports().stream()
              .filter(c -> c.paths().stream().noneMatch(ManifestRule::isOfTheJdk))
              // What only an embedded library may ask for is not ours to put a range on.
              .filter(c -> !"optional".equals(c.parameters().get("resolution")))
              .filter(
                  c -> !c.parameters().getOrDefault("version", "").matches("\\[[\\d.]+,[\\d.]+\\)"))
              .map(c -> "imports " + c.paths() + " in any version"),
      Jar.scripted("io.conexor.hub", Map.of("Import-Package", "org.slf4j;version=\"2.0\""))),

  NOTHING_OF_OURS_IS_OPTIONAL(
      jar ->
          jar.imports().stream()
              .filter(c -> c.paths().stream().anyMatch(p -> p.startsWith("io.conexor.")))
              .filter(c -> "optional".equals(c.parameters().get("resolution")))
              .map(c -> "imports " + c.paths() + " optionally"),
      Jar.scripted(
          "io.conexor.hub",
          Map.of("Import-Package", "io.conexor.api;version=\"[1.0,2)\";resolution:=\"optional\""))),

  NO_HEADER_WORKS_AROUND_THE_SERVICE_REGISTRY(
      jar ->
          Stream.of(
                  "DynamicImport-Package",
                  "Require-Bundle",
                  "Bundle-Activator",
                  "Fragment-Host",
                  "Bundle-ActivationPolicy",
                  "SPI-Consumer",
                  "SPI-Provider")
              .filter(jar.headers()::containsKey)
              .map(h -> "has the header " + h),
      Jar.scripted("io.conexor.hub", Map.of("DynamicImport-Package", "*"))),

  EVERY_BUILD_GIVES_THE_SAME_BYTES(
      jar ->
          Stream.of("Bnd-LastModified", "Tool", "Created-By", "Build-Jdk", "Built-By")
              .filter(jar.headers()::containsKey)
              .map(h -> "has the header " + h),
      Jar.scripted("io.conexor.hub", Map.of("Bnd-LastModified", "1767225600000"))),

  RUNS_ON_JAVA_17(
      jar ->
          jar.headers()
                  .getOrDefault("Require-Capability", "")
                  .contains("(&(osgi.ee=JavaSE)(version=17))")
              ? Stream.of()
              : Stream.of("does not ask for Java 17"),
      Jar.scripted(
          "io.conexor.hub",
          Map.of("Require-Capability", "osgi.ee;filter:=\"(&(osgi.ee=JavaSE)(version=21))\""))),

  LICENCE_IS_NAMED(
      jar ->
          jar.headers().getOrDefault("Bundle-License", "").startsWith("Apache-2.0")
              ? Stream.of()
              : Stream.of("has no licence"),
      Jar.scripted("io.conexor.hub", Map.of("Bundle-License", "")));

  private final Function<Jar, Stream<String>> check;
  private final Jar bad;

  ManifestRule(Function<Jar, Stream<String>> check, Jar bad) {
    this.check = check;
    this.bad = bad;
  }

  /** What is wrong with a bundle, one sentence each. */
  List<String> broken(Jar jar) {
    return check.apply(jar).map(what -> jar.name() + " " + what).toList();
  }

  Jar bad() {
    return bad;
  }

  private static Set<String> embeddedPackages(Jar jar) {
    return jar.embedded().values().stream()
        .flatMap(Set::stream)
        .collect(java.util.stream.Collectors.toSet());
  }

  private static boolean isOfTheJdk(String packageName) {
    return ModuleLayer.boot().modules().stream()
        .anyMatch(m -> m.getDescriptor() != null && m.getPackages().contains(packageName));
  }
}
