package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import java.sql.Connection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is told about the tables of a PostgreSQL. */
class PostgresSchemaTest {
  private static final Pattern NAME =
      Pattern.compile("^\\{\"schema\":\"([^\"]*)\",\"name\":\"(.*?)\",\"kind\"");

  private static LocalPostgres server;
  private static Fixture fixture;
  private static Map<String, String> tables;

  @BeforeAll
  static void start() throws Exception {
    server = LocalPostgres.start();
    try (Connection owner = server.connect()) {
      Fixture.run(
          owner,
          List.of(
              "CREATE TYPE mood AS ENUM ('sad', 'happy')",
              "CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, first text, last text,"
                  + " mood mood DEFAULT 'happy', UNIQUE (first, last))",
              "COMMENT ON TABLE customers IS 'Who \"buys\" \u20ac'",
              "COMMENT ON COLUMN customers.email IS 'lower case'",
              "CREATE TABLE \"Order Lines\" (\"order\" int, line int, customer int NOT NULL"
                  + " REFERENCES customers, price numeric(12,2) NOT NULL DEFAULT 0, tags text[],"
                  + " PRIMARY KEY (\"order\", line))",
              "CREATE INDEX ON \"Order Lines\" (customer)",
              "CREATE UNIQUE INDEX ON \"Order Lines\" (customer) WHERE line = 1",
              "CREATE TABLE returns (id int PRIMARY KEY, o int, l int,"
                  + " FOREIGN KEY (o, l) REFERENCES \"Order Lines\" (\"order\", line))",
              "CREATE VIEW spenders AS SELECT customer, sum(price) AS total FROM \"Order Lines\" GROUP BY 1",
              "CREATE MATERIALIZED VIEW cached AS SELECT 1 AS one",
              "CREATE TABLE measures (at date, n int) PARTITION BY RANGE (at)",
              "CREATE TABLE measures_2024 PARTITION OF measures FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
              "CREATE SCHEMA aside",
              "CREATE TABLE aside.notes (id int)"));
    }
    try (Connection root =
        java.sql.DriverManager.getConnection(
            "jdbc:postgresql://127.0.0.1:" + server.port() + "/conexor?user=postgres")) {
      Fixture.run(root, List.of("CREATE TABLE hidden (id int)", "CREATE ROLE outsider LOGIN"));
    }
    fixture = new Fixture();
    fixture.source("db", Map.of("url", server.url()));
    fixture.source("aside", Map.of("url", server.url(), "schemas", new String[] {"aside"}));
    fixture.source(
        "outside",
        Map.of("url", "jdbc:postgresql://127.0.0.1:" + server.port() + "/conexor?user=outsider"));
    tables = described("db");
  }

  @AfterAll
  static void stop() {
    if (fixture != null) {
      fixture.close();
    }
    if (server != null) {
      server.close();
    }
  }

  private static Map<String, String> described(String source) {
    Map<String, String> found = new HashMap<>();
    for (List<Object> row : fixture.links.link().schema(source).ok()) {
      String json = row.get(0).toString();
      Matcher name = NAME.matcher(json);
      assertThat(name.find()).isTrue();
      found.put(name.group(1) + "." + name.group(2), json);
    }
    return found;
  }

  @Test
  void tables_views_and_partitioned_tables_are_there_and_partitions_are_not() {
    assertThat(tables)
        .containsOnlyKeys(
            "public.customers",
            "public.Order Lines",
            "public.returns",
            "public.spenders",
            "public.cached",
            "public.measures",
            "aside.notes");
    assertThat(tables.get("public.spenders")).contains("\"kind\":\"view\"");
    assertThat(tables.get("public.cached")).contains("\"kind\":\"view\"");
    assertThat(tables.get("public.measures")).contains("\"kind\":\"table\"");
  }

  @Test
  void keys_unique_columns_and_indexes_are_told_apart() {
    assertThat(tables.get("public.customers"))
        .contains("\"primaryKey\":[\"id\"]", "\"unique\":[[\"email\"],[\"first\",\"last\"]]");
    assertThat(tables.get("public.Order Lines"))
        .contains(
            "\"primaryKey\":[\"order\",\"line\"]", "\"unique\":[]", "\"indexes\":[[\"customer\"]]");
  }

  @Test
  void foreign_keys_keep_the_order_of_their_columns() {
    assertThat(tables.get("public.Order Lines"))
        .contains(
            "\"foreignKeys\":[{\"columns\":[\"customer\"],\"refSchema\":\"public\","
                + "\"refTable\":\"customers\",\"refColumns\":[\"id\"]}]");
    assertThat(tables.get("public.returns"))
        .contains(
            "{\"columns\":[\"o\",\"l\"],\"refSchema\":\"public\",\"refTable\":\"Order Lines\","
                + "\"refColumns\":[\"order\",\"line\"]}");
  }

  @Test
  void columns_have_types_defaults_and_comments() {
    assertThat(tables.get("public.customers"))
        .contains(
            "\"comment\":\"Who \\\"buys\\\" \u20ac\"",
            "{\"name\":\"email\",\"type\":\"TEXT\",\"engineType\":\"text\",\"nullable\":true,"
                + "\"default\":null,\"comment\":\"lower case\"}",
            "{\"name\":\"mood\",\"type\":\"TEXT\",\"engineType\":\"mood\",\"nullable\":true,"
                + "\"default\":\"'happy'::mood\",\"comment\":\"\"}");
    assertThat(tables.get("public.Order Lines"))
        .contains(
            "{\"name\":\"price\",\"type\":\"DECIMAL\",\"engineType\":\"numeric(12,2)\","
                + "\"nullable\":false,\"default\":\"0\",\"comment\":\"\"}",
            "\"type\":\"ARRAY\",\"engineType\":\"text[]\"");
  }

  @Test
  void schemas_can_be_chosen() {
    assertThat(described("aside")).containsOnlyKeys("aside.notes");
  }

  @Test
  void what_the_role_cannot_read_is_not_told() {
    assertThat(described("outside")).isEmpty();
  }
}
