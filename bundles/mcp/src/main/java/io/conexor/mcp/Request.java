package io.conexor.mcp;

import io.conexor.api.access.Principal;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.http.HttpExchange;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One request that has been recognised.
 *
 * @param since when it came in, by {@link System#nanoTime}
 */
record Request(
    HttpExchange exchange,
    Answer answer,
    Principal.ServerKey principal,
    OrgCatalog catalog,
    McpServer server,
    String method,
    Map<String, @Nullable Object> params,
    long since) {

  /** What the client wants its progress to be called; null when it does not want to hear. */
  @Nullable Object progressToken() {
    Object token = params.get("_meta") instanceof Map<?, ?> meta ? meta.get("progressToken") : null;
    return token instanceof String || token instanceof Long ? token : null;
  }

  /** Whether the client said with this very request that it understands tasks. */
  boolean takesTasks() {
    return answer.modern()
        && params.get("_meta") instanceof Map<?, ?> meta
        && meta.get(McpRoute.META + "clientCapabilities") instanceof Map<?, ?> capabilities
        && capabilities.get("extensions") instanceof Map<?, ?> extensions
        && extensions.containsKey(Tasks.EXTENSION);
  }
}
