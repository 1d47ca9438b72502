package io.conexor.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Role;
import io.conexor.api.audit.AuditRecord.Outcome;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.rows.RowWriter;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class RestApiTest {

  private static LocalPostgres server;
  private static DirectDatabase database;

  private final World world = new World();
  private final World.ScriptedKeys keys = new World.ScriptedKeys();
  private final World.ScriptedUsers users = new World.ScriptedUsers();
  private RestApi api;

  @BeforeAll
  static void startDatabase() {
    server = LocalPostgres.start().migrate();
    database = new DirectDatabase(server);
  }

  @AfterAll
  static void stopDatabase() {
    database.close();
    server.close();
  }

  @BeforeEach
  void start() {
    server.execute(
        "set conexor.org = '*'; insert into organisations (id, slug, name) values ('%s', 'o-%s', 'x')"
            .formatted(world.org, world.org));
    api = api(world, keys, users, 4, 64);
  }

  static RestApi api(
      World world, World.ScriptedKeys keys, World.ScriptedUsers users, int threads, int queue) {
    return new RestApi(
        world,
        new ScriptedTokens(),
        keys,
        users,
        world,
        world,
        world,
        world,
        world,
        database == null ? new DirectDatabase(null) : database,
        world,
        new Settings(
            1 << 20,
            threads,
            queue,
            1_000,
            1 << 20,
            1_000_000,
            1 << 30,
            Duration.ofSeconds(30),
            Duration.ofSeconds(300),
            Duration.ofSeconds(60)));
  }

  @AfterEach
  void stop() {
    api.close();
  }

  private ScriptedExchange ask(String method, String path, String body) {
    return send(new ScriptedExchange(method, path, body).header("X-API-Key", "admin"));
  }

  private ScriptedExchange send(ScriptedExchange exchange) {
    api.handle(exchange);
    return exchange.await();
  }

  private static ScriptedExchange query(String accept, String body) {
    return new ScriptedExchange("POST", "/query", body)
        .header("X-API-Key", "admin")
        .header("Accept", accept);
  }

  private static final String SALES = "{\"source\":\"sales\",\"sql\":\"SELECT id, name FROM t\"}";

  private static final List<Column> COLUMNS =
      List.of(
          new Column("id", ColumnType.INTEGER, false, Optional.empty(), "int4"),
          new Column("name", ColumnType.TEXT, true, Optional.empty(), "text"));

  private static RowBatch batch(int from, int rows) {
    GrowingBytes bytes = new GrowingBytes(64, 1 << 24);
    RowWriter writer = new RowWriter(bytes);
    for (int i = from; i < from + rows; i++) {
      writer.row(2);
      writer.integer(i);
      if (i % 3 == 2) {
        writer.nil();
      } else {
        writer.text(i % 3 == 0 ? "a \"quoted\", text" : "");
      }
    }
    return new RowBatch(COLUMNS, rows, bytes.array(), 0, bytes.size());
  }

  private static QuerySummary summary(long rows, boolean truncated) {
    return new QuerySummary(AgentId.random(), "berlin", rows, truncated, 1_500);
  }

  private void answersWithRows(int batches, int each) {
    world.agent =
        (call, sink) -> {
          for (int i = 0; i < batches; i++) {
            sink.batch(batch(i * each, each));
          }
          sink.done(summary((long) batches * each, false));
        };
  }

  @Test
  void a_query_is_answered_as_one_document() {
    answersWithRows(2, 2);

    ScriptedExchange answer =
        send(
            query(
                "application/json",
                "{\"source\":\"sales\",\"sql\":\"SELECT ?\",\"parameters\":[1,2.50,\"x\",null,true,[1]],"
                    + "\"limit\":10,\"timeoutMs\":5000}"));

    assertThat(answer.status).isEqualTo(200);
    JsonNode json = answer.json();
    assertThat(json.get("rows").toString())
        .isEqualTo(
            "[[0,\"a \\\"quoted\\\", text\"],[1,\"\"],[2,null],[3,\"a \\\"quoted\\\", text\"]]");
    assertThat(json.get("columns").get(1).get("type").stringValue()).isEqualTo("TEXT");
    assertThat(json.get("rowCount").intValue()).isEqualTo(4);
    assertThat(json.get("truncated").booleanValue()).isFalse();
    assertThat(json.get("agent").stringValue()).isEqualTo("berlin");
    assertThat(world.queries.get(0).maxRows()).isEqualTo(10);
    assertThat(world.queries.get(0).parameters())
        .containsExactly(1L, new java.math.BigDecimal("2.50"), "x", null, true, List.of(1L));
    assertThat(world.records)
        .singleElement()
        .satisfies(
            record -> {
              assertThat(record.action()).isEqualTo("query.execute");
              assertThat(record.outcome()).isEqualTo(Outcome.OK);
              assertThat(record.rowCount()).isEqualTo(4);
              assertThat(record.agent()).isEqualTo("berlin");
              assertThat(record.parameterCount()).isEqualTo(6);
              assertThat(record.toString()).doesNotContain("2.50");
            });
  }

  @Test
  void a_query_is_streamed_as_lines() {
    answersWithRows(3, 2);

    String[] lines = send(query("application/x-ndjson", SALES)).text().split("\n");

    assertThat(lines).hasSize(8);
    assertThat(lines[0]).startsWith("{\"columns\":[{\"name\":\"id\"");
    assertThat(lines[1]).isEqualTo("[0,\"a \\\"quoted\\\", text\"]");
    assertThat(lines[7])
        .contains("\"rowCount\":6")
        .contains("\"truncated\":false")
        .contains("\"agent\":\"berlin\"");
  }

  @Test
  void a_query_is_streamed_as_csv() {
    answersWithRows(1, 3);

    ScriptedExchange answer = send(query("text/csv", SALES));

    assertThat(answer.text())
        .isEqualTo("id,name\r\n0,\"a \"\"quoted\"\", text\"\r\n1,\"\"\r\n2,\r\n");
    assertThat(answer.isAborted).isFalse();
  }

  @Test
  void a_csv_cut_short_by_anything_but_the_asked_limit_is_cut_off() {
    world.agent =
        (call, sink) -> {
          sink.batch(batch(0, 3));
          sink.done(summary(3, true));
        };

    assertThat(send(query("text/csv", SALES)).isAborted).isTrue();
    assertThat(send(query("text/csv", SALES.replace("}", ",\"limit\":3}"))).isAborted).isFalse();
  }

  @Test
  void batches_are_asked_for_as_the_client_takes_them() {
    RowSink[] agent = new RowSink[1];
    world.agent = (call, sink) -> agent[0] = sink;
    ScriptedExchange exchange = query("application/x-ndjson", SALES);
    exchange.isHolding = true;
    api.handle(exchange);

    for (int i = 0; i < 4; i++) {
      agent[0].batch(batch(i, 1));
    }
    assertThat(world.requested).as("nothing was taken yet").hasValue(0);
    assertThat(exchange.held).as("one write at a time").hasSize(1);

    for (int i = 0; i < 4; i++) {
      exchange.held.poll().complete(null);
      assertThat(world.requested).hasValue(i + 1);
    }
    agent[0].done(summary(4, false));
    exchange.held.poll().complete(null);
    assertThat(exchange.await().text()).contains("\"rowCount\":4");
  }

  @Test
  void a_client_that_goes_away_cancels_the_statement() {
    RowSink[] agent = new RowSink[1];
    world.agent = (call, sink) -> agent[0] = sink;
    ScriptedExchange exchange = query("application/x-ndjson", SALES);
    api.handle(exchange);

    exchange.goAway();

    assertThat(world.cancelled).containsExactly("the client went away");
    agent[0].failed(
        new ConexorException(Blame.CALLER, Applied.NO, "cancelled", "the client went away"));
    assertThat(world.records.get(0).outcome()).isEqualTo(Outcome.CANCELLED);
  }

  @Test
  void a_failure_before_the_first_row_is_a_problem_and_after_it_cuts_the_answer_off() {
    world.agent =
        (call, sink) ->
            sink.failed(
                new ConexorException(
                    Blame.DEPENDENCY, Applied.NO, "no_agent", "no agent serves 'sales' now"));
    ScriptedExchange early = send(query("application/x-ndjson", SALES));
    assertThat(early.status).isEqualTo(503);
    assertThat(early.answered).containsEntry("Retry-After", "1");
    assertThat(early.json().get("code").stringValue()).isEqualTo("no_agent");

    world.agent =
        (call, sink) -> {
          sink.batch(batch(0, 1));
          sink.failed(
              new ConexorException(
                  Blame.DEPENDENCY, Applied.UNKNOWN, "agent_gone", "the agent went away"));
        };
    ScriptedExchange late = send(query("application/x-ndjson", SALES));
    assertThat(late.isAborted).isTrue();
    assertThat(late.text()).contains("{\"error\":{").contains("agent_gone");
  }

  @Test
  void errors_become_statuses_by_the_table() {
    Object[][] table = {
      {Blame.CALLER, Applied.NO, "sql_refused", 400},
      {Blame.CALLER, Applied.NO, "source_unknown", 404},
      {Blame.CALLER, Applied.NO, "agent_taken", 409},
      {Blame.CAPACITY, Applied.NO, "queue_full", 429},
      {Blame.DEPENDENCY, Applied.NO, "no_agent", 503},
      {Blame.DEPENDENCY, Applied.UNKNOWN, "agent_gone", 504},
      {Blame.BUG, Applied.NO, "internal", 500},
      {Blame.BUG, Applied.UNKNOWN, "internal", 500}
    };
    for (Object[] row : table) {
      world.agent =
          (call, sink) ->
              sink.failed(
                  new ConexorException(
                      (Blame) row[0], (Applied) row[1], (String) row[2], "a secret detail"));

      ScriptedExchange answer = send(query("*/*", SALES));

      assertThat(answer.status).as("%s", List.of(row)).isEqualTo(row[3]);
      assertThat(answer.answered).containsEntry("Content-Type", "application/problem+json");
      assertThat(answer.json().get("applied").stringValue()).isEqualTo(row[1].toString());
      if (row[0] == Blame.BUG) {
        assertThat(answer.text()).doesNotContain("secret");
      }
    }
  }

  @Test
  void a_result_too_large_for_a_document_is_refused_with_bounded_memory() {
    world.agent =
        (call, sink) -> {
          for (int i = 0; i < 100_000 && world.cancelled.isEmpty(); i++) {
            sink.batch(batch(0, 1_000));
            if (i == 2_000) {
              break;
            }
          }
          sink.done(summary(1, false));
        };

    assertThat(send(query("application/json", SALES)).status).isEqualTo(413);
  }

  @Test
  void a_server_key_queries_the_sources_of_its_server_only() {
    answersWithRows(1, 1);
    ScriptedExchange own =
        send(new ScriptedExchange("POST", "/query", SALES).header("X-API-Key", "server"));
    ScriptedExchange foreign =
        send(
            new ScriptedExchange("POST", "/query", SALES.replace("sales", "people"))
                .header("X-API-Key", "server"));

    assertThat(own.status).isEqualTo(200);
    assertThat(foreign.status).isEqualTo(403);
    assertThat(world.records.get(1).action()).isEqualTo("query.refuse");
    assertThat(
            send(new ScriptedExchange("GET", "/agents", "").header("X-API-Key", "server")).status)
        .isEqualTo(403);
    assertThat(
            send(new ScriptedExchange("POST", "/query", SALES).header("X-API-Key", "agent")).status)
        .isEqualTo(403);
  }

  @Test
  void no_credential_or_a_wrong_one_is_401_and_audited() {
    ScriptedExchange none = send(new ScriptedExchange("GET", "/agents", ""));
    ScriptedExchange wrong =
        send(new ScriptedExchange("GET", "/agents", "").header("Authorization", "Bearer nope"));

    assertThat(none.status).isEqualTo(401);
    assertThat(wrong.status).isEqualTo(401);
    assertThat(wrong.answered).containsKey("WWW-Authenticate");
    assertThat(world.records)
        .extracting(r -> r.action())
        .containsExactly("auth.refuse", "auth.refuse");
  }

  @Test
  void a_login_sets_a_strict_cookie_that_needs_the_csrf_token_for_changes() {
    ScriptedExchange login =
        send(
            new ScriptedExchange(
                "POST", "/login", "{\"email\":\"ada@example.org\",\"password\":\"right\"}"));
    assertThat(login.status).isEqualTo(200);
    assertThat(login.answered.get("Set-Cookie"))
        .startsWith("__Host-" + Credential.COOKIE + "=")
        .contains("HttpOnly")
        .contains("SameSite=Strict")
        .contains("Secure");
    String cookie = login.answered.get("Set-Cookie").split(";")[0];
    String csrf = login.json().get("csrfToken").stringValue();

    assertThat(send(new ScriptedExchange("GET", "/session", "").header("Cookie", cookie)).status)
        .isEqualTo(200);
    assertThat(
            send(new ScriptedExchange("POST", "/agents", "{\"name\":\"x\"}")
                    .header("Cookie", cookie))
                .status)
        .isEqualTo(403);
    assertThat(
            send(new ScriptedExchange("POST", "/agents", "{\"name\":\"x\"}")
                    .header("Cookie", cookie)
                    .header("X-CSRF-Token", csrf))
                .status)
        .isEqualTo(201);
  }

  @Test
  void wrong_and_frequent_log_ins_are_refused() {
    assertThat(
            send(new ScriptedExchange(
                    "POST", "/login", "{\"email\":\"a@b\",\"password\":\"wrong\"}"))
                .status)
        .isEqualTo(401);
    ScriptedExchange often =
        send(new ScriptedExchange("POST", "/login", "{\"email\":\"a@b\",\"password\":\"often\"}"));
    assertThat(often.status).isEqualTo(429);
    assertThat(often.answered).containsEntry("Retry-After", "3");
  }

  @Test
  void whoever_changes_the_own_password_stays_signed_in() {
    ScriptedExchange change =
        new ScriptedExchange(
                "PUT", "/users/" + world.user().id() + "/password", "{\"password\":\"a new one\"}")
            .header("Cookie", "__Host-" + Credential.COOKIE + "=" + world.session.value())
            .header("X-CSRF-Token", Accounts.csrf(world.session));

    assertThat(send(change).status).isEqualTo(204);
    assertThat(users.keptSession).contains(world.session);
  }

  @Test
  void agents_that_look_at_their_source_for_long_hold_no_worker() {
    world.agentsLook = new java.util.concurrent.CompletableFuture<>();
    List<ScriptedExchange> slow = new java.util.ArrayList<>();
    for (int i = 0; i < 20; i++) {
      ScriptedExchange one =
          new ScriptedExchange("POST", "/sources/sales/schema/refresh", "")
              .header("X-API-Key", "admin");
      api.handle(one);
      slow.add(one);
    }

    assertThat(ask("GET", "/sources", "").status).isEqualTo(200);

    world.agentsLook.complete(null);
    for (ScriptedExchange one : slow) {
      assertThat(one.await().status).isEqualTo(200);
    }
  }

  @Test
  void a_member_edits_tools_and_sees_but_does_not_administer() {
    world.role = Role.MEMBER;
    String cookie = "__Host-" + Credential.COOKIE + "=" + world.session.value();
    String csrf = Accounts.csrf(world.session);
    Object[][] table = {
      {"GET", "/agents", "", 200},
      {"GET", "/users", "", 200},
      {"GET", "/audit", "", 200},
      {"POST", "/tools", "{\"name\":\"t\",\"source\":\"sales\",\"sql\":\"select 1\"}", 201},
      {"POST", "/mcp-servers", "{\"name\":\"m\"}", 201},
      {"POST", "/agents", "{\"name\":\"x\"}", 403},
      {"POST", "/keys", "{\"kind\":\"ADMIN\",\"name\":\"x\"}", 403},
      {"POST", "/users", "{}", 403},
      {"DELETE", "/sources/sales", "", 403},
      {"PUT", "/organisation", "{\"name\":\"x\"}", 403}
    };
    for (Object[] row : table) {
      assertThat(
              send(new ScriptedExchange((String) row[0], (String) row[1], (String) row[2])
                      .header("Cookie", cookie)
                      .header("X-CSRF-Token", csrf))
                  .status)
          .as("%s %s", row[0], row[1])
          .isEqualTo(row[3]);
    }
  }

  @Test
  void a_repeated_create_gets_the_first_answer_again() {
    ScriptedExchange first = create("k-1", "{\"kind\":\"ADMIN\",\"name\":\"ci\"}");
    ScriptedExchange again = create("k-1", "{\"kind\":\"ADMIN\",\"name\":\"ci\"}");
    ScriptedExchange other = create("k-1", "{\"kind\":\"ADMIN\",\"name\":\"other\"}");

    assertThat(first.status).isEqualTo(201);
    assertThat(first.json().get("key").stringValue()).isEqualTo("adm_the-secret-1");
    assertThat(again.status).isEqualTo(201);
    assertThat(again.json()).isEqualTo(first.json());
    assertThat(again.answered).containsEntry("Idempotency-Replayed", "true");
    assertThat(other.status).isEqualTo(409);
    assertThat(keys.made).hasSize(1);
  }

  @Test
  void a_change_says_how_far_it_got_and_only_what_was_said_is_taken_back() {
    ScriptedExchange changed = create("k-p", "{\"kind\":\"ADMIN\",\"name\":\"ci\"}");
    String said = changed.answered.get("Conexor-Position");

    assertThat(said).isNotEmpty().hasSizeLessThan(200);
    assertThat(listedWith(said).status).isEqualTo(200);
    assertThat(listedWith(said).answered).doesNotContainKey("Conexor-Position");
    for (String wrong : List.of("", "x", "7/3000060", "A" + said.substring(1), "A".repeat(5_000))) {
      ScriptedExchange refused = listedWith(wrong);
      assertThat(refused.status).as(wrong).isEqualTo(400);
      assertThat(refused.json().get("code").stringValue()).isEqualTo("position_invalid");
    }
  }

  private ScriptedExchange listedWith(String position) {
    return send(
        new ScriptedExchange("GET", "/keys", "")
            .header("X-API-Key", "admin")
            .header("Conexor-Position", position));
  }

  @Test
  void a_create_that_failed_may_be_repeated() {
    assertThat(create("k-2", "{\"kind\":\"ADMIN\"}").status).isEqualTo(400);
    assertThat(create("k-2", "{\"kind\":\"ADMIN\",\"name\":\"ci\"}").status).isEqualTo(201);
  }

  @Test
  void a_stored_answer_does_not_show_the_key_in_the_table() throws Exception {
    create("k-3", "{\"kind\":\"ADMIN\",\"name\":\"ci\"}");

    try (var connection = server.connect();
        var statement = connection.createStatement()) {
      statement.execute("set conexor.org = '*'");
      var row =
          statement.executeQuery(
              "select string_agg(key || encode(response_body, 'escape'), ' ') from"
                  + " idempotency_keys");
      row.next();
      assertThat(row.getString(1)).doesNotContain("the-secret").doesNotContain("k-3");
    }
  }

  private ScriptedExchange create(String key, String body) {
    return send(
        new ScriptedExchange("POST", "/keys", body)
            .header("X-API-Key", "admin")
            .header("Idempotency-Key", key));
  }

  @Test
  void every_wrong_field_is_named() {
    ScriptedExchange answer =
        ask(
            "POST",
            "/sources",
            "{\"name\":\"UPPER\",\"engine\":\"db2\",\"description\":5,\"colour\":\"red\"}");

    assertThat(answer.status).isEqualTo(400);
    assertThat(answer.json().get("errors")).hasSize(4);
  }

  @Test
  void listings_come_in_pages() {
    for (int i = 0; i < 5; i++) {
      ask("POST", "/agents", "{\"name\":\"agent-" + i + "\"}");
    }
    JsonNode first = ask("GET", "/agents?limit=3", "").json();
    JsonNode second =
        ask("GET", "/agents?limit=3&cursor=" + first.get("next").stringValue(), "").json();

    assertThat(first.get("items")).hasSize(3);
    assertThat(second.get("items")).hasSize(2);
    assertThat(second.get("next")).isNull();
    assertThat(ask("GET", "/agents?limit=0", "").status).isEqualTo(400);
    assertThat(ask("GET", "/agents?cursor=%", "").status).isEqualTo(400);
  }

  @Test
  void an_unchanged_listing_is_not_sent_again() {
    String tag = ask("GET", "/sources", "").answered.get("ETag");

    assertThat(
            send(new ScriptedExchange("GET", "/sources", "")
                    .header("X-API-Key", "admin")
                    .header("If-None-Match", tag))
                .status)
        .isEqualTo(304);
  }

  @Test
  void what_can_not_be_recorded_is_not_done() {
    world.isAccepting = false;

    ScriptedExchange answer = send(query("*/*", SALES));

    assertThat(answer.status).isEqualTo(503);
    assertThat(answer.json().get("code").stringValue()).isEqualTo("audit_unavailable");
    assertThat(world.queries).isEmpty();
    assertThat(ask("GET", "/sources", "").status).isEqualTo(200);
  }

  @Test
  void too_many_waiting_operations_are_told_to_come_back() {
    RestApi small = api(world, keys, users, 1, 1);
    ScriptedExchange[] exchanges = new ScriptedExchange[50];
    for (int i = 0; i < exchanges.length; i++) {
      exchanges[i] =
          new ScriptedExchange("POST", "/agents", "{\"name\":\"a" + i + "\"}")
              .header("X-API-Key", "admin")
              .header("Idempotency-Key", "flood-" + i);
      small.handle(exchanges[i]);
    }

    assertThat(exchanges).extracting(e -> e.await().status).contains(503).contains(201);
    small.close();
  }

  @Test
  void unknown_paths_and_methods_are_told_apart() {
    assertThat(ask("GET", "/nothing", "").status).isEqualTo(404);
    assertThat(ask("GET", "/agents/not-an-id", "").status).isEqualTo(404);
    ScriptedExchange wrong = ask("PATCH", "/agents", "");
    assertThat(wrong.status).isEqualTo(405);
    assertThat(wrong.answered).containsEntry("Allow", "GET, POST");
    assertThat(send(query("image/png", SALES)).status).isEqualTo(406);
  }

  @Test
  void garbage_gets_a_problem_and_never_a_500() {
    Random random = new Random(7);
    String[] operations = {"/query", "/agents", "/login", "/setup", "/keys", "/tools"};
    for (int i = 0; i < 3_000; i++) {
      byte[] garbage = new byte[random.nextInt(80)];
      random.nextBytes(garbage);
      String body =
          switch (i % 4) {
            case 0 -> new String(garbage, java.nio.charset.StandardCharsets.ISO_8859_1);
            case 1 -> "[".repeat(random.nextInt(5_000));
            case 2 -> "{\"source\":" + "{\"a\":".repeat(20) + "1e999999999";
            default ->
                "{\"source\":\"sales\",\"sql\":\"x\",\"parameters\":[1e"
                    + random.nextInt(999_999_999)
                    + ",{}]}";
          };

      ScriptedExchange answer = ask("POST", operations[i % operations.length], body);

      assertThat(answer.status).as(body).isBetween(400, 499);
      assertThat(answer.text()).doesNotContain("Exception").doesNotContain("tools.jackson");
    }
    assertThat(world.queries).isEmpty();
  }

  @Test
  void the_set_up_needs_its_token() {
    String body =
        "{\"token\":\"%s\",\"organisation\":\"acme\",\"email\":\"a@b.c\",\"password\":\"long enough\"}";

    assertThat(send(new ScriptedExchange("POST", "/setup", body.formatted("no"))).status)
        .isEqualTo(403);
    assertThat(send(new ScriptedExchange("POST", "/setup", body.formatted("token"))).status)
        .isEqualTo(201);
  }

  @Test
  void every_change_and_refusal_is_audited() {
    String agent = ask("POST", "/agents", "{\"name\":\"x\"}").json().get("id").stringValue();
    ask("PUT", "/agents/" + agent, "{\"name\":\"y\"}");
    ask("POST", "/sources/sales/schema/refresh", "");
    ask("DELETE", "/users/" + java.util.UUID.randomUUID(), "");
    ask("POST", "/keys", "{}");

    await()
        .atMost(Duration.ofSeconds(2))
        .untilAsserted(
            () ->
                assertThat(world.records)
                    .extracting(r -> r.action() + " " + r.outcome())
                    .containsExactly(
                        "agent.create OK",
                        "agent.update OK",
                        "schema.refresh OK",
                        "user.remove REFUSED",
                        "key.create REFUSED"));
  }
}
