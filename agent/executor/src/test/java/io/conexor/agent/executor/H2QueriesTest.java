package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.protocol.agent.AgentMessage.CallStatus;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a backend sees of calls to an H2. */
class H2QueriesTest {
  private static final String URL = "jdbc:h2:mem:queries;NON_KEYWORDS=VALUE";
  private static final String SLOW =
      "SELECT COUNT(*) FROM SYSTEM_RANGE(1, 100000) A, SYSTEM_RANGE(1, 1000000) B WHERE A.X + B.X = 0";

  private Connection owner;
  private Fixture fixture;
  private ScriptedLinks.Link link;

  @BeforeEach
  void start() throws Exception {
    owner = DriverManager.getConnection(URL);
    Fixture.run(owner, Fixture.TABLES);
    fixture = new Fixture();
    fixture.source("shop", Map.of("url", URL));
    link = fixture.links.link();
  }

  @AfterEach
  void stop() throws Exception {
    if (fixture != null) {
      fixture.close();
    }
    owner.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "BOOLEAN      | TRUE                                                  | true",
        "INTEGER      | CAST(9223372036854775807 AS BIGINT)                   | 9223372036854775807",
        "DECIMAL      | 12345678901234567890.123456789012345678               | 12345678901234567890.123456789012345678",
        "DOUBLE       | CAST(0.1 AS REAL)                                     | 0.1",
        "DOUBLE       | CAST('NaN' AS DOUBLE PRECISION)                       | NaN",
        "TEXT         | 'a\u00e9\u4e16\ud83d\ude00'                           | a\u00e9\u4e16\ud83d\ude00",
        "DATE         | DATE '2024-02-29'                                     | 2024-02-29",
        "TIME         | TIME '12:00:00'                                       | 12:00:00",
        "TIMESTAMP    | TIMESTAMP '2024-02-29 12:00:00.000001'                | 2024-02-29T12:00:00.000001",
        "TIMESTAMP_TZ | TIMESTAMP WITH TIME ZONE '2024-02-29 12:00:00+05:30'  | 2024-02-29T12:00:00+05:30",
        "UUID         | CAST('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' AS UUID)  | a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "ARRAY        | ARRAY[1, NULL, 3]                                     | \"[1, null, 3]\"",
      })
  void values_arrive_as_they_are(String type, String expression, String expected) {
    ScriptedLinks.Reply reply = link.query("shop", "SELECT " + expression);

    assertThat(reply.ok().get(0).get(0)).hasToString(expected);
    assertThat(reply.columns.get(0).type()).isEqualTo(type);
  }

  @Test
  void parameters_reach_the_engine_as_values() {
    assertThat(link.query("shop", "SELECT CAST(? AS VARCHAR)", "'; DROP TABLE users; --").ok())
        .containsExactly(List.of("'; DROP TABLE users; --"));
    assertThat(link.query("shop", "SELECT id FROM users WHERE id = ?", 1L).ok()).hasSize(1);
    assertThat(link.query("shop", "SELECT id FROM users WHERE id = ?", "1").ok()).hasSize(1);
    assertThat(
            link.query(
                    "shop",
                    "SELECT id FROM users WHERE email IS NOT DISTINCT FROM ?",
                    (Object) null)
                .ok())
        .hasSize(1);
    assertThat(
            link.query("shop", "SELECT id FROM users WHERE id = ANY (?)", Arrays.asList(1L, 2L))
                .ok())
        .hasSize(2);
  }

  @Test
  void truncated_is_exact() {
    ScriptedLinks.Reply cut =
        link.query("shop", "SELECT X FROM SYSTEM_RANGE(1, 6)", List.of(), 5, 1 << 20, 10_000, 8);
    ScriptedLinks.Reply whole =
        link.query("shop", "SELECT X FROM SYSTEM_RANGE(1, 5)", List.of(), 5, 1 << 20, 10_000, 8);

    assertThat(cut.ok()).hasSize(5);
    assertThat(cut.await().truncated()).isTrue();
    assertThat(whole.await().truncated()).isFalse();
  }

  @Test
  void cancel_and_deadline_reach_the_statement() {
    ScriptedLinks.Reply late = link.query("shop", SLOW, List.of(), 10, 1 << 20, 200, 8);
    assertThat(late.error()).isEqualTo("deadline_exceeded");
    ScriptedLinks.Reply cancelled = link.query("shop", SLOW);
    Awaitility.await().until(() -> fixture.executor.inFlight().getAsInt() == 1);

    link.cancel();

    assertThat(cancelled.await(Duration.ofSeconds(10)).status()).isEqualTo(CallStatus.CANCELLED);
  }

  @Test
  void tables_are_described() {
    List<List<Object>> tables = link.schema("shop").ok();

    assertThat(tables).hasSize(3);
    assertThat(tables.toString())
        .contains("\"refTable\":\"USERS\"", "\"kind\":\"view\"", "\"primaryKey\":[\"ID\"]");
  }
}
