package io.conexor.backplane.memory;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * What the backends of a fleet share when they live in one process: the logs of all topics and the
 * way to each other. In the product it has one node; tests of others make fleets of it, and cut,
 * heal and empty them.
 */
public final class MemoryNetwork implements AutoCloseable {

  private static final int PARTITIONS = 4;

  private final int maxEvents;
  private final int maxBytes;
  private final ScheduledThreadPoolExecutor pool;
  private final Map<NodeId, MemoryBackplane> nodes = new ConcurrentHashMap<>();
  private final Map<Topic, TopicLogs> topics = new ConcurrentHashMap<>();

  /** One topic: its logs and who reads them. */
  record TopicLogs(List<EventLog> logs, List<EventSubscription> subscriptions) {}

  public MemoryNetwork() {
    this(10_000, 16 << 20);
  }

  /**
   * @param maxEvents kept per partition
   * @param maxBytes of payload kept per partition
   */
  public MemoryNetwork(int maxEvents, int maxBytes) {
    this.maxEvents = maxEvents;
    this.maxBytes = maxBytes;
    AtomicInteger count = new AtomicInteger();
    pool =
        new ScheduledThreadPoolExecutor(
            Math.max(4, Runtime.getRuntime().availableProcessors()),
            task -> {
              Thread thread =
                  new Thread(task, "conexor-backplane-memory-" + count.getAndIncrement());
              thread.setDaemon(true);
              return thread;
            });
    pool.setRemoveOnCancelPolicy(true);
  }

  /** The node of that name, joined when it is asked for first. */
  public Backplane node(NodeId id) {
    return nodes.computeIfAbsent(id, key -> new MemoryBackplane(key, this));
  }

  /** Drops the node as a crash does: nobody reaches it and it reaches nobody, for good. */
  public void kill(NodeId id) {
    MemoryBackplane node = nodes.remove(id);
    if (node != null) {
      node.close();
    }
  }

  /** Cuts a node off, or lets it back in; it goes on from where it was. */
  public void connect(NodeId id, boolean connected) {
    MemoryBackplane node = nodes.get(id);
    if (node != null) {
      node.connect(connected);
      topics.values().forEach(t -> t.subscriptions().forEach(EventSubscription::signal));
    }
  }

  /** Forgets all events, so that every topic starts a new life. */
  public void lose() {
    topics.values().forEach(t -> t.logs().forEach(EventLog::lose));
    topics.values().forEach(t -> t.subscriptions().forEach(EventSubscription::signal));
  }

  @Override
  public void close() {
    nodes.values().forEach(MemoryBackplane::close);
    nodes.clear();
    topics.clear();
    pool.shutdownNow();
  }

  TopicLogs topic(Topic topic) {
    return topics.computeIfAbsent(
        topic,
        key -> {
          List<EventLog> logs = new ArrayList<>(PARTITIONS);
          for (int p = 0; p < PARTITIONS; p++) {
            logs.add(new EventLog(p, maxEvents, maxBytes));
          }
          return new TopicLogs(List.copyOf(logs), new CopyOnWriteArrayList<>());
        });
  }

  @Nullable MemoryBackplane find(NodeId id) {
    return nodes.get(id);
  }

  ScheduledThreadPoolExecutor pool() {
    return pool;
  }
}
