package io.conexor.access;

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
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** Delivers events at once to all listeners, and fails or loses them when told so. */
final class ScriptedBackplane implements Backplane {

  private final List<EventListener> listeners = new CopyOnWriteArrayList<>();
  private final AtomicLong offset = new AtomicLong();
  volatile boolean isAway;
  volatile boolean isLosing;

  @Override
  public int partitionOf(Topic topic, String key) {
    return 0;
  }

  @Override
  public CompletionStage<Position> publish(Topic topic, String key, byte[] payload) {
    if (isAway) {
      return CompletableFuture.failedFuture(
          new BackplaneException(Applied.UNKNOWN, "scripted to be away", null));
    }
    Position position = new Position("e", 0, offset.incrementAndGet());
    if (!isLosing) {
      Event event = new Event(topic, key, new NodeId("node-a"), position, payload);
      listeners.forEach(listener -> listener.event(event));
    }
    return CompletableFuture.completedFuture(position);
  }

  void gap(Topic topic) {
    listeners.forEach(listener -> listener.gap(topic, null, new Position("e2", 0, 1)));
  }

  int listeners() {
    return listeners.size();
  }

  @Override
  public Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Subscription receive(Channel channel, MessageListener listener) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<byte[]> request(
      NodeId to, Channel channel, byte[] payload, Duration timeout) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Subscription answer(Channel channel, Responder responder) {
    throw new UnsupportedOperationException();
  }
}
