package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the documents name exists. */
class DocumentsTest {

  private static final Pattern TEST =
      Pattern.compile("`([A-Z]\\w*(?:Test|IT|Contract))(?:\\.(\\w+))?`");
  private static final Pattern LINK = Pattern.compile("\\]\\(([^)#\\s]+)[^)]*\\)");

  @Test
  void every_promise_names_a_test_that_exists() throws IOException {
    assertThat(missing(Tree.text(Tree.ROOT.resolve("docs/failure-semantics.md")), tests()))
        .isEmpty();
  }

  @Test
  void a_test_that_does_not_exist_is_found() throws IOException {
    assertThat(missing("`DocumentsTest.no_such_fact`, `NoSuchTest`, `DocumentsTest`", tests()))
        .containsExactly("DocumentsTest.no_such_fact", "NoSuchTest");
  }

  @Test
  void links_lead_somewhere() throws IOException {
    List<String> dead = new ArrayList<>();
    for (Path document : markdown()) {
      Matcher link = LINK.matcher(Tree.text(document));
      while (link.find()) {
        if (!link.group(1).matches("\\w+:.*")
            && !Files.exists(document.resolveSibling(link.group(1)))) {
          dead.add(Tree.ROOT.relativize(document) + " -> " + link.group(1));
        }
      }
    }

    assertThat(dead).isEmpty();
  }

  @Test
  void decisions_are_numbered_once() {
    Map<String, Long> numbers =
        Tree.list(Tree.ROOT.resolve("docs/adr"))
            .map(f -> f.getFileName().toString().substring(0, 4))
            .collect(Collectors.groupingBy(n -> n, TreeMap::new, Collectors.counting()));

    assertThat(numbers).allSatisfy((number, count) -> assertThat(count).as(number).isEqualTo(1));
  }

  @Test
  void the_readme_of_a_bundle_fits_on_a_page() {
    assertThat(Tree.bundleFolders().stream().map(f -> f.resolve("README.md")).filter(Files::exists))
        .isNotEmpty()
        .allSatisfy(
            readme ->
                assertThat(Tree.text(readme).lines().count())
                    .as("lines of %s", readme)
                    .isLessThanOrEqualTo(60));
  }

  private static List<String> missing(String document, Map<String, String> tests) {
    TreeSet<String> missing = new TreeSet<>();
    Matcher named = TEST.matcher(document);
    while (named.find()) {
      String source = tests.get(named.group(1));
      if (source == null) {
        missing.add(named.group(1));
      } else if (named.group(2) != null && !source.contains(" " + named.group(2) + "(")) {
        missing.add(named.group(1) + "." + named.group(2));
      }
    }
    return List.copyOf(missing);
  }

  /**
   * The text of every test class by its name; inherited facts belong to the contract they come
   * from.
   */
  private static Map<String, String> tests() throws IOException {
    Map<String, String> tests = new TreeMap<>();
    try (Stream<Path> files = Files.walk(Tree.ROOT)) {
      for (Path file : files.filter(DocumentsTest::isTest).toList()) {
        String name = file.getFileName().toString().replace(".java", "");
        tests.merge(name, Tree.text(file), String::concat);
      }
    }
    Map<String, String> all = new TreeMap<>(tests);
    Pattern parent = Pattern.compile("extends (\\w+Contract)\\b");
    tests.forEach(
        (name, text) -> {
          Matcher extended = parent.matcher(text);
          if (extended.find()) {
            all.merge(name, tests.getOrDefault(extended.group(1), ""), String::concat);
          }
        });
    return all;
  }

  private static boolean isTest(Path file) {
    return file.toString().contains("/src/test/") && file.toString().endsWith(".java");
  }

  private static List<Path> markdown() throws IOException {
    try (Stream<Path> files = Files.walk(Tree.ROOT)) {
      return files
          .filter(f -> f.toString().endsWith(".md"))
          .filter(f -> !f.toString().matches(".*/(target|node_modules|\\.git)/.*"))
          .toList();
    }
  }
}
