package io.conexor.agent.registry;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The links of the whole fleet by source. Readers take no lock: a list, once visible, never
 * changes. Writers (hub threads for this node's links, the gossip loop for others) exclude each
 * other; a write costs the lists of the one link's sources, whatever the size of the fleet.
 *
 * <p>Of two links of the same agent process to the same node only the one with the higher epoch is
 * shown: the lower one is a socket that has not noticed its death.
 */
final class LinkIndex {

  private record Key(NodeId node, LinkId link) {}

  private record SourceKey(OrgId org, String source) {}

  private record Run(AgentId agent, UUID process, NodeId node) {}

  private final NodeId self;
  private final Comparator<Attachment> order;

  private final ConcurrentHashMap<SourceKey, List<Attachment>> bySource = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<Key, Attachment> byLink = new ConcurrentHashMap<>();

  /** Guarded by this. */
  private final Map<Run, Attachment> byRun = new HashMap<>();

  LinkIndex(NodeId self) {
    this.self = self;
    this.order =
        Comparator.<Attachment, Boolean>comparing(a -> !a.node().equals(self))
            .thenComparing(a -> a.node().value())
            .thenComparingLong(a -> a.link().value());
  }

  List<Attachment> serving(OrgId org, String source) {
    return bySource.getOrDefault(new SourceKey(org, source), List.of());
  }

  List<Attachment> attached(OrgId org) {
    return byLink.values().stream().filter(a -> a.org().equals(org)).sorted(order).toList();
  }

  List<Attachment> attached() {
    return byLink.values().stream().sorted(order).toList();
  }

  int size() {
    return byLink.size();
  }

  /** How many sources can be reached. */
  int sources() {
    return bySource.size();
  }

  Optional<Attachment> find(NodeId node, LinkId link) {
    return Optional.ofNullable(byLink.get(new Key(node, link)));
  }

  /**
   * Shows a link, or what changed about it.
   *
   * @return false when a link with a higher epoch fences it; it is not shown then
   */
  synchronized boolean put(Attachment attachment) {
    Run run = new Run(attachment.agent(), attachment.process(), attachment.node());
    Attachment rival = byRun.get(run);
    if (rival != null && !rival.link().equals(attachment.link())) {
      if (rival.epoch() > attachment.epoch()) {
        return false;
      }
      drop(rival);
    }
    byRun.put(run, attachment);
    Attachment before = byLink.put(new Key(attachment.node(), attachment.link()), attachment);
    Set<String> names = new HashSet<>();
    for (SourceOffer source : attachment.sources()) {
      if (names.add(source.name())) {
        replace(attachment.org(), source.name(), before, attachment);
      }
    }
    if (before != null) {
      for (SourceOffer source : before.sources()) {
        if (names.add(source.name())) {
          replace(attachment.org(), source.name(), before, null);
        }
      }
    }
    return true;
  }

  /** Forgets a link; returns what it was. */
  synchronized Optional<Attachment> remove(NodeId node, LinkId link) {
    Attachment attachment = byLink.get(new Key(node, link));
    if (attachment == null) {
      return Optional.empty();
    }
    drop(attachment);
    return Optional.of(attachment);
  }

  /** Forgets all links of a node; returns the organisations that had any. */
  synchronized Set<OrgId> removeAll(NodeId node, Collection<LinkId> links) {
    Set<OrgId> orgs = new HashSet<>();
    for (LinkId link : links) {
      remove(node, link).ifPresent(a -> orgs.add(a.org()));
    }
    return orgs;
  }

  private void drop(Attachment attachment) {
    byLink.remove(new Key(attachment.node(), attachment.link()));
    byRun.remove(new Run(attachment.agent(), attachment.process(), attachment.node()), attachment);
    for (SourceOffer source : attachment.sources()) {
      replace(attachment.org(), source.name(), attachment, null);
    }
  }

  private void replace(
      OrgId org, String source, @Nullable Attachment old, @Nullable Attachment next) {
    SourceKey key = new SourceKey(org, source);
    List<Attachment> list = new ArrayList<>(bySource.getOrDefault(key, List.of()));
    if (old != null) {
      list.removeIf(a -> a.link().equals(old.link()) && a.node().equals(old.node()));
    }
    if (next != null) {
      list.add(next);
      list.sort(order);
    }
    if (list.isEmpty()) {
      bySource.remove(key);
    } else {
      bySource.put(key, List.copyOf(list));
    }
  }

  NodeId self() {
    return self;
  }
}
