package io.conexor.mcp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.call.SourceSchema.ForeignKey;
import io.conexor.api.call.SourceSchema.Table;
import io.conexor.api.call.SourceSchema.TableColumn;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.catalog.ToolParameter;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpStream;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.json.JsonReader;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class McpRouteTest {

  private static final String MODERN_META =
      "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
          + "\"io.modelcontextprotocol/clientCapabilities\":{}}";

  private final OrgId org = OrgId.random();
  private final McpServerId serverId = McpServerId.random();
  private final List<AuditRecord> audited = new ArrayList<>();
  private final List<QueryCall> called = new ArrayList<>();
  private final List<String> cancelled = new ArrayList<>();
  private ConexorException failure;
  private boolean hang;
  private boolean readOnly = true;
  private final List<RowSink> sinks = new ArrayList<>();
  private final McpRoute route = route();

  @AfterEach
  void close() {
    route.close();
  }

  private static TableColumn column(String name, ColumnType type) {
    return new TableColumn(name, type, "x", true, "", "");
  }

  private static Table table(String name, List<TableColumn> columns, List<ForeignKey> keys) {
    return new Table(
        "public", name, "table", "", 10, columns, List.of("id"), List.of(), keys, List.of());
  }

  private OrgCatalog catalog() {
    Table users =
        table(
            "users",
            List.of(column("id", ColumnType.INTEGER), column("created", ColumnType.TIMESTAMP_TZ)),
            List.of());
    Table orders =
        table(
            "orders",
            List.of(column("id", ColumnType.INTEGER), column("user_id", ColumnType.INTEGER)),
            List.of(new ForeignKey(List.of("user_id"), "public", "users", List.of("id"))));
    Table odd =
        table("We\"ird " + "x".repeat(70), List.of(column("id", ColumnType.UUID)), List.of());
    SourceSchema schema =
        new SourceSchema("main", "postgresql", Instant.now(), List.of(odd, orders, users));
    ToolId tool = ToolId.random();
    Tool own =
        new Tool(
            tool,
            org,
            "recent",
            "Recent ones",
            "main",
            "select ':x', * from users where id > :min",
            List.of(new ToolParameter("min", ColumnType.INTEGER, "", true, Optional.empty())),
            Instant.now());
    McpServer server =
        new McpServer(
            serverId,
            org,
            "shop",
            "The shop",
            true,
            List.of("main"),
            true,
            true,
            Set.of(tool),
            Instant.now());
    return new OrgCatalog(
        new Organisation(org, "acme", "Acme", Instant.now()),
        1,
        Map.of(),
        Map.of("main", new DataSource(org, "main", "postgresql", "", Instant.now())),
        Map.of("main", schema),
        Map.of(tool, own),
        Map.of("shop", server));
  }

  @SuppressWarnings("unchecked")
  private static <T> T unused(Class<T> type) {
    return (T)
        Proxy.newProxyInstance(
            type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> null);
  }

  private McpRoute route() {
    OrgCatalog known = catalog();
    Access access =
        new Access() {
          @Override
          public CompletionStage<Authentication> authenticate(Credential credential) {
            boolean good = credential.equals(new Credential.ApiKey(new Secret("mcp_good")));
            boolean other = credential.equals(new Credential.ApiKey(new Secret("mcp_other")));
            McpServerId id = other ? McpServerId.random() : serverId;
            return CompletableFuture.completedFuture(
                good || other
                    ? new Authentication.Granted(
                        new Principal.ServerKey(org, new KeyId(org.value()), "k", id))
                    : new Authentication.Refused("no such key"));
          }

          @Override
          public CompletionStage<SignIn> signIn(String email, Secret password, String address) {
            throw new UnsupportedOperationException();
          }

          @Override
          public CompletionStage<Boolean> needsSetup() {
            throw new UnsupportedOperationException();
          }

          @Override
          public CompletionStage<Optional<OrgId>> setUp(
              Secret token, String slug, String name, String email, Secret password) {
            throw new UnsupportedOperationException();
          }
        };
    Tokens tokens =
        new Tokens() {
          @Override
          public String issue(String purpose, byte[] claims, Duration timeToLive) {
            return purpose + "~" + Base64.getUrlEncoder().encodeToString(claims);
          }

          @Override
          public Optional<byte[]> verify(String purpose, String token) {
            return token.startsWith(purpose + "~")
                ? Optional.of(Base64.getUrlDecoder().decode(token.substring(purpose.length() + 1)))
                : Optional.empty();
          }
        };
    Catalog catalog =
        new Catalog() {
          @Override
          public CompletionStage<Optional<OrgCatalog>> bySlug(String slug) {
            return byId(org);
          }

          @Override
          public CompletionStage<Optional<OrgCatalog>> byId(OrgId id) {
            return CompletableFuture.completedFuture(Optional.of(known));
          }

          @Override
          public Subscription onChange(Consumer<OrgId> listener) {
            return () -> {};
          }
        };
    AgentCalls calls =
        new AgentCalls() {
          @Override
          public AgentCall start(QueryCall call, RowSink sink) {
            called.add(call);
            sinks.add(sink);
            if (failure != null) {
              sink.failed(failure);
            } else if (!hang) {
              Column number = new Column("id", ColumnType.INTEGER, false, Optional.empty(), "int4");
              Column text = new Column("t", ColumnType.TEXT, true, Optional.empty(), "text");
              // two rows: [1, "a\"b"], [2, nil]
              byte[] rows = {
                (byte) 0x92, 1, (byte) 0xa3, 'a', '"', 'b', (byte) 0x92, 2, (byte) 0xc0
              };
              sink.batch(new RowBatch(List.of(number, text), 2, rows, 0, rows.length));
              sink.done(new QuerySummary(AgentId.random(), "berlin", 2, call.maxRows() == 2, 5));
            }
            return new AgentCall() {
              @Override
              public void request(int batches) {}

              @Override
              public void cancel(String reason) {
                cancelled.add(reason);
              }
            };
          }

          @Override
          public CompletionStage<SourceSchema> discover(OrgId o, String source, Deadline deadline) {
            return CompletableFuture.failedFuture(new IllegalStateException("not asked"));
          }
        };
    AuditTrail audit =
        new AuditTrail() {
          @Override
          public void record(AuditRecord record) {
            audited.add(record);
          }

          @Override
          public boolean accepting() {
            return true;
          }

          @Override
          public io.conexor.api.Page<AuditRecord> search(Query query) {
            throw new UnsupportedOperationException();
          }
        };
    Node node =
        new Node() {
          @Override
          public NodeId id() {
            return new NodeId("n-test");
          }

          @Override
          public String version() {
            return "0";
          }

          @Override
          public Instant startedAt() {
            return Instant.EPOCH;
          }

          @Override
          public State state() {
            return State.SERVING;
          }

          @Override
          public Subscription onState(Consumer<State> listener) {
            return () -> {};
          }

          @Override
          public CompletionStage<Void> drain(Duration limit) {
            return CompletableFuture.completedFuture(null);
          }
        };
    McpRoute.Config config =
        (McpRoute.Config)
            Proxy.newProxyInstance(
                McpRoute.Config.class.getClassLoader(),
                new Class<?>[] {McpRoute.Config.class},
                (proxy, method, arguments) ->
                    method.getName().startsWith("stream_")
                        ? 100L
                        : method.getName().equals("hosts_allowed")
                            ? new String[] {"conexor.test"}
                            : method.getDefaultValue());
    return new McpRoute(
        access,
        tokens,
        catalog,
        unused(CatalogEditor.class),
        directory(),
        calls,
        audit,
        node,
        config);
  }

  private AgentDirectory directory() {
    return (AgentDirectory)
        Proxy.newProxyInstance(
            AgentDirectory.class.getClassLoader(),
            new Class<?>[] {AgentDirectory.class},
            (proxy, method, arguments) ->
                List.of(
                    new Attachment(
                        org,
                        AgentId.random(),
                        "berlin",
                        "1",
                        org.value(),
                        new NodeId("n-test"),
                        new LinkId(1),
                        1,
                        Instant.EPOCH,
                        false,
                        0,
                        List.of(
                            new SourceOffer(
                                "main",
                                "postgresql",
                                "15",
                                readOnly,
                                1,
                                1,
                                1,
                                SourceOffer.State.UP,
                                "")))));
  }

  /** Plays one request and keeps its answer. */
  private static final class Scripted implements HttpExchange {
    final Map<String, String> headers = new HashMap<>();
    final Map<String, String> answered = new HashMap<>();
    byte[] body = new byte[0];
    String method = "POST";
    String path = "/mcp/acme/shop";
    int status;
    int answers;
    String text = "";
    final StringBuilder events = new StringBuilder();
    Runnable gone = () -> {};

    @Override
    public String method() {
      return method;
    }

    @Override
    public String path() {
      return path;
    }

    @Override
    public Optional<String> queryParameter(String name) {
      return Optional.empty();
    }

    @Override
    public Optional<String> header(String name) {
      return Optional.ofNullable(headers.get(name.toLowerCase(java.util.Locale.ROOT)));
    }

    @Override
    public List<String> headers(String name) {
      return header(name).stream().toList();
    }

    @Override
    public byte[] body() {
      return body;
    }

    @Override
    public String remoteAddress() {
      return "127.0.0.1";
    }

    @Override
    public boolean isSecure() {
      return false;
    }

    @Override
    public String requestId() {
      return "r";
    }

    @Override
    public void onGone(Runnable action) {
      gone = action;
    }

    @Override
    public HttpExchange withHeader(String name, String value) {
      answered.put(name, value);
      return this;
    }

    @Override
    public void respond(int code, String contentType, byte[] bytes, int offset, int length) {
      status = code;
      answers++;
      text = new String(bytes, offset, length, StandardCharsets.UTF_8);
    }

    @Override
    public void respond(int code) {
      status = code;
      answers++;
    }

    @Override
    public HttpStream stream(int code, String contentType) {
      status = code;
      return new HttpStream() {
        @Override
        public CompletionStage<Void> write(byte[] bytes, int offset, int length) {
          synchronized (events) {
            events.append(new String(bytes, offset, length, StandardCharsets.UTF_8));
          }
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public void end() {
          answers++;
        }

        @Override
        public void abort() {
          answers++;
        }
      };
    }

    String written() {
      synchronized (events) {
        return events.toString();
      }
    }

    Map<String, Object> json() {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      return JsonReader.object(bytes, 0, bytes.length);
    }
  }

  private Scripted send(byte[] body, String... headers) {
    Scripted exchange = new Scripted();
    exchange.headers.put("x-api-key", "mcp_good");
    exchange.headers.put("host", "conexor.test");
    for (int i = 0; i < headers.length; i += 2) {
      exchange.headers.put(headers[i], headers[i + 1]);
    }
    exchange.body = body;
    route.handle(exchange);
    return exchange;
  }

  private Scripted send(String body, String... headers) {
    return send(body.getBytes(StandardCharsets.UTF_8), headers);
  }

  private Scripted modern(String method, String name, String params) {
    String body =
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\""
            + method
            + "\",\"params\":{"
            + MODERN_META
            + params
            + "}}";
    return send(body, "mcp-protocol-version", "2026-07-28", "mcp-method", method, "mcp-name", name);
  }

  private Scripted legacy(String method, String params, String... headers) {
    String body = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"" + method + "\",\"params\":{";
    return send(body + params + "}}", headers);
  }

  @Test
  void discovery_names_the_revisions_and_may_be_kept() {
    Scripted answer = modern("server/discover", "", "");

    assertThat(answer.status).isEqualTo(200);
    assertThat(answer.text)
        .contains("\"supportedVersions\":[\"2026-07-28\",\"2025-11-25\"")
        .contains("\"resultType\":\"complete\"", "\"ttlMs\":", "\"cacheScope\":\"private\"")
        .contains("\"io.modelcontextprotocol/serverInfo\":{\"name\":\"shop\"");
  }

  @Test
  void headers_that_differ_from_the_body_are_refused() {
    String body =
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\",\"params\":{" + MODERN_META + "}}";

    assertThat(send(body, "mcp-protocol-version", "2025-11-25", "mcp-method", "tools/list").text)
        .contains("-32020");
    assertThat(send(body, "mcp-protocol-version", "2026-07-28").text).contains("-32020");
    Scripted other = send(body, "mcp-protocol-version", "2026-07-28", "mcp-method", "tools/call");
    assertThat(other.status).isEqualTo(400);
    assertThat(other.text).contains("-32020");
    assertThat(modern("tools/call", "count_orders", ",\"name\":\"count_users\"").text)
        .contains("-32020");
    assertThat(
            modern("tools/call", "=?base64?Y291bnRfdXNlcnM=?=", ",\"name\":\"count_users\"").status)
        .isEqualTo(200);
  }

  @Test
  void an_unknown_revision_is_told_which_there_are() {
    Scripted answer = legacy("tools/list", "", "mcp-protocol-version", "1900-01-01");

    assertThat(answer.status).isEqualTo(400);
    assertThat(answer.text).contains("-32022", "\"requested\":\"1900-01-01\"", "2026-07-28");
  }

  @Test
  void an_unknown_method_is_404_to_modern_clients_only() {
    assertThat(modern("resources/list", "", "").status).isEqualTo(404);
    assertThat(legacy("resources/list", "").status).isEqualTo(200);
    assertThat(legacy("resources/list", "").text).contains("-32601");
  }

  @Test
  void a_handshake_gives_a_session_that_is_bound_to_key_and_server() {
    Scripted hello = legacy("initialize", "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{}");
    String session = hello.answered.get("Mcp-Session-Id");

    assertThat(hello.text)
        .contains("\"protocolVersion\":\"2025-06-18\"")
        .doesNotContain("resultType");
    assertThat(legacy("ping", "", "mcp-session-id", session).text).contains("\"result\":{}");
    assertThat(legacy("ping", "", "mcp-session-id", "x" + session).status).isEqualTo(404);
    assertThat(send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}").status)
        .isEqualTo(202);
    assertThat(legacy("initialize", "\"protocolVersion\":\"2099-01-01\"").text)
        .contains("\"protocolVersion\":\"2025-11-25\"");
  }

  @Test
  void tools_come_in_one_order_with_fit_names() {
    Scripted answer = modern("tools/list", "", "");
    @SuppressWarnings("unchecked")
    List<Map<String, Object>> tools =
        (List<Map<String, Object>>)
            ((Map<String, Object>) answer.json().get("result")).get("tools");
    List<String> names = tools.stream().map(tool -> (String) tool.get("name")).toList();

    assertThat(names).startsWith("recent", "query", "list_tables", "describe_table");
    assertThat(names)
        .contains("query_users", "query_users_by_id", "count_users")
        .contains("query_orders_with_users", "query_users_orders");
    assertThat(names).allMatch(name -> name.matches("[a-zA-Z0-9_-]{1,64}")).doesNotHaveDuplicates();
    assertThat(legacy("tools/list", "").text).doesNotContain("ttlMs").contains("\"outputSchema\"");
  }

  @Test
  void a_call_answers_with_rows_and_is_audited() {
    Scripted answer =
        modern("tools/call", "query", ",\"name\":\"query\",\"arguments\":{\"sql\":\"select 1\"}");

    assertThat(answer.text)
        .startsWith("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":\"complete\"")
        .contains("\"rows\":[{\"id\":1,\"t\":\"a\\\"b\"},{\"id\":2,\"t\":null}],\"rowCount\":2")
        .contains("\"truncated\":false", "\"agent\":\"berlin\"");
    answer.json();
    assertThat(audited).hasSize(1);
    assertThat(audited.get(0).outcome()).isEqualTo(AuditRecord.Outcome.OK);
  }

  @Test
  void arguments_are_bound_and_never_spliced() {
    legacy("tools/call", "\"name\":\"recent\",\"arguments\":{\"min\":5}");
    legacy("tools/call", "\"name\":\"query_users_by_id\",\"arguments\":{\"id\":5}");

    assertThat(called.get(0).sql()).isEqualTo("select ':x', * from users where id > ?");
    assertThat(called.get(0).parameters()).containsExactly(5L);
    assertThat(called.get(1).sql())
        .isEqualTo("SELECT a.* FROM \"public\".\"users\" a WHERE a.\"id\" = ?");
  }

  @Test
  void arguments_that_do_not_fit_are_a_tool_error() {
    for (String arguments :
        new String[] {
          "{}", "{\"min\":\"x\"}", "{\"min\":1.5}", "{\"min\":1,\"other\":2}", "{\"min\":null}"
        }) {
      Scripted answer = legacy("tools/call", "\"name\":\"recent\",\"arguments\":" + arguments);
      assertThat(answer.text).contains("\"isError\":true");
    }
    assertThat(legacy("tools/call", "\"name\":\"nope\"").text).contains("-32602");
    assertThat(called).isEmpty();
  }

  @Test
  void a_next_page_continues_where_the_last_ended() {
    Scripted first = legacy("tools/call", "\"name\":\"query_users\",\"arguments\":{\"limit\":2}");
    assertThat(first.text).contains("\"truncated\":true");
    String cursor = first.text.replaceAll(".*\"nextCursor\":\"([^\"]+)\".*", "$1");

    legacy(
        "tools/call",
        "\"name\":\"query_users\",\"arguments\":{\"limit\":2,\"cursor\":\"" + cursor + "\"}");

    assertThat(called.get(1).sql()).endsWith("WHERE a.\"id\" > ? ORDER BY a.\"id\" LIMIT 3");
    assertThat(called.get(1).parameters()).containsExactly(2L);
    assertThat(
            legacy(
                    "tools/call",
                    "\"name\":\"query_orders\",\"arguments\":{\"cursor\":\"" + cursor + "\"}")
                .text)
        .contains("\"isError\":true");
  }

  @Test
  void a_next_page_of_a_free_query_passes_over_what_was_there_before() {
    String query = "\"name\":\"query\",\"arguments\":{\"sql\":\"select 1\",\"limit\":2";
    Scripted first = legacy("tools/call", query + "}");
    String cursor = first.text.replaceAll(".*\"nextCursor\":\"([^\"]+)\".*", "$1");

    Scripted second = legacy("tools/call", query + ",\"cursor\":\"" + cursor + "\"}");

    assertThat(called.get(1).maxRows()).isEqualTo(4);
    assertThat(called.get(1).maxBytes()).isEqualTo(called.get(0).maxBytes() + 9);
    assertThat(second.text).contains("\"rows\":[],\"rowCount\":0");
  }

  @Test
  void a_call_that_takes_long_becomes_a_stream_of_events() {
    hang = true;
    Scripted slow = new Scripted();
    slow.headers.put("accept", "application/json, text/event-stream");
    Scripted deaf = new Scripted();
    deaf.headers.put("accept", "application/json");
    for (Scripted each : List.of(slow, deaf)) {
      each.headers.put("x-api-key", "mcp_good");
      each.headers.put("host", "conexor.test");
      each.body =
          ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"query_users\","
                  + "\"_meta\":{\"progressToken\":\"p\"}}}")
              .getBytes(StandardCharsets.UTF_8);
      route.handle(each);
    }

    await()
        .atMost(Duration.ofSeconds(5))
        .until(() -> slow.written().split("notifications/progress", -1).length > 2);
    sinks.forEach(sink -> sink.done(new QuerySummary(AgentId.random(), "berlin", 0, false, 5)));

    assertThat(slow.answered).containsEntry("X-Accel-Buffering", "no");
    assertThat(slow.written())
        .startsWith(
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"")
        .contains("\"progressToken\":\"p\"", "\"id\":1,\"result\":")
        .endsWith("}\n\n");
    assertThat(slow.status).isEqualTo(200);
    assertThat(deaf.text).contains("\"id\":1,\"result\":");
  }

  @Test
  void a_cancellation_reaches_the_backend_that_runs_the_request() {
    hang = true;
    String session =
        legacy("initialize", "\"protocolVersion\":\"2025-11-25\"").answered.get("Mcp-Session-Id");
    legacy("tools/call", "\"name\":\"query_users\"", "mcp-session-id", session);
    MemoryFleet fleet = new MemoryFleet();
    route.bindBackplane(fleet.backplane());

    fleet.tell(new Topic("mcp.cancelled"), session + " y");
    assertThat(cancelled).isEmpty();
    fleet.tell(new Topic("mcp.cancelled"), session + " x");

    assertThat(cancelled).containsExactly("the client cancelled the request");
    send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"z\"}}",
        "mcp-session-id",
        session);
    assertThat(fleet.published).containsExactly(session + " z");
  }

  /** What a backplane tells, and is told. */
  private static final class MemoryFleet {
    final List<String> published = new ArrayList<>();
    private Backplane.EventListener listener;

    Backplane backplane() {
      return (Backplane)
          Proxy.newProxyInstance(
              Backplane.class.getClassLoader(),
              new Class<?>[] {Backplane.class},
              (proxy, method, arguments) ->
                  switch (method.getName()) {
                    case "subscribe" -> {
                      listener = (Backplane.EventListener) arguments[2];
                      yield (Subscription) () -> {};
                    }
                    case "publish" -> {
                      published.add(new String((byte[]) arguments[2], StandardCharsets.UTF_8));
                      yield new CompletableFuture<>();
                    }
                    case "hashCode" -> 1;
                    case "equals" -> proxy == arguments[0];
                    default -> throw new UnsupportedOperationException(method.getName());
                  });
    }

    void tell(Topic topic, String payload) {
      listener.event(
          new Event(
              topic,
              "k",
              new NodeId("n-other"),
              new Position("e", 0, 1),
              payload.getBytes(StandardCharsets.UTF_8)));
    }
  }

  @Test
  void a_client_that_goes_or_cancels_stops_its_query() {
    hang = true;
    modern("tools/call", "query", ",\"name\":\"query\",\"arguments\":{\"sql\":\"select 1\"}")
        .gone
        .run();
    String session =
        legacy("initialize", "\"protocolVersion\":\"2025-11-25\"").answered.get("Mcp-Session-Id");
    legacy("tools/call", "\"name\":\"query_users\"", "mcp-session-id", session);
    send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"x\"}}",
        "mcp-session-id",
        session);

    assertThat(cancelled)
        .containsExactly("the client has gone", "the client cancelled the request");
  }

  @Test
  void what_an_agent_may_write_is_not_run_twice() {
    legacy("tools/call", "\"name\":\"query_users\"");
    readOnly = false;
    legacy("tools/call", "\"name\":\"query_users\"");

    assertThat(called).extracting(QueryCall::repeatable).containsExactly(true, false);
  }

  @Test
  void failures_follow_the_table() {
    failure =
        new ConexorException(
            ConexorException.Blame.CAPACITY, ConexorException.Applied.NO, "queue_full", "busy");
    assertThat(legacy("tools/call", "\"name\":\"query_users\"").text)
        .contains("\"isError\":true", "queue_full", "trying again is safe");
    failure =
        new ConexorException(
            ConexorException.Blame.BUG, ConexorException.Applied.UNKNOWN, "internal", "secret");
    Scripted broken = modern("tools/call", "query_users", ",\"name\":\"query_users\"");
    assertThat(broken.status).isEqualTo(500);
    assertThat(broken.text).contains("-32603").doesNotContain("secret");
  }

  @Test
  void only_the_right_key_from_a_right_origin_comes_in() {
    assertThat(send("{}", "x-api-key", "mcp_bad").status).isEqualTo(401);
    assertThat(send("{}", "x-api-key", "mcp_other").status).isEqualTo(403);
    assertThat(send("{}", "origin", "http://evil.test").status).isEqualTo(403);
    assertThat(send("{}", "origin", "https://conexor.test").status).isEqualTo(400);
    // A name that resolves to this server today, chosen by somebody else.
    assertThat(send("{}", "host", "rebound.test").status).isEqualTo(403);
    assertThat(send("{}", "host", "rebound.test", "origin", "http://rebound.test").status)
        .isEqualTo(403);
    assertThat(send("{}", "origin", "null").status).isEqualTo(403);
    Scripted get = new Scripted();
    get.headers.put("host", "conexor.test");
    get.method = "GET";
    route.handle(get);
    assertThat(get.status).isEqualTo(405);
  }

  @Test
  void garbage_gets_exactly_one_answer() {
    Random random = new Random(7);
    String[] seeds = {
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"query_users\"}}",
      "[]",
      "null",
      "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":1e400,\"method\":\"ping\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":\"" + "9".repeat(5_000) + "\",\"method\":\"ping\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":[]}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":{}}}",
      "[".repeat(100_000),
      "{\"a\":".repeat(10_000)
    };
    for (String seed : seeds) {
      assertThat(send(seed).answers)
          .as(seed.substring(0, Math.min(60, seed.length())))
          .isEqualTo(1);
      for (int i = 0; i < 300 && seed.length() < 6_000; i++) {
        byte[] bytes = seed.getBytes(StandardCharsets.UTF_8);
        for (int n = 0; n <= random.nextInt(4) && bytes.length > 0; n++) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        }
        assertThat(send(bytes).answers).isEqualTo(1);
      }
    }
  }
}
