package io.conexor.mcp;

import io.conexor.api.Deadline;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The structure of the sources, looked at when nobody has or long ago, and the tools it makes. */
final class Schemas implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Schemas.class);

  /** The tools of one server as long as neither its catalog nor a schema changes. */
  record Derived(
      OrgCatalog catalog,
      Map<String, SourceSchema> discovered,
      Map<String, ToolDefinition> tools,
      List<Map<String, @Nullable Object>> listed) {}

  private final AgentCalls calls;
  private final CatalogEditor editor;
  private final long maxAgeMillis;
  private final ExecutorService background;
  private final Map<McpServerId, Derived> derived = new ConcurrentHashMap<>();
  private final Map<String, SourceSchema> schemas = new ConcurrentHashMap<>();
  private final Map<String, CompletableFuture<SourceSchema>> discoveries =
      new ConcurrentHashMap<>();

  Schemas(AgentCalls calls, CatalogEditor editor, long maxAgeMillis) {
    this.calls = calls;
    this.editor = editor;
    this.maxAgeMillis = maxAgeMillis;
    // One writer of schemas is enough; what does not fit is looked at again later.
    this.background =
        new ThreadPoolExecutor(
            1,
            1,
            1,
            TimeUnit.MINUTES,
            new LinkedBlockingQueue<>(100),
            task -> {
              Thread thread = new Thread(task, "conexor-mcp-schemas");
              thread.setDaemon(true);
              return thread;
            });
  }

  @Override
  public void close() {
    background.shutdownNow();
  }

  /** A catalog is compared by identity: that is what its contract says an instance is for. */
  @SuppressWarnings("ReferenceEquality")
  Derived derive(OrgCatalog owner, McpServer server) {
    Derived now = derived.get(server.id());
    Map<String, SourceSchema> known = known(owner, server);
    if (now == null || now.catalog() != owner || !same(now.discovered(), known)) {
      Map<String, ToolDefinition> tools = ToolGenerator.tools(owner, server, known);
      now =
          new Derived(
              owner, known, tools, tools.values().stream().map(ToolDefinition::listed).toList());
      derived.put(server.id(), now);
    }
    return now;
  }

  private static boolean same(Map<String, SourceSchema> a, Map<String, SourceSchema> b) {
    for (Map.Entry<String, SourceSchema> entry : b.entrySet()) {
      SourceSchema other = a.get(entry.getKey());
      if (other == null || !other.discoveredAt().equals(entry.getValue().discoveredAt())) {
        return false;
      }
    }
    return a.size() == b.size();
  }

  Map<String, SourceSchema> known(OrgCatalog owner, McpServer server) {
    Map<String, SourceSchema> known = new HashMap<>();
    for (String source : server.sources()) {
      SourceSchema stored = owner.schemas().get(source);
      SourceSchema seen = schemas.get(owner.organisation().id() + "/" + source);
      if (seen != null && (stored == null || stored.discoveredAt().isBefore(seen.discoveredAt()))) {
        known.put(source, seen);
      } else if (stored != null) {
        known.put(source, stored);
      }
    }
    return known;
  }

  /** Completes when every source has a schema or could not be looked at; never fails. */
  CompletionStage<Void> look(OrgCatalog owner, McpServer server) {
    Map<String, SourceSchema> known = known(owner, server);
    List<CompletableFuture<?>> missing = new ArrayList<>();
    Instant stale = Instant.now().minusMillis(maxAgeMillis);
    for (String source : server.sources()) {
      if (!owner.sources().containsKey(source)) {
        continue;
      }
      SourceSchema schema = known.get(source);
      if (schema == null || schema.discoveredAt().isBefore(stale)) {
        CompletableFuture<?> discovery = discover(owner, source);
        if (schema == null) {
          missing.add(discovery.handle((s, e) -> null));
        }
      }
    }
    return CompletableFuture.allOf(missing.toArray(CompletableFuture[]::new));
  }

  private CompletableFuture<SourceSchema> discover(OrgCatalog owner, String source) {
    String key = owner.organisation().id() + "/" + source;
    CompletableFuture<SourceSchema> mine = new CompletableFuture<>();
    CompletableFuture<SourceSchema> running = discoveries.putIfAbsent(key, mine);
    if (running != null) {
      return running;
    }
    calls
        .discover(owner.organisation().id(), source, Deadline.in(Duration.ofSeconds(10)))
        .whenComplete(
            (schema, failure) -> {
              if (schema == null) {
                log.info(
                    "source {} could not be looked at: {}", key, Failures.known(failure).text());
                mine.completeExceptionally(Failures.known(failure));
              } else {
                schemas.put(key, schema);
                store(owner, schema);
                mine.complete(schema);
              }
              discoveries.remove(key);
            });
    return mine;
  }

  private void store(OrgCatalog owner, SourceSchema schema) {
    try {
      background.execute(
          () -> {
            try {
              editor.put(owner.organisation().id(), schema);
            } catch (RuntimeException e) {
              log.warn(
                  "the schema of source {} is not stored: {}", schema.source(), e.getMessage());
            }
          });
    } catch (RejectedExecutionException e) {
      log.debug("the schema of source {} is stored next time", schema.source());
    }
  }
}
