package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.database.LocalPostgres;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import tools.jackson.databind.JsonNode;

/**
 * People who query through the balancer, one request after the other each, and compare every row
 * with what it should be: through REST and MCP, from a source that all agents serve and from one
 * that a single agent serves, which is linked to a single backend.
 */
final class FactLoad implements AutoCloseable {

  /** What happened since the last report. */
  record Report(long answers, Duration longest, List<String> failures, Map<String, Long> byAgent) {

    @Override
    public String toString() {
      return answers
          + " answers, longest "
          + longest.toMillis()
          + " ms, "
          + failures.size()
          + " failed "
          + failures.stream().limit(3).toList()
          + ", "
          + byAgent;
    }
  }

  private static final int FACTS = 2_000;
  static final String NEAR = "facts";
  static final String FAR = "remote";

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(5))
          .build();
  private final Tenant tenant;
  private final Tenant.McpServer mcp;
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLong answers = new AtomicLong();
  private final AtomicLong longest = new AtomicLong();
  private final Queue<String> failures = new ConcurrentLinkedQueue<>();
  private final Map<String, AtomicLong> byAgent = new ConcurrentHashMap<>();
  // Written by the test, read by the people.
  private volatile boolean stops;

  private FactLoad(Tenant tenant, Tenant.McpServer mcp) {
    this.tenant = tenant;
    this.mcp = mcp;
  }

  /** The table that is asked for. */
  static void facts(LocalPostgres database) {
    database.execute(
        "create table fact as select i as id, 'fact ' || i * 7919 as note from"
            + " generate_series(1, "
            + FACTS
            + ") i");
    database.execute("create unique index on fact (id)");
    // Without a key: a write that arrives twice is seen twice.
    database.execute("create table ledger (id bigint)");
  }

  static FactLoad start(Tenant tenant, Tenant.McpServer mcp, int people) {
    FactLoad load = new FactLoad(tenant, mcp);
    for (int i = 0; i < people; i++) {
      Thread thread = new Thread(load::ask, "query-load-" + i);
      thread.setDaemon(true);
      thread.start();
      load.threads.add(thread);
    }
    return load;
  }

  private void ask() {
    while (!stops) {
      LockSupport.parkNanos(20_000_000); // time to think
      long since = System.nanoTime();
      String wrong;
      try {
        wrong =
            switch (ThreadLocalRandom.current().nextInt(10)) {
              case 0 -> sum();
              case 1, 2 -> tool();
              case 3, 4 -> rows(FAR);
              default -> rows(NEAR);
            };
      } catch (IOException | RuntimeException e) {
        wrong = e.toString();
      } catch (InterruptedException e) {
        return;
      }
      long took = System.nanoTime() - since;
      longest.accumulateAndGet(took, Math::max);
      answers.incrementAndGet();
      if (!wrong.isEmpty()) {
        failures.add("after " + took / 1_000_000 + " ms: " + wrong);
      }
    }
  }

  private String rows(String source) throws IOException, InterruptedException {
    int from = ThreadLocalRandom.current().nextInt(1, FACTS - 20);
    HttpResponse<String> answer =
        post(
            source,
            "select id, note from fact where id between ? and ? order by id",
            from,
            from + 19);
    if (answer.statusCode() != 200) {
      return source + ": " + answer.statusCode() + " " + answer.body();
    }
    JsonNode rows = count(answer).get("rows");
    boolean isRight = rows.size() == 20;
    for (int i = 0; isRight && i < 20; i++) {
      JsonNode row = rows.get(i);
      isRight = isFact(row.get(0).asInt(), row.get(1).asString(), from + i);
    }
    return isRight ? "" : "wrong rows from " + from + ": " + answer.body();
  }

  private static boolean isFact(int id, String note, int expected) {
    return id == expected && note.equals("fact " + expected * 7919);
  }

  /** A tool call of revision 2026-07-28. */
  private String tool() throws IOException, InterruptedException {
    int id = ThreadLocalRandom.current().nextInt(1, FACTS);
    Map<String, Object> arguments = Map.of("sql", "select id, note from fact where id = " + id);
    Map<String, Object> params =
        Map.of(
            "name",
            "query",
            "arguments",
            arguments,
            "_meta",
            Map.of(
                "io.modelcontextprotocol/protocolVersion",
                "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities",
                Map.of()));
    HttpResponse<String> answer =
        client.send(
            HttpRequest.newBuilder(URI.create(tenant.url() + mcp.path()))
                .timeout(Duration.ofSeconds(30))
                .header("X-API-Key", mcp.key())
                .header("Content-Type", "application/json")
                .header("Accept", "application/json, text/event-stream")
                .header("MCP-Protocol-Version", "2026-07-28")
                .header("Mcp-Method", "tools/call")
                .header("Mcp-Name", "query")
                .POST(
                    BodyPublishers.ofString(
                        Tenant.json(
                            Map.of(
                                "jsonrpc",
                                "2.0",
                                "id",
                                id,
                                "method",
                                "tools/call",
                                "params",
                                params))))
                .build(),
            BodyHandlers.ofString(UTF_8));
    String body = answer.body();
    if (answer.statusCode() != 200) {
      return "tool: " + answer.statusCode() + " " + body;
    }
    int event = body.lastIndexOf("data: {"); // when it took long
    JsonNode rows =
        Tenant.parse(event < 0 ? body : body.substring(event + 6))
            .path("result")
            .path("structuredContent")
            .path("rows");
    JsonNode row = rows.size() == 1 ? rows.get(0) : null;
    boolean isRight =
        row != null
            && (row.isArray()
                ? isFact(row.get(0).asInt(), row.get(1).asString(), id)
                : isFact(row.get("id").asInt(), row.get("note").asString(), id));
    return isRight ? "" : "wrong answer of the tool for " + id + ": " + body;
  }

  /** Takes a little longer, and is under way when something breaks. */
  private String sum() throws IOException, InterruptedException {
    int to = ThreadLocalRandom.current().nextInt(1, FACTS);
    HttpResponse<String> answer =
        post(
            NEAR,
            "select sum(a.id) from fact a cross join fact b where a.id <= ? and b.id <= 200",
            to);
    if (answer.statusCode() != 200) {
      return answer.statusCode() + " " + answer.body();
    }
    long sum = count(answer).get("rows").get(0).get(0).asLong();
    return sum == 100L * to * (to + 1) ? "" : "wrong sum to " + to + ": " + answer.body();
  }

  private JsonNode count(HttpResponse<String> answer) {
    JsonNode document = Tenant.parse(answer.body());
    String agent = document.path("agent").asString("?");
    byAgent.computeIfAbsent(agent, a -> new AtomicLong()).incrementAndGet();
    return document;
  }

  private HttpResponse<String> post(String source, String sql, Object... parameters)
      throws IOException, InterruptedException {
    String body =
        Tenant.json(
            Map.of(
                "source",
                source,
                "sql",
                sql,
                "parameters",
                List.of(parameters),
                "timeoutMs",
                20_000));
    return client.send(
        HttpRequest.newBuilder(URI.create(tenant.url() + "/api/v1/query"))
            .timeout(Duration.ofSeconds(30))
            .header("X-API-Key", tenant.token())
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString(UTF_8));
  }

  /** What happened since the last report; what comes is counted anew. */
  Report report() {
    List<String> failed = new ArrayList<>();
    for (String next = failures.poll(); next != null; next = failures.poll()) {
      failed.add(next);
    }
    Map<String, Long> agents = new java.util.TreeMap<>();
    byAgent.forEach((agent, count) -> agents.put(agent, count.getAndSet(0)));
    return new Report(answers.getAndSet(0), Duration.ofNanos(longest.getAndSet(0)), failed, agents);
  }

  @Override
  public void close() {
    stops = true;
    threads.forEach(Thread::interrupt);
  }
}
