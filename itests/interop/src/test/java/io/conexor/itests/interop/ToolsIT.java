package io.conexor.itests.interop;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.itests.lab.LogsOfFailures;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import tools.jackson.databind.JsonNode;

/** Every kind of tool, on a real schema, through real processes. */
@ExtendWith(LogsOfFailures.class)
class ToolsIT {

  @RegisterExtension static final Shop shop = new Shop();

  private McpClient mcp;

  @BeforeEach
  void connect() {
    mcp = shop.open().mcp();
  }

  private static List<Integer> ids(List<JsonNode> rows) {
    return rows.stream().map(row -> row.get("id").asInt()).toList();
  }

  private static List<Integer> upTo(int last) {
    return IntStream.rangeClosed(1, last).boxed().toList();
  }

  @Test
  void the_tools_of_the_schema_are_offered() {
    assertThat(mcp.tools())
        .contains(
            "cheap_products",
            "query",
            "list_tables",
            "describe_table",
            "query_suppliers",
            "query_suppliers_by_id",
            "query_suppliers_by_name",
            "count_suppliers",
            "query_public_products",
            "query_public_products_by_id",
            "query_public_products_by_supplier_id_and_name",
            "query_public_products_with_suppliers",
            "query_suppliers_products",
            "query_odd_products",
            "query_order_lines_by_id",
            "query_expensive",
            "query_log",
            "query_gr_e_preis");
  }

  @Test
  void a_query_binds_its_parameters_and_tells_about_its_result() {
    JsonNode result =
        mcp.result(
            "query",
            "sql",
            "SELECT id, name FROM products WHERE id > ? AND name LIKE ? ORDER BY id",
            "parameters",
            List.of(10, "Product 1%"),
            "limit",
            3);
    JsonNode content = result.get("structuredContent");

    assertThat(content.get("rows").toString())
        .isEqualTo(
            "[{\"id\":11,\"name\":\"Product 11\"},{\"id\":12,\"name\":\"Product 12\"},"
                + "{\"id\":13,\"name\":\"Product 13\"}]");
    assertThat(content.get("columns").toString())
        .isEqualTo(
            "[{\"name\":\"id\",\"type\":\"INTEGER\"},{\"name\":\"name\",\"type\":\"TEXT\"}]");
    assertThat(content.get("rowCount").asInt()).isEqualTo(3);
    assertThat(content.get("truncated").asBoolean()).isTrue();
    assertThat(content.get("agent").asString()).isEqualTo("berlin");
    assertThat(content.get("elapsedMs").asDouble()).isPositive();
    assertThat(content.has("nextCursor")).isTrue();
    assertThat(result.get("content").get(0).get("text").asString()).isEqualTo(content.toString());
  }

  @Test
  void a_source_can_be_named_only_where_there_are_several() {
    assertThat(mcp.error("query", "sql", "SELECT 1", "source", "goods"))
        .contains("has no argument 'source'");
  }

  @Test
  void what_writes_is_refused_and_nothing_is_written() {
    for (String sql :
        List.of(
            "DELETE FROM log",
            "WITH d AS (DELETE FROM log RETURNING *) SELECT * FROM d",
            "SELECT 1; DELETE FROM log",
            "SELECT * INTO copy FROM log",
            "SELECT pg_terminate_backend(1)")) {
      assertThat(mcp.error("query", "sql", sql)).as(sql).doesNotContain("trying again");
    }
    assertThat(mcp.call("count_log").get("rows").get(0).get("count").asInt()).isEqualTo(45);
  }

  @Test
  void a_wrong_statement_is_told_what_the_database_said() {
    assertThat(mcp.error("query", "sql", "SELECT nothing FROM nowhere"))
        .contains("nowhere")
        .doesNotContain("Exception");
  }

