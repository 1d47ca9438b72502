package io.conexor.dispatch;

import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.LinkId;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Which runs of agents have which queries, as those say that are linked to this backend: queries
 * that take long, and results that are kept. Mostly empty, and then it costs a look.
 */
final class Holders {

  private final Map<LinkId, List<UUID>> byLink = new ConcurrentHashMap<>();
  private final Map<UUID, UUID> processes = new ConcurrentHashMap<>();

  /** All that the agent at this link has now; those of one link one at a time. */
  void told(AgentLink link, List<UUID> queries) {
    List<UUID> before =
        queries.isEmpty() ? byLink.remove(link.id()) : byLink.put(link.id(), queries);
    UUID process = link.attachment().process();
    queries.forEach(each -> processes.put(each, process));
    if (before != null) {
      for (UUID each : before) {
        if (!queries.contains(each)) {
          processes.remove(each, process);
        }
      }
    }
  }

  /** The run of an agent that has what this call asks for; null when none is known to. */
  @Nullable UUID of(Call call) {
    if (processes.isEmpty()) {
      return null;
    }
    UUID query = call.queryId();
    return query == null ? null : processes.get(query);
  }
}
