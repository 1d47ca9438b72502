package io.conexor.mcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.McpServer;
import io.conexor.protocol.json.JsonReader;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Tasks of the extension io.modelcontextprotocol/tasks. No backend remembers one: the id is signed
 * and says at which agent the query is and who may ask for it.
 */
final class Tasks {

  static final String EXTENSION = "io.modelcontextprotocol/tasks";

  private static final String PURPOSE = "mcp.task";
  private static final int MAX_CLAIMS = 1_024;
  private static final long POLL_MILLIS = 1_000;

  private final Tokens tokens;

  Tasks(Tokens tokens) {
    this.tokens = tokens;
  }

  /**
   * A query that was left to its agent.
   *
   * @param arguments as the client gave them to the tool
   * @param token what the client knows it by; empty before it was signed
   */
  record Task(
      UUID query,
      String source,
      @Nullable AgentId agent,
      String tool,
      Map<String, @Nullable Object> arguments,
      Instant created,
      long ttlMillis,
      String token) {

    Task with(@Nullable AgentId at, String newToken) {
      return new Task(query, source, at, tool, arguments, created, ttlMillis, newToken);
    }

    /** As it is told to the client. */
    Map<String, @Nullable Object> shown(String status, @Nullable String message) {
      return Json.object(
          "taskId",
          token,
          "status",
          status,
          "statusMessage",
          message,
          "createdAt",
          created.toString(),
          "lastUpdatedAt",
          Instant.now().toString(),
          "ttlMs",
          ttlMillis,
          "pollIntervalMs",
          POLL_MILLIS);
    }
  }

  private static byte[] claims(Task task, Principal.ServerKey owner, McpServer server) {
    List<@Nullable Object> claims = new ArrayList<>();
    claims.add(owner.subject());
    claims.add(server.id().toString());
    claims.add(task.query().toString());
    claims.add(task.source());
    AgentId agent = task.agent();
    claims.add(agent == null ? new UUID(0, 0).toString() : agent.toString());
    claims.add(task.tool());
    claims.add(task.created().toEpochMilli());
    claims.add(task.ttlMillis());
    claims.add(new String(Json.bytes(task.arguments()), UTF_8));
    return Json.bytes(claims);
  }

  /** Whether an id can hold all there is to know about it. */
  boolean fits(Task task, Principal.ServerKey owner, McpServer server) {
    return claims(task, owner, server).length <= MAX_CLAIMS;
  }

  Task signed(Task task, Principal.ServerKey owner, McpServer server) {
    // A query may run as long as it may and is kept as long after that; the agent knows.
    Duration life = Duration.ofMillis(2 * task.ttlMillis()).plusHours(1);
    return task.with(task.agent(), tokens.issue(PURPOSE, claims(task, owner, server), life));
  }

  /** Null when it is no task of this owner. */
  @Nullable Task find(String token, Principal.ServerKey owner, McpServer server) {
    byte[] claims = tokens.verify(PURPOSE, token).orElse(new byte[0]);
    if (claims.length == 0
        || !(JsonReader.value(claims, 0, claims.length) instanceof List<?> list)
        || list.size() != 9
        || !owner.subject().equals(list.get(0))
        || !server.id().toString().equals(list.get(1))
        || !(list.get(2) instanceof String query)
        || !(list.get(3) instanceof String source)
        || !(list.get(4) instanceof String agent)
        || !(list.get(5) instanceof String tool)
        || !(list.get(6) instanceof Long created)
        || !(list.get(7) instanceof Long ttl)
        || !(list.get(8) instanceof String text)) {
      return null;
    }
    byte[] json = text.getBytes(UTF_8);
    if (!(JsonReader.value(json, 0, json.length) instanceof Map<?, ?> arguments)) {
      return null;
    }
    return new Task(
        UUID.fromString(query),
        source,
        new AgentId(UUID.fromString(agent)),
        tool,
        McpRoute.object(arguments),
        Instant.ofEpochMilli(created),
        ttl,
        token);
  }
}
