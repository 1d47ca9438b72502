package io.conexor.redis.client;

import io.conexor.api.health.Health;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Judges what a probe saw. Pure, so that every cause is a unit test. */
final class Diagnosis {

  private static final int MEMORY_WARNS_AT_PERCENT = 90;
  private static final double FRAGMENTATION_WARNS_AT = 3.0;
  private static final long FRAGMENTATION_MATTERS_FROM = 256L << 20;
  private static final long LAG_WARNS_AT = 16L << 20;

  private Diagnosis() {}

  /**
   * @param nodes as the client knows them now
   * @param refused what a write was refused with by the primary, empty when it was accepted
   * @param evictedBefore by address, {@code evicted_keys} at the probe before
   */
  static Health of(
      String mode, List<NodeFacts> nodes, String refused, Map<String, Long> evictedBefore) {
    Map<String, String> details = new TreeMap<>();
    List<String> worse = new ArrayList<>();
    List<String> broken = new ArrayList<>();
    details.put("mode", mode);
    boolean primary = false;
    for (NodeFacts node : nodes) {
      details.put("node." + node.address(), describe(node));
      if (!node.reachable()) {
        (node.listedAsPrimary() ? broken : worse)
            .add("Redis " + node.address() + " does not answer");
        continue;
      }
      primary |= node.isPrimary();
      judge(node, !mode.equals("standalone"), evictedBefore, worse);
    }
    if (!refused.isEmpty()) {
      broken.add("Redis refuses writes: " + refused);
    }
    if (!primary) {
      broken.add(0, "no Redis primary is reachable");
    }
    broken.addAll(worse);
    return broken.isEmpty()
        ? Health.healthy(details)
        : Health.degraded(String.join("; ", broken), details);
  }

  private static void judge(
      NodeFacts node,
      boolean replicated,
      Map<String, Long> evictedBefore,
      List<String> complaints) {
    String at = "Redis " + node.address();
    long max = node.number("maxmemory");
    long used = node.number("used_memory");
    if (max > 0 && used * 100 >= max * MEMORY_WARNS_AT_PERCENT) {
      complaints.add(
          at
              + " uses "
              + used * 100 / max
              + " % of maxmemory ("
              + node.text("maxmemory_policy")
              + ")");
    }
    long evicted = node.number("evicted_keys");
    if (evicted > evictedBefore.getOrDefault(node.address(), evicted)) {
      complaints.add(at + " evicts keys: sessions and events are being lost; raise maxmemory");
    }
    if (used > FRAGMENTATION_MATTERS_FROM && fragmentation(node) > FRAGMENTATION_WARNS_AT) {
      complaints.add(at + " has a memory fragmentation of " + node.text("mem_fragmentation_ratio"));
    }
    if (node.isPrimary()) {
      if (!"1".equals(node.text("aof_enabled"))) {
        complaints.add(at + " does not write an append-only file; a restart loses all sessions");
      }
    } else {
      if ("down".equals(node.text("master_link_status"))) {
        complaints.add(at + " has lost its primary");
      }
    }
    if ("err".equals(node.text("aof_last_write_status"))) {
      complaints.add(at + " cannot write its append-only file");
    }
    for (Replica replica : replicas(node)) {
      if (!"online".equals(replica.state())) {
        complaints.add("replica " + replica.address() + " of " + at + " is " + replica.state());
      } else if (replica.lag() > LAG_WARNS_AT) {
        complaints.add(
            "replica "
                + replica.address()
                + " of "
                + at
                + " is "
                + replica.lag()
                + " bytes behind");
      }
    }
    if (replicated && node.isPrimary() && replicas(node).isEmpty()) {
      complaints.add(at + " has no replica: losing it loses data");
    }
  }

  private static String describe(NodeFacts node) {
    if (!node.reachable()) {
      return (node.listedAsPrimary() ? "primary" : "replica") + ", unreachable";
    }
    StringBuilder text = new StringBuilder();
    text.append(node.isPrimary() ? "primary" : "replica");
    text.append(", version ").append(node.text("redis_version"));
    text.append(", memory ").append(node.number("used_memory"));
    text.append('/').append(node.number("maxmemory"));
    text.append(' ').append(node.text("maxmemory_policy"));
    text.append(" frag ").append(node.text("mem_fragmentation_ratio"));
    text.append(", aof ").append("1".equals(node.text("aof_enabled")) ? "on" : "off");
    text.append(' ').append(node.text("aof_last_write_status"));
    text.append(", evicted ").append(node.number("evicted_keys"));
    if (node.isPrimary()) {
      text.append(", offset ").append(node.number("master_repl_offset"));
      for (Replica replica : replicas(node)) {
        text.append(", replica ").append(replica.address()).append(' ').append(replica.state());
        text.append(" lag ").append(replica.lag());
      }
    } else {
      text.append(", link ").append(node.text("master_link_status"));
      text.append(", offset ").append(node.number("slave_repl_offset"));
    }
    return text.toString();
  }

  private static double fragmentation(NodeFacts node) {
    try {
      return Double.parseDouble(node.text("mem_fragmentation_ratio"));
    } catch (NumberFormatException e) {
      return 0;
    }
  }

  /**
   * A replica as its primary sees it. Replicas are never read and so not connected to.
   *
   * @param lag bytes it has not confirmed yet
   */
  private record Replica(String address, String state, long lag) {}

  /** From {@code slaveN:ip=..,port=..,state=online,offset=1234,lag=0}. */
  private static List<Replica> replicas(NodeFacts primary) {
    List<Replica> found = new ArrayList<>();
    for (int i = 0; i < primary.number("connected_slaves"); i++) {
      Map<String, String> fields = new TreeMap<>();
      for (String part : primary.text("slave" + i).split(",")) {
        int equals = part.indexOf('=');
        if (equals > 0) {
          fields.put(part.substring(0, equals), part.substring(equals + 1));
        }
      }
      long offset = Long.parseLong(fields.getOrDefault("offset", "0"));
      found.add(
          new Replica(
              fields.get("ip") + ":" + fields.get("port"),
              fields.getOrDefault("state", "unknown"),
              primary.number("master_repl_offset") - offset));
    }
    return found;
  }
}