  @Test
  void tables_are_listed_and_described() {
    JsonNode tables = mcp.call("list_tables").get("tables");
    JsonNode products = mcp.call("describe_table", "table", "public.products");

    assertThat(tables.findValuesAsString("name"))
        .contains("suppliers", "products", "expensive", "Größe & Preis");
    assertThat(products.get("comment").asString()).isEqualTo("What can be bought");
    assertThat(products.get("primaryKey").toString()).isEqualTo("[\"id\"]");
    assertThat(products.get("unique").toString()).contains("[\"supplier_id\",\"name\"]");
    assertThat(products.get("foreignKeys").get(0).get("refTable").asString())
        .isEqualTo("suppliers");
    assertThat(products.get("columns").findValuesAsString("type"))
        .contains("bigint", "text", "numeric(12,2)");
    assertThat(mcp.error("describe_table", "table", "nothing")).contains("no such table");
  }

  @Test
  void the_cursor_walks_a_table_once_by_its_key() {
    assertThat(ids(mcp.pages("query_public_products", 700))).isEqualTo(upTo(2500));
  }

  @Test
  void rows_that_come_and_go_meanwhile_move_no_page() {
    shop.open().goods().execute("create table if not exists moving (id integer primary key)");
    shop.open().goods().execute("insert into moving select generate_series(10, 100, 10)");
    shop.open().tenant().post("/sources/goods/schema/refresh", java.util.Map.of());
    JsonNode first = mcp.call("query_moving", "limit", 5);
    shop.open().goods().execute("delete from moving where id < 40; insert into moving values (55)");

    JsonNode second =
        mcp.call("query_moving", "limit", 100, "cursor", first.get("nextCursor").asString());

    assertThat(second.get("rows").findValuesAsString("id"))
        .containsExactly("55", "60", "70", "80", "90", "100");
    shop.open().goods().execute("drop table moving");
  }

  @Test
  void the_cursor_walks_composite_keys_views_and_tables_without_a_key() {
    assertThat(mcp.pages("query_order_lines", 37))
        .extracting(row -> row.get("order_no").asInt() + "/" + row.get("line_no").asInt())
        .hasSize(300)
        .doesNotHaveDuplicates();
    assertThat(ids(mcp.pages("query_expensive", 50))).hasSize(200).doesNotHaveDuplicates();
    assertThat(mcp.pages("query_log", 7))
        .extracting(row -> row.get("message").asString())
        .hasSize(45)
        .doesNotHaveDuplicates();
  }

  @Test
  void the_cursor_walks_the_callers_own_query_and_written_tools() {
    assertThat(ids(mcp.pages("query", 100, "sql", "SELECT id FROM suppliers ORDER BY id")))
        .isEqualTo(upTo(20));
    assertThat(ids(mcp.pages("query", 6, "sql", "SELECT id FROM suppliers ORDER BY id")))
        .isEqualTo(upTo(20));
    assertThat(mcp.pages("cheap_products", 3, "max", "4.5", "tags", List.of("red")))
        .extracting(row -> row.get("name").asString())
        .startsWith("Product 3", "Product 1002")
        .hasSize(
            (int) IntStream.rangeClosed(1, 2500).filter(i -> i % 3 == 0 && i % 1000 < 4).count());
  }

  @Test
  void rows_are_found_by_keys() {
    assertThat(mcp.call("query_suppliers_by_id", "id", 7).get("rows").toString())
        .isEqualTo("[{\"id\":7,\"name\":\"Supplier 7\",\"country\":null}]");
    assertThat(mcp.call("query_suppliers_by_name", "name", "Supplier 8").get("rows").toString())
        .contains("\"id\":8", "\"country\":\"DE\"");
    assertThat(
            mcp.call(
                    "query_public_products_by_supplier_id_and_name",
                    "supplier_id",
                    8,
                    "name",
                    "Product 7")
                .get("rowCount")
                .asInt())
        .isEqualTo(1);
    assertThat(
            mcp.call("query_order_lines_by_id", "order_no", 2, "line_no", 1)
                .get("rows")
                .get(0)
                .get("product_id")
                .asInt())
        .isEqualTo(5);
  }

