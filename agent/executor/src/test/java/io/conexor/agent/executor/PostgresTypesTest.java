package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.call.ColumnType;
import io.conexor.api.database.LocalPostgres;
import io.conexor.protocol.agent.AgentMessage;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Values of PostgreSQL arrive as they are, and parameters reach it as what they are. */
class PostgresTypesTest {
  private static LocalPostgres server;
  private static Fixture fixture;
  private static ScriptedLinks.Link link;

  @BeforeAll
  static void start() throws Exception {
    server = LocalPostgres.start();
    try (Connection owner = server.connect()) {
      Fixture.run(
          owner,
          List.of(
              "CREATE TYPE mood AS ENUM ('sad', 'happy')",
              "CREATE DOMAIN cents AS bigint",
              "CREATE SCHEMA aside",
              "CREATE TYPE aside.\"Far Away\" AS ENUM ('here')",
              "CREATE TABLE notes (id int PRIMARY KEY, body text, price numeric, tags text[], at date)",
              "INSERT INTO notes VALUES (1, 'one', 1.10, '{a,b}', '2024-02-29')"));
    }
    fixture = new Fixture();
    fixture.source("db", Map.of("url", server.url()));
    link = fixture.links.link();
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

  private static Object one(String expression, Object... parameters) {
    List<List<Object>> rows = link.query("db", "SELECT " + expression, parameters).ok();
    assertThat(rows).hasSize(1);
    return rows.get(0).get(0);
  }

  /** Twice: the driver changes from text to binary once a statement is prepared. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      nullValues = "nil",
      value = {
        "BOOLEAN      | true::bool                              | true",
        "INTEGER      | 32767::int2                             | 32767",
        "INTEGER      | (-2147483648)::int4                     | -2147483648",
        "INTEGER      | 9223372036854775807::int8               | 9223372036854775807",
        "INTEGER      | 4294967295::oid                         | 4294967295",
        "INTEGER      | 5::cents                                | 5",
        "DOUBLE       | 0.1::float4                             | 0.1",
        "DOUBLE       | 1.7976931348623157e308::float8          | 1.7976931348623157E308",
        "DOUBLE       | 'NaN'::float8                           | NaN",
        "DOUBLE       | '-Infinity'::float8                     | -Infinity",
        "DOUBLE       | '-0'::float8                            | -0.0",
        "DECIMAL      | 12345678901234567890.123456789012345678 | 12345678901234567890.123456789012345678",
        "DECIMAL      | 1.10::numeric                           | 1.10",
        "DECIMAL      | 1e20::numeric                           | 100000000000000000000",
        "DECIMAL      | 'NaN'::numeric                          | NaN",
        "DECIMAL      | 'Infinity'::numeric                     | Infinity",
        "TEXT         | 'x  '::char(4)                          | \"x   \"",
        "TEXT         | ''::text                                | \"\"",
        "TEXT         | 'happy'::mood                           | happy",
        "TEXT         | 'here'::aside.\"Far Away\"          | here",
        "DATE         | '2024-02-29'::date                      | 2024-02-29",
        "DATE         | 'infinity'::date                        | infinity",
        "DATE         | '0044-03-15 BC'::date                   | -0043-03-15",
        "TIME         | '23:59:59.123456'::time                 | 23:59:59.123456",
        "TIME         | '24:00'::time                           | 24:00:00",
        "TIME_TZ      | '12:00:00+05:30'::timetz                | 12:00:00+05:30",
        "TIMESTAMP    | '2024-02-29 12:00:00.000001'::timestamp | 2024-02-29T12:00:00.000001",
        "TIMESTAMP    | '-infinity'::timestamp                  | -infinity",
        "TIMESTAMP    | '12024-01-01'::timestamp                | +12024-01-01T00:00:00",
        "TIMESTAMP_TZ | 'infinity'::timestamptz                 | infinity",
        "INTERVAL     | '1 year 2 days 03:04:05.6'::interval    | 1 year 2 days 03:04:05.6",
        "UUID         | 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid | a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "JSON         | '{\"a\": 1e400, \"b\":[]}'::json | {\"a\": 1e400, \"b\":[]}",
        "JSON         | '{\"a\": 1.10}'::jsonb               | {\"a\": 1.10}",
        "OTHER        | '[1,5)'::int4range                      | [1,5)",
        "OTHER        | '10.0.0.0/8'::inet                      | 10.0.0.0/8",
        "OTHER        | '(1,2)'::point                          | (1,2)",
        "INTEGER      | null::int                               | nil",
        "DECIMAL      | null::numeric                           | nil",
        "TIMESTAMP_TZ | null::timestamptz                       | nil",
        "ARRAY        | null::int[]                             | nil",
        "ARRAY        | '{}'::int[]                             | []",
        "ARRAY        | ARRAY[1,2,NULL]                         | \"[1, 2, null]\"",
        "ARRAY        | ARRAY[[1,2],[3,4]]                      | \"[[1, 2], [3, 4]]\"",
        "ARRAY        | '[0:1]={5,6}'::int[]                    | \"[5, 6]\"",
        "ARRAY        | ARRAY[1.50, 'NaN']::numeric[]           | \"[1.50, NaN]\"",
        "ARRAY        | ARRAY['a,b', 'NULL', NULL, '', 'q\"\\']      | \"[a,b, NULL, null, , q\"\"\\]\"",
        "ARRAY        | ARRAY[true,false]                       | \"[true, false]\"",
        "ARRAY        | ARRAY['happy']::mood[]                  | [happy]",
        "ARRAY        | ARRAY['2024-02-29 12:00']::timestamp[]  | [2024-02-29T12:00:00]",
        "ARRAY        | ARRAY['{\"a\": [1]}']::jsonb[]      | [{\"a\": [1]}]",
      })
  void values_arrive_as_they_are(String type, String expression, String expected) {
    for (int i = 0; i < 2; i++) {
      ScriptedLinks.Reply reply = link.query("db", "SELECT " + expression);

      Object value = reply.ok().get(0).get(0);
      assertThat(value == null ? null : value.toString()).isEqualTo(expected);
      assertThat(reply.columns.get(0).type()).isEqualTo(type);
    }
  }

  @Test
  void moments_keep_an_offset_and_mean_the_same() {
    Object value = one("'2024-02-29 12:00:00.5+05:30'::timestamptz");

    assertThat(java.time.OffsetDateTime.parse(value.toString()).toInstant())
        .isEqualTo(java.time.Instant.parse("2024-02-29T06:30:00.5Z"));
  }

  @Test
  void bytes_and_arrays_of_bytes_arrive() {
    assertThat((byte[]) one("'\\x00ff10'::bytea")).containsExactly(0, -1, 16);
    assertThat((List<?>) one("ARRAY['\\x00ff']::bytea[]"))
        .singleElement()
        .isEqualTo(new byte[] {0, -1});
  }

  @Test
  void text_of_all_planes_arrives() {
    String all = "a\u00e9\u4e16\ud83d\ude00\u200f\ufeff\t\n\u0001z";

    assertThat(one("?::text", all)).isEqualTo(all);
    assertThat(one("octet_length(?)", all))
        .isEqualTo((long) all.getBytes(StandardCharsets.UTF_8).length);
    assertThat(one("'\ud83d\ude00'")).isEqualTo("\ud83d\ude00");
  }

  @Test
  void a_zero_character_is_refused_and_the_connection_goes_on() {
    ScriptedLinks.Reply bound = link.query("db", "SELECT ?::text", "a\u0000b");

    assertThat(bound.error()).isEqualTo("sql_error");
    assertThat(bound.await().error().blame()).isEqualTo("CALLER");
    assertThat(link.query("db", "SELECT 'a\u0000b'").error()).isEqualTo("sql_invisible_character");
    assertThat(one("1")).isEqualTo(1L);
  }

  @Test
  void parameters_reach_the_server_as_values() {
    assertThat(one("?::text", "'; DROP TABLE notes; --")).isEqualTo("'; DROP TABLE notes; --");
    assertThat(one("?::text", "\\' OR 1=1 $1 ? {fn now()}"))
        .isEqualTo("\\' OR 1=1 $1 ? {fn now()}");
    assertThat(link.query("db", "SELECT id FROM notes WHERE body = ?", "x' OR 'a'='a").ok())
        .isEmpty();
    assertThat(link.query("db", "SELECT id FROM notes WHERE id = ?", 1L).ok()).hasSize(1);
    assertThat(link.query("db", "SELECT id FROM notes WHERE id = ?", "1").ok()).hasSize(1);
    assertThat(link.query("db", "SELECT id FROM notes WHERE id < ?", 5_000_000_000L).ok())
        .hasSize(1);
    assertThat(link.query("db", "SELECT id FROM notes WHERE price = ?", "1.1").ok()).hasSize(1);
    assertThat(link.query("db", "SELECT id FROM notes WHERE price = ?", 1.1).ok()).hasSize(1);
    assertThat(link.query("db", "SELECT id FROM notes WHERE at = ?", "2024-02-29").ok()).hasSize(1);
    assertThat(link.query("db", "SELECT at + ? FROM notes", 1L).ok().get(0))
        .containsExactly("2024-03-01");
    assertThat(one("left('abc', ?)", 2L)).isEqualTo("ab");
    assertThat(one("round(?, 1)", 2.55)).isEqualTo("2.6");
    assertThat(one("?::numeric + 1", "12345678901234567890.5")).isEqualTo("12345678901234567891.5");
    assertThat(one("NOT ?", true)).isEqualTo(false);
    assertThat(one("?::int IS NULL", (Object) null)).isEqualTo(true);
    assertThat(one("coalesce(?, 'x')", (Object) null)).isEqualTo("x");
    assertThat((byte[]) one("?::bytea", (Object) new byte[] {0, 1, -1})).containsExactly(0, 1, -1);
  }

  @Test
  void lists_become_arrays() {
    List<Object> ids = List.of(1L, 2L);
    List<Object> nested = List.of(List.of(1L, 2L), List.of(3L, 4L));
    List<Object> odd = Arrays.asList("a,\"b\\", null, "NULL", "{}");

    assertThat(link.query("db", "SELECT id FROM notes WHERE id = ANY (?)", ids).ok()).hasSize(1);
    assertThat(one("?::int[][]", nested)).isEqualTo(nested);
    assertThat(one("?::text[]", odd)).isEqualTo(odd);
    assertThat(link.query("db", "SELECT id FROM notes WHERE tags @> ?", List.of("b")).ok())
        .hasSize(1);
    assertThat(one("cardinality(?::int[])", List.of())).isEqualTo(0L);
  }

  @Test
  void a_statement_takes_parameters_of_another_type_the_next_time() {
    List<Object> seen = new ArrayList<>();
    for (Object value : Arrays.asList(1L, "1", 5_000_000_000L, null, 1.5, 2L)) {
      seen.add(one("?::numeric", value));
    }

    assertThat(seen).containsExactly("1", "1", "5000000000", null, "1.5", "2");
  }

  @Test
  void too_few_or_too_many_values_are_refused_before_the_database_is_asked() {
    assertThat(link.query("db", "SELECT ?::int").error()).isEqualTo("parameter_count");
    assertThat(link.query("db", "SELECT 1", 1L).error()).isEqualTo("parameter_count");
  }

  @Test
  void columns_say_what_they_are() {
    ScriptedLinks.Reply reply =
        link.query(
            "db",
            "SELECT id, tags, price AS \"Preis \u20ac\", 1 AS a, 2 AS a FROM notes WHERE false");

    assertThat(reply.ok()).isEmpty();
    assertThat(reply.columns)
        .extracting(AgentMessage.Column::name)
        .containsExactly("id", "tags", "Preis \u20ac", "a", "a");
    assertThat(reply.columns.get(1).type()).isEqualTo(ColumnType.ARRAY.name());
    assertThat(reply.columns.get(1).elementType()).isEqualTo(ColumnType.TEXT.name());
    assertThat(reply.columns.get(0).engineType()).isEqualTo("int4");
  }
}
