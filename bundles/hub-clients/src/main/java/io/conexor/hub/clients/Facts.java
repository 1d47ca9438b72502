package io.conexor.hub.clients;

import io.conexor.api.backplane.Position;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.msgpack.PackReader;
import io.conexor.protocol.msgpack.PackWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What is kept about a connection that may be resumed elsewhere, beside its messages.
 *
 * @param isReleased whether its owner let go of it; then {@code positions} say everything about the
 *     events that were dealt with
 * @param received number of the last message of the client that was taken
 * @param running invocations of the client that have not ended, and where they run
 * @param uploads streams of the client that have not ended, and where they are received
 * @param positions by partition, the last event of the backplane that is among the messages
 */
record Facts(
    boolean isBinary,
    boolean isReleased,
    long received,
    Set<String> groups,
    Map<String, NodeId> running,
    Map<String, NodeId> uploads,
    Map<Integer, Position> positions) {

  private static final int MAX_BYTES = 1 << 20;

  byte[] encoded() {
    Map<String, Object> all = new HashMap<>();
    all.put("binary", isBinary);
    all.put("released", isReleased);
    all.put("received", received);
    all.put("groups", List.copyOf(groups));
    all.put("running", names(running));
    all.put("uploads", names(uploads));
    all.put("events", events(positions));
    GrowingBytes out = new GrowingBytes(256, MAX_BYTES);
    new PackWriter(out).value(all);
    return out.toByteArray();
  }

  private static Map<String, Object> names(Map<String, NodeId> nodes) {
    Map<String, Object> names = new HashMap<>();
    nodes.forEach((id, node) -> names.put(id, node.value()));
    return names;
  }

  /**
   * @throws ProtocolException if the bytes are no facts
   */
  // What is missing is caught as a NullPointerException, like what is of another type.
  @SuppressWarnings("NullAway")
  static Facts of(byte[] bytes) {
    try {
      Map<?, ?> all = (Map<?, ?>) new PackReader(bytes).value();
      if (all == null) {
        throw new ProtocolException("no facts", 0);
      }
      Set<String> groups = new TreeSet<>();
      ((List<?>) all.get("groups")).forEach(name -> groups.add((String) name));
      return new Facts(
          (Boolean) all.get("binary"),
          (Boolean) all.get("released"),
          (Long) all.get("received"),
          groups,
          nodes(all.get("running")),
          nodes(all.get("uploads")),
          positions(all.get("events")));
    } catch (ClassCastException | NullPointerException e) {
      throw new ProtocolException("these are no facts about a connection", 0);
    }
  }

  private static Map<String, NodeId> nodes(Object names) {
    Map<String, NodeId> nodes = new HashMap<>();
    ((Map<?, ?>) names).forEach((id, node) -> nodes.put((String) id, new NodeId((String) node)));
    return nodes;
  }

  static List<Object> events(Map<Integer, Position> positions) {
    List<Object> events = new ArrayList<>();
    positions
        .values()
        .forEach(at -> events.add(List.of(at.epoch(), (long) at.partition(), at.offset())));
    return events;
  }

  static Map<Integer, Position> positions(Object events) {
    Map<Integer, Position> positions = new HashMap<>();
    for (Object each : (List<?>) events) {
      List<?> at = (List<?>) each;
      int partition = ((Long) at.get(1)).intValue();
      positions.put(partition, new Position((String) at.get(0), partition, (Long) at.get(2)));
    }
    return positions;
  }
}
