package io.conexor.agent.registry;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** The backplane of one node of a small fleet; tests cut nodes off and lose single events. */
final class ScriptedBackplane implements Backplane {

  /** What the nodes of one test share. */
  static final class Fleet {
    private final Map<NodeId, ScriptedBackplane> nodes = new ConcurrentHashMap<>();
    private final AtomicLong offset = new AtomicLong();

    ScriptedBackplane join(NodeId node) {
      ScriptedBackplane backplane = new ScriptedBackplane(this, node);
      nodes.put(node, backplane);
      return backplane;
    }
  }

  private final Fleet fleet;
  private final NodeId self;
  private final List<EventListener> listeners = new CopyOnWriteArrayList<>();
  private volatile Responder responder;
  private volatile boolean isCut;
  private volatile int losing;

  private ScriptedBackplane(Fleet fleet, NodeId self) {
    this.fleet = fleet;
    this.self = self;
  }

  /** Neither sends nor receives until healed. */
  void cut(boolean cut) {
    isCut = cut;
  }

  /** The next events published here reach nobody, and nobody is told. */
  void loseNext(int events) {
    losing = events;
  }

  void gap() {
    Position position = new Position("e2", 0, fleet.offset.get());
    listeners.forEach(l -> l.gap(new Topic("agents"), null, position));
  }

  @Override
  public int partitionOf(Topic topic, String key) {
    return 0;
  }

  @Override
  public CompletionStage<Position> publish(Topic topic, String key, byte[] payload) {
    if (isCut) {
      return CompletableFuture.failedFuture(
          new BackplaneException(Applied.UNKNOWN, "cut off", null));
    }
    Position position = new Position("e1", 0, fleet.offset.incrementAndGet());
    if (losing > 0) {
      losing--;
    } else {
      Event event = new Event(topic, key, self, position, payload);
      for (ScriptedBackplane node : fleet.nodes.values()) {
        if (!node.isCut) {
          node.listeners.forEach(l -> l.event(event));
        }
      }
    }
    return CompletableFuture.completedFuture(position);
  }

  @Override
  public Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public CompletionStage<byte[]> request(
      NodeId to, Channel channel, byte[] payload, Duration timeout) {
    ScriptedBackplane node = fleet.nodes.get(to);
    if (isCut || node == null || node.isCut || node.responder == null) {
      return CompletableFuture.failedFuture(
          new BackplaneException(Applied.NO, "no such node", null));
    }
    return node.responder.answer(self, payload);
  }

  @Override
  public Subscription answer(Channel channel, Responder newResponder) {
    responder = newResponder;
    return () -> responder = null;
  }

  @Override
  public CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Subscription receive(Channel channel, MessageListener listener) {
    throw new UnsupportedOperationException();
  }
}
