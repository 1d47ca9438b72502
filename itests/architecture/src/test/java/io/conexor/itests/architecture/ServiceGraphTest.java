package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Who offers what to whom, as bnd wrote it into the bundles, and that the document says the same.
 */
class ServiceGraphTest {

  /** Registered by a bundle itself, because declarative services would register it too early. */
  private static final Set<String> BY_HAND =
      Set.of(
          "io.conexor.api.database.Schema", // once the migrations are applied
          "org.redisson.api.RedissonClient", // once it is connected
          "org.osgi.service.component.runtime.ServiceComponentRuntime",
          "org.apache.felix.service.command.CommandProcessor");

  private final ServiceGraph graph = new ServiceGraph(Tree.COMPONENTS);

  @Test
  void components_do_not_need_each_other_in_a_circle() {
    assertThat(graph.cycle()).isEmpty();
  }

  @Test
  void a_circle_is_found() {
    Component one = component("one", "A", "B");
    Component two = component("two", "B", "A");

    assertThat(new ServiceGraph(List.of(one, two)).cycle()).containsExactly("one", "two", "one");
  }

  @Test
  void every_service_that_is_needed_is_offered() {
    assertThat(graph.unanswered(BY_HAND)).isEmpty();
  }

  @Test
  void a_service_that_nobody_offers_is_found() {
    assertThat(new ServiceGraph(List.of(component("one", "A", "B"))).unanswered(Set.of()))
        .containsExactly("one needs B");
  }

  @Test
  void the_document_lists_the_services_that_there_are() {
    String text = Tree.text(Tree.ROOT.resolve("docs/architecture.md"));
    int start = text.indexOf("| service |");
    String documented = text.substring(start, text.indexOf("\n\n", start) + 1);

    assertThat(documented).as("the table of docs/architecture.md").isEqualTo(graph.table());
  }

  private static Component component(String name, String provides, String needs) {
    return new Component(
        "io.conexor." + name,
        name,
        name,
        List.of(provides),
        List.of(new Component.Reference(needs, true, false, "")),
        List.of(),
        false);
  }
}
