package io.conexor.catalog;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.catalog.ToolParameter;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import io.conexor.api.node.NodeId;
import io.conexor.backplane.memory.MemoryNetwork;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class PostgresCatalogTest {

  private static final Instant THEN = Instant.parse("2026-01-02T03:04:05Z");
  private static LocalPostgres server;

  private final AtomicLong now = new AtomicLong(1_000_000_000L);
  private final MemoryNetwork network = new MemoryNetwork();
  private final OrgId org = OrgId.random();
  private final String slug = "o-" + org;
  private DirectDatabase database;
  private PostgresCatalog here;
  private PostgresCatalog elsewhere;

  @BeforeAll
  static void startServer() {
    server = LocalPostgres.start();
    assertThat(Migrations.migrate(source())).isNotEqualTo("0");
  }

  @AfterAll
  static void stopServer() {
    server.close();
  }

  @BeforeEach
  void twoBackends() {
    database = new DirectDatabase(server);
    here = backend("node-here");
    elsewhere = backend("node-elsewhere");
    here.put(new Organisation(org, slug, "Test", THEN));
  }

  @AfterEach
  void stopBackends() {
    here.close();
    elsewhere.close();
    database.close();
  }

  private PostgresCatalog backend(String node) {
    Settings settings =
        new Settings(
            Duration.ofSeconds(30),
            Duration.ofHours(1),
            Duration.ofSeconds(2),
            Duration.ofSeconds(5),
            100);
    PostgresCatalog catalog = new PostgresCatalog(database, settings, now::get);
    Backplane bus = network.node(new NodeId(node));
    catalog.bindBackplane(bus);
    return catalog;
  }

  private static PGSimpleDataSource source() {
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setUrl(server.url());
    return source;
  }

  private Optional<OrgCatalog> seenBy(PostgresCatalog backend) {
    return backend.bySlug(slug).toCompletableFuture().orTimeout(10, SECONDS).join();
  }

  private OrgCatalog seenHere() {
    return seenBy(here).orElseThrow();
  }

  private DataSource shop() {
    return new DataSource(org, "shop", "postgresql", "The shop", THEN);
  }

  @Test
  void migrating_again_changes_nothing() {
    String version = Migrations.migrate(source());

    assertThat(Migrations.migrate(source())).isEqualTo(version);
  }

  @Test
  void everything_put_is_read_back_as_it_was() {
    Agent agent = new Agent(AgentId.random(), org, "berlin", Set.of("shop"), THEN);
    Tool tool =
        new Tool(
            ToolId.random(),
            org,
            "orders_of",
            "Orders",
            "shop",
            "select * from orders where customer = :customer",
            List.of(
                new ToolParameter(
                    "customer", ColumnType.INTEGER, "Whose", false, Optional.of("7"))),
            THEN);
    McpServer mcp =
        new McpServer(
            McpServerId.random(),
            org,
            "main",
            "",
            true,
            List.of("shop"),
            true,
            false,
            Set.of(tool.id()),
            THEN);

    here.put(agent);
    here.put(shop());
    here.put(tool);
    here.put(mcp);
    here.put(org, schema("id"));

    OrgCatalog seen = seenHere();
    assertThat(seen.agents()).containsEntry(agent.id(), agent);
    assertThat(seen.sources()).containsEntry("shop", shop());
    assertThat(seen.tools()).containsEntry(tool.id(), tool);
    assertThat(seen.servers()).containsEntry("main", mcp);
    assertThat(seen.schemas()).containsEntry("shop", schema("id"));
  }

  private static SourceSchema schema(String column) {
    return new SourceSchema(
        "shop",
        "postgresql",
        THEN,
        List.of(
            new SourceSchema.Table(
                "public",
                "orders",
                "table",
                "",
                3,
                List.of(
                    new SourceSchema.TableColumn(
                        column, ColumnType.INTEGER, "int4", false, "", "")),
                List.of(column),
                List.of(),
                List.of(
                    new SourceSchema.ForeignKey(
                        List.of(column), "public", "customers", List.of("id"))),
                List.of())));
  }

  @Test
  void a_known_organisation_costs_no_database_use() {
    seenHere();
    int before = database.uses.get();

    OrgCatalog first = seenHere();
    OrgCatalog second = seenHere();

    assertThat(second).isSameAs(first);
    assertThat(database.uses.get()).isEqualTo(before);
  }

  @Test
  void a_change_reaches_the_other_backend() {
    assertThat(seenBy(elsewhere).orElseThrow().sources()).isEmpty();

    here.put(shop());

    await()
        .atMost(Duration.ofSeconds(5))
        .untilAsserted(
            () -> assertThat(seenBy(elsewhere).orElseThrow().sources()).containsKey("shop"));
  }

  @Test
  void a_change_that_repeats_an_equal_schema_raises_no_version() {
    here.put(shop());
    here.put(org, schema("id"));
    long version = seenHere().version();

    here.put(org, schema("id"));

    assertThat(seenHere().version()).isEqualTo(version);
  }

  @Test
  void a_taken_name_is_the_callers_fault() {
    here.put(new Agent(AgentId.random(), org, "berlin", Set.of(), THEN));

    assertThatThrownBy(() -> here.put(new Agent(AgentId.random(), org, "berlin", Set.of(), THEN)))
        .isInstanceOfSatisfying(
            ConexorException.class,
            e -> {
              assertThat(e.code()).isEqualTo("agents_name_taken");
              assertThat(e.blame()).isEqualTo(ConexorException.Blame.CALLER);
              assertThat(e.applied()).isEqualTo(ConexorException.Applied.NO);
            });
  }

  @Test
  void adding_a_source_leaves_one_that_is_there() {
    assertThat(here.add(shop())).isTrue();
    long version = seenHere().version();

    assertThat(here.add(new DataSource(org, "shop", "mysql", "Another", THEN))).isFalse();

    assertThat(seenHere().sources().get("shop").description()).isEqualTo("The shop");
    assertThat(seenHere().version()).isEqualTo(version);
  }

  @Test
  void a_schema_of_no_source_is_refused() {
    assertThatThrownBy(() -> here.put(org, schema("id")))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("source_unknown"));
  }

  @Test
  void an_unknown_organisation_is_empty_and_not_asked_for_again_at_once() {
    String nobody = "nobody-" + org;
    assertThat(here.bySlug(nobody).toCompletableFuture().join()).isEmpty();
    int before = database.uses.get();

    assertThat(here.bySlug(nobody).toCompletableFuture().join()).isEmpty();

    assertThat(database.uses.get()).isEqualTo(before);
  }

  @Test
  void the_last_version_is_served_while_the_database_is_away_up_to_its_maximum_age() {
    seenHere();
    server.pause();
    try {
      now.addAndGet(Duration.ofMinutes(59).toNanos());
      assertThat(seenBy(here)).isPresent();

      now.addAndGet(Duration.ofMinutes(2).toNanos());
      assertThatThrownBy(() -> seenBy(here)).hasRootCauseInstanceOf(java.io.IOException.class);
    } finally {
      server.resume();
    }
    assertThat(seenBy(here)).isPresent();
  }

  @Test
  void removing_an_agent_leaves_the_sources() {
    Agent agent = new Agent(AgentId.random(), org, "berlin", Set.of(), THEN);
    here.put(agent);
    here.put(shop());

    assertThat(here.remove(org, agent.id())).isTrue();
    assertThat(here.remove(org, agent.id())).isFalse();

    assertThat(seenHere().agents()).isEmpty();
    assertThat(seenHere().sources()).containsKey("shop");
  }
}
