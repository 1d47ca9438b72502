package io.conexor.events;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The links of an organisation as clients are told of them: one entry per agent, in a fixed order.
 */
final class Agents {
  private Agents() {}

  static List<@Nullable Object> described(List<Attachment> attached) {
    Map<AgentId, List<Attachment>> byAgent = new LinkedHashMap<>();
    List<Attachment> sorted = new ArrayList<>(attached);
    sorted.sort(
        Comparator.comparing(Attachment::agentName)
            .thenComparing(link -> link.agent().toString())
            .thenComparing(link -> link.node().value())
            .thenComparing(link -> link.link().value()));
    sorted.forEach(
        link -> byAgent.computeIfAbsent(link.agent(), id -> new ArrayList<>()).add(link));
    List<@Nullable Object> agents = new ArrayList<>();
    byAgent.values().forEach(links -> agents.add(agent(links)));
    return agents;
  }

  private static Map<String, Object> agent(List<Attachment> links) {
    Attachment first = links.get(0);
    TreeSet<String> nodes = new TreeSet<>();
    Map<String, SourceOffer> sources = new TreeMap<>();
    boolean isClosing = true;
    for (Attachment link : links) {
      nodes.add(link.node().value());
      isClosing &= link.isClosing();
      for (SourceOffer offer : link.sources()) {
        sources.merge(
            offer.name(), offer, (one, other) -> one.state() == SourceOffer.State.UP ? one : other);
      }
    }
    Map<String, Object> agent = new LinkedHashMap<>();
    agent.put("id", first.agent().toString());
    agent.put("name", first.agentName());
    agent.put("version", first.agentVersion());
    agent.put("links", (long) links.size());
    agent.put("nodes", List.copyOf(nodes));
    agent.put("closing", isClosing);
    agent.put("sources", sources.values().stream().map(Agents::source).toList());
    return agent;
  }

  private static Map<String, Object> source(SourceOffer offer) {
    Map<String, Object> source = new LinkedHashMap<>();
    source.put("name", offer.name());
    source.put("engine", offer.engine());
    source.put("version", offer.productVersion());
    source.put("readOnly", offer.isReadOnly());
    source.put("state", offer.state().name());
    source.put("reason", offer.reason());
    return source;
  }
}
