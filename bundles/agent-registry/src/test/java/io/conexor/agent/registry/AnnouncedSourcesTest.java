package io.conexor.agent.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AnnouncedSourcesTest {

  private static final NodeId HERE = new NodeId("node-a");

  private final List<Attachment> attached = new CopyOnWriteArrayList<>();
  private final Map<String, DataSource> sources = new ConcurrentHashMap<>();
  private final List<String> audited = new CopyOnWriteArrayList<>();
  private volatile Set<String> allowed = Set.of();
  private volatile boolean isDatabaseAway;
  private volatile Consumer<OrgId> listener = org -> {};

  private final AnnouncedSources announced =
      new AnnouncedSources(
          scripted(
              AgentDirectory.class,
              (proxy, method, arguments) -> {
                if (method.getName().equals("attached")) {
                  return List.copyOf(attached);
                }
                @SuppressWarnings("unchecked") // the one argument of onChange
                Consumer<OrgId> given = (Consumer<OrgId>) arguments[0];
                listener = given;
                return (Subscription) () -> {};
              }),
          scripted(
              Catalog.class,
              (proxy, method, arguments) ->
                  CompletableFuture.completedFuture(Optional.of(catalog()))),
          scripted(
              CatalogEditor.class,
              (proxy, method, arguments) -> {
                if (isDatabaseAway) {
                  throw new ConexorException(
                      ConexorException.Blame.DEPENDENCY,
                      ConexorException.Applied.NO,
                      "database_away",
                      "away");
                }
                DataSource source = (DataSource) arguments[0];
                return sources.putIfAbsent(source.name(), source) == null;
              }),
          scripted(
              AuditTrail.class,
              (proxy, method, arguments) -> {
                audited.add(arguments[0].toString());
                return null;
              }),
          scripted(Node.class, (proxy, method, arguments) -> HERE));

  @AfterEach
  void close() {
    announced.close();
  }

  private static <T> T scripted(Class<T> type, InvocationHandler script) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, script));
  }

  private OrgCatalog catalog() {
    Attachment any = Links.link(HERE, 1, "x");
    Agent agent = new Agent(any.agent(), Links.ORG, "berlin", allowed, Instant.EPOCH);
    return new OrgCatalog(
        new Organisation(Links.ORG, "acme", "Acme", Instant.EPOCH),
        1,
        Map.of(agent.id(), agent),
        sources,
        Map.of(),
        Map.of(),
        Map.of());
  }

  private void link(NodeId node, long id, String... names) {
    attached.add(Links.link(node, id, names));
    listener.accept(Links.ORG);
  }

  @Test
  void what_a_linked_agent_brings_later_is_registered_too() {
    link(HERE, 1, "sales");
    await().until(() -> sources.size() == 1);

    attached.clear();
    link(HERE, 1, "sales", "people");

    await().until(() -> sources.containsKey("people"));
  }

  @Test
  void a_source_nobody_knew_is_registered_and_audited() {
    link(HERE, 1, "sales", "people");

    await().until(() -> sources.size() == 2);
    assertThat(sources).containsOnlyKeys("sales", "people");
    await().until(() -> audited.size() == 2);
  }

  @Test
  void what_the_agent_may_not_serve_is_left_alone() {
    allowed = Set.of("sales");
    link(HERE, 1, "sales", "people");

    await().until(() -> !audited.isEmpty());
    assertThat(sources).containsOnlyKeys("sales");
  }

  @Test
  void a_removed_source_comes_back_with_a_new_link_only() {
    link(HERE, 1, "sales");
    await().until(() -> sources.size() == 1);
    sources.clear();

    link(HERE, 2, "people");
    await().until(() -> sources.size() == 1);
    assertThat(sources).containsOnlyKeys("people");

    link(HERE, 3, "sales");
    await().until(() -> sources.size() == 2);
  }

  @Test
  void links_of_other_backends_are_theirs_to_register() {
    link(new NodeId("node-b"), 1, "sales");
    link(HERE, 2, "people");

    await().until(() -> sources.containsKey("people"));
    assertThat(sources).containsOnlyKeys("people");
  }

  @Test
  void a_database_that_was_away_is_asked_again() {
    isDatabaseAway = true;
    link(HERE, 1, "sales");
    isDatabaseAway = false;

    await().atMost(Duration.ofSeconds(10)).until(() -> sources.containsKey("sales"));
  }
}
