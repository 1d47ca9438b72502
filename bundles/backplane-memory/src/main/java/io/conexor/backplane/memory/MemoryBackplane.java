package io.conexor.backplane.memory;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One node of a {@link MemoryNetwork}. */
final class MemoryBackplane implements Backplane {

  private static final int WAITING_MESSAGES = 10_000;

  private final NodeId id;
  private final MemoryNetwork network;
  private final Map<Channel, Endpoint<MessageListener>> receivers = new ConcurrentHashMap<>();
  private final Map<Channel, Endpoint<Responder>> responders = new ConcurrentHashMap<>();
  private final List<EventSubscription> subscriptions = new CopyOnWriteArrayList<>();
  // Written by the network's owner, read by everyone.
  private volatile boolean connected = true;

  /** Who listens on a channel, and the box its calls wait in. */
  private record Endpoint<T>(T listener, Mailbox box) {}

  MemoryBackplane(NodeId id, MemoryNetwork network) {
    this.id = id;
    this.network = network;
  }

  void connect(boolean to) {
    connected = to;
    subscriptions.forEach(s -> s.pause(!to));
  }

  void close() {
    connected = false;
    subscriptions.forEach(EventSubscription::close);
    receivers.clear();
    responders.clear();
  }

  @Override
  public int partitionOf(Topic topic, String key) {
    return Math.floorMod(key.hashCode(), network.topic(topic).logs().size());
  }

  @Override
  public CompletionStage<Position> publish(Topic topic, String key, byte[] payload) {
    checkSize(payload);
    if (!connected) {
      return failed(Applied.UNKNOWN, "this node is cut off; the event may not have been published");
    }
    MemoryNetwork.TopicLogs logs = network.topic(topic);
    int partition = Math.floorMod(key.hashCode(), logs.logs().size());
    Position position = logs.logs().get(partition).append(topic, key, id, payload);
    logs.subscriptions().forEach(EventSubscription::signal);
    return CompletableFuture.completedFuture(position);
  }

  @Override
  public Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener) {
    MemoryNetwork.TopicLogs logs = network.topic(topic);
    EventSubscription subscription =
        new EventSubscription(
            topic,
            logs.logs(),
            from,
            Objects.requireNonNull(listener),
            network.pool(),
            closed -> {
              logs.subscriptions().remove(closed);
              subscriptions.remove(closed);
            });
    subscription.pause(!connected);
    subscriptions.add(subscription);
    logs.subscriptions().add(subscription);
    subscription.signal();
    return subscription;
  }

  @Override
  public CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload) {
    checkSize(payload);
    MemoryBackplane target = reach(to);
    Endpoint<MessageListener> endpoint = target == null ? null : target.receivers.get(channel);
    if (endpoint != null && !endpoint.box().offer(() -> endpoint.listener().message(id, payload))) {
      return failed(Applied.NO, "node " + to + " does not keep up with channel " + channel.name());
    }
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public Subscription receive(Channel channel, MessageListener listener) {
    return register(receivers, channel, Objects.requireNonNull(listener));
  }

  @Override
  public CompletionStage<byte[]> request(
      NodeId to, Channel channel, byte[] payload, Duration timeout) {
    checkSize(payload);
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException("a timeout of " + timeout + " is not positive");
    }
    MemoryBackplane target = reach(to);
    if (target == null) {
      return failed(Applied.NO, "node " + to + " is not there");
    }
    Endpoint<Responder> endpoint = target.responders.get(channel);
    if (endpoint == null) {
      return failed(Applied.NO, "node " + to + " does not answer on channel " + channel.name());
    }
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    ScheduledFuture<?> alarm =
        network
            .pool()
            .schedule(
                () -> answer.completeExceptionally(tooLate(to, channel, timeout)),
                timeout.toNanos(),
                TimeUnit.NANOSECONDS);
    var unused = answer.whenComplete((value, failure) -> alarm.cancel(false));
    if (!endpoint.box().offer(() -> target.respond(endpoint.listener(), id, payload, answer))) {
      answer.completeExceptionally(
          new BackplaneException(
              Applied.NO, "node " + to + " does not keep up with channel " + channel.name(), null));
    }
    return answer;
  }

  @Override
  public Subscription answer(Channel channel, Responder responder) {
    return register(responders, channel, Objects.requireNonNull(responder));
  }

  private void respond(
      Responder responder, NodeId from, byte[] payload, CompletableFuture<byte[]> answer) {
    try {
      responder
          .answer(from, payload)
          .whenComplete(
              (value, failure) -> {
                if (!connected) {
                  return; // the answer is lost with the way back
                }
                if (failure != null) {
                  answer.completeExceptionally(refused(failure));
                } else if (value == null || value.length > MAX_PAYLOAD) {
                  answer.completeExceptionally(
                      refused(new IllegalStateException("the answer is missing or too large")));
                } else {
                  answer.complete(value);
                }
              });
    } catch (RuntimeException e) {
      answer.completeExceptionally(refused(e));
    }
  }

  /** The node, if there is a way to it now. */
  private @Nullable MemoryBackplane reach(NodeId to) {
    MemoryBackplane target = to.equals(id) ? this : network.find(to);
    boolean reachable = target == this || (target != null && connected && target.connected);
    return reachable ? target : null;
  }

  private <T> Subscription register(Map<Channel, Endpoint<T>> at, Channel channel, T listener) {
    Endpoint<T> endpoint = new Endpoint<>(listener, new Mailbox(network.pool(), WAITING_MESSAGES));
    if (at.putIfAbsent(channel, endpoint) != null) {
      throw new IllegalStateException("channel " + channel.name() + " is taken on this node");
    }
    return () -> at.remove(channel, endpoint);
  }

  private static BackplaneException refused(Throwable failure) {
    String message = failure.getMessage();
    return new BackplaneException(
        Applied.UNKNOWN, message == null ? failure.toString() : message, failure);
  }

  private static BackplaneException tooLate(NodeId to, Channel channel, Duration timeout) {
    return new BackplaneException(
        Applied.UNKNOWN,
        "node " + to + " did not answer on channel " + channel.name() + " in " + timeout,
        null);
  }

  private static <T> CompletionStage<T> failed(Applied applied, String message) {
    return CompletableFuture.failedFuture(new BackplaneException(applied, message, null));
  }

  private static void checkSize(byte[] payload) {
    if (payload.length > MAX_PAYLOAD) {
      throw new IllegalArgumentException(
          "a payload of " + payload.length + " bytes is more than " + MAX_PAYLOAD);
    }
  }
}
