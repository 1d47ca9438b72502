package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** docs/configuration.md and the descriptions inside the bundles say the same. */
class ConfigurationIsDocumentedTest {

  // - `key` (Type[ list], default X[, range]): text. Restart effect: text.
  private static final Pattern ITEM =
      Pattern.compile("- `([\\w.]+)` \\(([^)]*(?:\\([^)]*\\)[^)]*)*)\\): (.+)");

  @Test
  void every_key_of_every_component_is_documented_as_it_is() {
    assertThat(differences(described(), Tree.text(Tree.ROOT.resolve("docs/configuration.md"))))
        .isEmpty();
  }

  @Test
  void every_component_that_has_a_pid_describes_it() {
    Map<String, Map<String, Key>> described = described();

    assertThat(Tree.COMPONENTS)
        .filteredOn(c -> !c.pids().isEmpty())
        .allSatisfy(
            c ->
                assertThat(described)
                    .as("%s is configured by %s", c.name(), c.pids())
                    .containsKeys(c.pids().toArray(String[]::new)));
  }

  @Test
  void drift_is_found() {
    Map<String, Map<String, Key>> described =
        Map.of(
            "io.conexor.hub",
            Map.of(
                "links.max", new Key("Integer", false, "20000", "1", "1000000"),
                "new.key", new Key("Long", false, "1", "", "")));
    String text =
        """
        ## io.conexor.hub
        - `links.max` (Long, default 10, 1..5): all links. Restart effect: none.
        - `old.key` (Long, default 10): gone, and says nothing about a restart.
        ## io.conexor.gone
        """;

    assertThat(differences(described, text))
        .contains(
            "io.conexor.hub new.key is not documented",
            "io.conexor.hub old.key does not exist",
            "io.conexor.hub old.key does not say what a change restarts",
            "io.conexor.hub links.max: 'Long, default 10, 1..5' does not say Integer",
            "io.conexor.hub links.max: 'Long, default 10, 1..5' does not say default 20000",
            "io.conexor.hub links.max: 'Long, default 10, 1..5' does not say 1..1000000",
            "io.conexor.gone does not exist");
  }

  private static List<String> differences(Map<String, Map<String, Key>> described, String text) {
    List<String> differences = new ArrayList<>();
    Map<String, Map<String, String>> documented = new TreeMap<>();
    String pid = "";
    for (String line : text.lines().toList()) {
      Matcher item = ITEM.matcher(line);
      if (line.startsWith("## io.conexor.")) {
        pid = line.substring(3).trim();
        documented.put(pid, new TreeMap<>());
      } else if (line.startsWith("- `") && !pid.isEmpty() && item.matches()) {
        documented.get(pid).put(item.group(1), item.group(2));
        if (!item.group(3).contains("Restart effect: ")) {
          differences.add(pid + " " + item.group(1) + " does not say what a change restarts");
        }
      } else if (line.startsWith("- `") && !pid.isEmpty()) {
        differences.add(pid + " has a line that cannot be read: " + line);
      }
    }
    for (String known : described.keySet()) {
      if (!documented.containsKey(known)) {
        differences.add(known + " is not documented");
      }
    }
    documented.forEach(
        (of, keys) -> {
          if (!described.containsKey(of)) {
            differences.add(of + " does not exist");
            return;
          }
          Map<String, Key> real = described.get(of);
          real.keySet().stream()
              .filter(k -> !keys.containsKey(k))
              .forEach(k -> differences.add(of + " " + k + " is not documented"));
          keys.forEach(
              (key, facts) -> {
                if (!real.containsKey(key)) {
                  differences.add(of + " " + key + " does not exist");
                } else {
                  real.get(key).missingIn(facts).stream()
                      .map(m -> of + " " + key + ": '" + facts + "' does not say " + m)
                      .forEach(differences::add);
                }
              });
        });
    return differences;
  }

  /** What the metatype XML in the bundles and in the launcher says, by PID and key. */
  private static Map<String, Map<String, Key>> described() {
    Map<String, Map<String, Key>> described = new TreeMap<>();
    List<Element> documents = new ArrayList<>();
    Tree.OURS.forEach(jar -> documents.addAll(jar.metatypes()));
    documents.add(launcher());
    for (Element document : documents) {
      Map<String, Map<String, Key>> definitions = new HashMap<>();
      for (Element definition : Component.elements(document, "OCD")) {
        Map<String, Key> keys = new TreeMap<>();
        for (Element attribute : Component.elements(definition, "AD")) {
          keys.put(attribute.getAttribute("id"), Key.of(attribute));
        }
        definitions.put(definition.getAttribute("id"), keys);
      }
      for (Element designate : Component.elements(document, "Designate")) {
        String factory = designate.getAttribute("factoryPid");
        String id = Component.elements(designate, "Object").get(0).getAttribute("ocdref");
        described.put(
            factory.isEmpty() ? designate.getAttribute("pid") : factory, definitions.get(id));
      }
    }
    return described;
  }

  private static Element launcher() {
    try (var xml =
        io.conexor.runtime.Launch.class.getResourceAsStream(
            "/OSGI-INF/metatype/io.conexor.runtime.xml")) {
      return javax.xml.parsers.DocumentBuilderFactory.newInstance()
          .newDocumentBuilder()
          .parse(xml)
          .getDocumentElement();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private record Key(String type, boolean list, String defaultValue, String min, String max) {

    static Key of(Element attribute) {
      return new Key(
          attribute.getAttribute("type"),
          !List.of("", "0").contains(attribute.getAttribute("cardinality")),
          attribute.getAttribute("default"),
          attribute.getAttribute("min"),
          attribute.getAttribute("max"));
    }

    List<String> missingIn(String facts) {
      List<String> missing = new ArrayList<>();
      if (!facts.startsWith(type + (list ? " list" : ""))) {
        missing.add(type + (list ? " list" : ""));
      }
      // What a feature sets is the default of the installation.
      if (!facts.contains(" by the feature")
          && !facts.contains("no default")
          && !facts.contains("required")) {
        boolean says =
            defaultValue.isEmpty()
                ? facts.contains("default")
                : facts
                    .replace("`", "")
                    .matches(
                        ".*default " + Pattern.quote(defaultValue.replace("\\", "")) + "(,.*)?");
        if (!says) {
          missing.add("default " + defaultValue);
        }
      }
      if (!min.isEmpty() && !max.isEmpty() && !facts.contains(min + ".." + max)) {
        missing.add(min + ".." + max);
      }
      return missing;
    }
  }
}