  @Test
  void rows_are_filtered_and_counted() {
    assertThat(
            mcp.call("count_public_products", "supplier_id", 3)
                .get("rows")
                .get(0)
                .get("count")
                .asInt())
        .isEqualTo(125);
    assertThat(
            mcp.call("query_public_products", "name", "Product 42")
                .get("rows")
                .get(0)
                .get("price")
                .asString())
        .isEqualTo("42.99");
    assertThat(
            mcp.call(
                    "count_public_products",
                    "added_after",
                    "2026-01-01T00:10:00+01:00",
                    "added_before",
                    "2025-12-31T23:20:00Z")
                .get("rows")
                .get(0)
                .get("count")
                .asInt())
        .isEqualTo(9);
    assertThat(mcp.call("query_things", "feeling", "happy").get("rowCount").asInt()).isEqualTo(1);
  }

  @Test
  void rows_are_joined_along_foreign_keys() {
    JsonNode joined =
        mcp.call("query_public_products_with_suppliers", "name", "Product 42").get("rows").get(0);
    assertThat(joined.get("suppliers_name").asString()).isEqualTo("Supplier 3");
    assertThat(joined.get("name").asString()).isEqualTo("Product 42");
    assertThat(mcp.pages("query_suppliers_products", 50, "supplier_id", 3)).hasSize(125);
    assertThat(mcp.pages("query_order_lines_with_products", 100)).hasSize(300);
  }

  @Test
  void values_survive() {
    JsonNode rows = mcp.call("query_things").get("rows");
    JsonNode row = rows.get(0);

    assertThat(row.get("flag").asBoolean()).isTrue();
    assertThat(row.get("tiny").asInt()).isEqualTo(-7);
    assertThat(row.get("big").asString()).isEqualTo("9223372036854775807");
    assertThat(row.get("big").isString()).isTrue();
    assertThat(row.get("exact").asString()).isEqualTo("1234567890123456789012345678.0123456789");
    assertThat(row.get("float_").asDouble()).isEqualTo(0.1);
    assertThat(row.get("label").asString()).isEqualTo("Grüße, 世界 🌍 \"quoted\" \\ back");
    assertThat(row.get("feeling").asString()).isEqualTo("happy");
    assertThat(row.get("raw").asString()).isEqualTo("AP8Q");
    assertThat(row.get("document").toString())
        .isEqualTo("{\"a\":[1,{\"b\":null}],\"big\":12345678901234567890}");
    assertThat(row.get("plain").toString()).isEqualTo("{\"z\":1}");
    assertThat(row.get("numbers").toString()).isEqualTo("[1,null,3]");
    assertThat(row.get("matrix").toString()).isEqualTo("[[1,2],[3,4]]");
    assertThat(row.get("day").asString()).isEqualTo("2026-02-28");
    assertThat(row.get("clock").asString()).isEqualTo("23:59:59.123456");
    assertThat(row.get("at").asString()).isEqualTo("2026-02-28T12:00:00.5");
    assertThat(java.time.OffsetDateTime.parse(row.get("at_zone").asString()).toInstant())
        .isEqualTo(java.time.Instant.parse("2026-02-28T06:30:00Z"));
    assertThat(row.get("net").asString()).isEqualTo("10.0.0.0/8");
    JsonNode nulls = rows.get(1);
    assertThat(nulls.propertyNames()).hasSize(19);
    assertThat(nulls.properties().stream().filter(e -> e.getValue().isNull())).hasSize(18);
  }

  @Test
  void odd_names_are_quoted() {
    JsonNode rows = mcp.call("query_gr_e_preis").get("rows");

    assertThat(rows.get(0).get("Schlüssel \"1\"").asInt()).isEqualTo(1);
    assertThat(rows.get(0).get("bild 🖼").asString()).isEqualTo("🎨");
    assertThat(rows.get(1).get("select").isNull()).isTrue();
    assertThat(mcp.call("query_odd_products").get("rows").get(0).get("note").asString())
        .isEqualTo("another products");
  }
}
