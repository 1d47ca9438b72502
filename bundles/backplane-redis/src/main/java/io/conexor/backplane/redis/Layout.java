package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/**
 * Names of keys and channels. A partition has a hash tag whose slot lies in the middle of the
 * partition's share of the slots, so that a cluster of any size that divides the partitions carries
 * them evenly; tags found by chance do not (27 against 15 on six nodes was seen elsewhere).
 */
final class Layout {

  private static final int SLOTS = 16_384;

  private final String prefix;
  private final List<String> tags;

  Layout(String prefix, int partitions) {
    this.prefix = prefix;
    List<String> found = new ArrayList<>();
    for (int p = 0; p < partitions; p++) {
      found.add(tag(p, partitions));
    }
    this.tags = List.copyOf(found);
  }

  int partitions() {
    return tags.size();
  }

  /** Which partition the events of a key are in: the same on every backend. */
  int partitionOf(String key) {
    CRC32 hash = new CRC32();
    hash.update(key.getBytes(UTF_8));
    return (int) (hash.getValue() % tags.size());
  }

  String stream(Topic topic, int partition) {
    return prefix + "{" + tags.get(partition) + "}:events:" + topic.name();
  }

  String head(Topic topic, int partition) {
    return stream(topic, partition) + ":head";
  }

  String bell(int partition) {
    return prefix + "{" + tags.get(partition) + "}:bell";
  }

  String inbox(NodeId node) {
    return prefix + "{" + tags.get(partitionOf(node.value())) + "}:node:" + node;
  }

  String tag(int partition) {
    return tags.get(partition);
  }

  private static String tag(int p, int partitions) {
    long middle = (2L * p + 1) * SLOTS / (2L * partitions);
    long reach = Math.max(1, SLOTS / (partitions * 8L));
    for (int i = 0; ; i++) {
      String candidate = p + "-" + Integer.toString(i, 36);
      if (Math.abs(slot(candidate) - middle) <= reach) {
        return candidate;
      }
    }
  }

  /** CRC16 (XMODEM) modulo 16384, as Redis Cluster hashes what stands between the braces. */
  static int slot(String tag) {
    int crc = 0;
    for (byte b : tag.getBytes(UTF_8)) {
      crc ^= (b & 0xff) << 8;
      for (int i = 0; i < 8; i++) {
        crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
      }
      crc &= 0xffff;
    }
    return crc % SLOTS;
  }
}
