package io.conexor.backplane.redis;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.redisson.api.RedissonClient;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The backplane on Redis. Keys, channels and the failure story: README.md of this bundle. */
@Component(
    service = {Backplane.class, HealthCheck.class},
    configurationPid = RedisBackplane.PID)
@Designate(ocd = RedisBackplane.Config.class)
public final class RedisBackplane implements Backplane, HealthCheck {

  static final String PID = "io.conexor.backplane.redis";

  private static final Logger log = LoggerFactory.getLogger(RedisBackplane.class);
  private static final int LONGEST_KEY = 4_096;
  private static final Duration SLOW = Duration.ofSeconds(1);
  private static final long RETRY_MILLIS = 50;
  private static final long STRAGGLERS_MILLIS = 1_500;

  /** How many full buffers of events may wait on this node in all. */
  private static final int QUOTA = 8;

  @ObjectClassDefinition(
      name = "Backplane on Redis",
      description = "Events and messages between backends through Redis")
  @interface Config {
    @AttributeDefinition(
        name = "Key prefix",
        description = "Starts every key and channel; the same on all backends. 1..32 of a-z 0-9 :")
    String key_prefix() default "conexor:";

    @AttributeDefinition(
        name = "Partitions",
        description = "Partitions of a topic; the same on all backends. 1..256",
        min = "1",
        max = "256")
    int partitions() default 12;

    @AttributeDefinition(
        name = "Most events",
        description = "Events kept per partition of a topic. 10..10000000",
        min = "10",
        max = "10000000")
    int stream_max_events() default 100_000;

    @AttributeDefinition(
        name = "Most bytes",
        description = "Bytes of events kept per partition of a topic. 1048576..1073741824",
        min = "1048576",
        max = "1073741824")
    long stream_max_bytes() default 8_388_608;

    @AttributeDefinition(
        name = "Publish timeout",
        description = "Milliseconds an event waits for Redis before it fails. 100..600000",
        min = "100",
        max = "600000")
    long publish_timeout_ms() default 30_000;

    @AttributeDefinition(
        name = "Message timeout",
        description = "Milliseconds a direct message waits for Redis before it fails. 100..60000",
        min = "100",
        max = "60000")
    long direct_timeout_ms() default 5_000;

    @AttributeDefinition(
        name = "Buffer",
        description =
            "Bytes that may wait per partition, per other node and per listener. 2097152..1073741824",
        min = "2097152",
        max = "1073741824")
    long buffer_bytes() default 8_388_608;

    @AttributeDefinition(
        name = "Repair window",
        description =
            "Milliseconds for which published events are kept to publish them again when a failover"
                + " lost them. 0..600000",
        min = "0",
        max = "600000")
    long repair_window_ms() default 30_000;

    @AttributeDefinition(
        name = "Poll interval",
        description =
            "Milliseconds between looks at the streams in case the bell was lost. 50..60000",
        min = "50",
        max = "60000")
    long poll_interval_ms() default 1_000;
  }

  /** The configuration, checked. */
  public record Settings(
      String prefix,
      int partitions,
      int maxEvents,
      long maxBytes,
      Duration publishTimeout,
      Duration directTimeout,
      long bufferBytes,
      Duration repairWindow,
      Duration pollInterval) {

    /** The defaults, for those who start without a configuration. */
    public static Settings defaults() {
      return new Settings(
          "conexor:",
          12,
          100_000,
          8 << 20,
          Duration.ofSeconds(30),
          Duration.ofSeconds(5),
          8 << 20,
          Duration.ofSeconds(30),
          Duration.ofSeconds(1));
    }

    /** With other bounds of the streams. */
    public Settings keeping(int events, long bytes) {
      return new Settings(
          prefix,
          partitions,
          events,
          bytes,
          publishTimeout,
          directTimeout,
          bufferBytes,
          repairWindow,
          pollInterval);
    }

    /** With another number of partitions. */
    public Settings of(int count) {
      return new Settings(
          prefix,
          count,
          maxEvents,
          maxBytes,
          publishTimeout,
          directTimeout,
          bufferBytes,
          repairWindow,
          pollInterval);
    }

    static Settings checked(Config config) {
      if (!config.key_prefix().matches("[a-z0-9:]{1,32}")) {
        throw new IllegalArgumentException(
            PID + ": key.prefix = '" + config.key_prefix() + "' is not 1..32 of a-z, 0-9 and :");
      }
      return new Settings(
          config.key_prefix(),
          (int) within("partitions", config.partitions(), 1, 256),
          (int) within("stream.max.events", config.stream_max_events(), 10, 10_000_000),
          within("stream.max.bytes", config.stream_max_bytes(), 1 << 20, 1 << 30),
          millis("publish.timeout.ms", config.publish_timeout_ms(), 100, 600_000),
          millis("direct.timeout.ms", config.direct_timeout_ms(), 100, 60_000),
          within("buffer.bytes", config.buffer_bytes(), 2 << 20, 1 << 30),
          millis("repair.window.ms", config.repair_window_ms(), 0, 600_000),
          millis("poll.interval.ms", config.poll_interval_ms(), 50, 60_000));
    }

    private static Duration millis(String key, long value, long min, long max) {
      return Duration.ofMillis(within(key, value, min, max));
    }

    private static long within(String key, long value, long min, long max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            PID + ": " + key + " = " + value + " is outside " + min + ".." + max);
      }
      return value;
    }
  }

  /** Who writes and reads a topic on this node. */
  private record TopicEnds(List<EventWriter> writers, List<EventReader> readers) {}

  private final NodeId node;
  private final Settings settings;
  private final Layout layout;
  private final Counters counters = new Counters();
  private final Map<Topic, TopicEnds> topics = new ConcurrentHashMap<>();
  private final EventWriter.Quota quota;
  private final ThreadPoolExecutor pool;
  private final ScheduledThreadPoolExecutor timer;
  private final DirectPath direct;

  // Written by declarative services (the new one is bound before the old is unbound), read by all.
  private volatile @Nullable Link link;
  private final AtomicLong subscriptionsBefore = new AtomicLong();

  @Activate
  public RedisBackplane(@Reference(name = "node") Node node, Config config) {
    this(node.id(), Settings.checked(config));
  }

  private RedisBackplane(NodeId node, Settings settings) {
    this.node = node;
    this.settings = settings;
    this.layout = new Layout(settings.prefix(), settings.partitions());
    this.quota = new EventWriter.Quota(QUOTA * settings.bufferBytes());
    int threads = Math.max(4, Runtime.getRuntime().availableProcessors());
    this.pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            0,
            MILLISECONDS,
            new LinkedBlockingQueue<>(),
            threads("conexor-backplane-delivery"));
    this.timer = new ScheduledThreadPoolExecutor(1, threads("conexor-backplane-timer"));
    timer.setRemoveOnCancelPolicy(true);
    this.direct =
        new DirectPath(
            node,
            layout,
            () -> link,
            pool,
            timer,
            this::later,
            settings.bufferBytes(),
            settings.directTimeout(),
            counters);
    long poll = settings.pollInterval().toMillis();
    var unused = timer.scheduleWithFixedDelay(this::tick, poll, poll, MILLISECONDS);
  }

  /** On a client that its owner closes. */
  public RedisBackplane(NodeId node, RedissonClient client, boolean sharded, Settings settings) {
    this(node, settings);
    attach(new Link(client, sharded));
  }

  @Reference(
      name = "redis",
      target = "(!(conexor.joining=true))",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindRedis(RedissonClient client, Map<String, Object> properties) {
    attach(new Link(client, "cluster".equals(properties.get("redis.mode"))));
  }

  void unbindRedis(RedissonClient client) {
    Link current = link;
    if (current != null && current.isOf(client)) {
      link = null;
      subscriptionsBefore.addAndGet(current.subscriptions());
      current.close();
    }
  }

  /** Moves this node to another client, as a swap does. The old client is its owner's to close. */
  public void moveTo(RedissonClient client, boolean sharded) {
    attach(new Link(client, sharded));
  }

  private void attach(Link next) {
    Link before = link;
    for (int p = 0; p < layout.partitions(); p++) {
      int partition = p;
      next.subscribe(
          layout.bell(p),
          message -> rung(partition, message),
          () -> caughtUp(partition),
          this::later);
    }
    next.subscribe(layout.inbox(node), direct::received, direct::trouble, this::later);
    if (before != null) {
      // First, so that they know whatever comes from there.
      topics.values().forEach(t -> t.readers().forEach(EventReader::moves));
    }
    link = next;
    if (before != null) {
      subscriptionsBefore.addAndGet(before.subscriptions());
      // What others sent to the old one just before they moved, too, still comes in.
      var unused = timer.schedule(before::close, STRAGGLERS_MILLIS, MILLISECONDS);
    }
    direct.trouble(); // others may be a moment behind or ahead
    topics.values().forEach(t -> t.readers().forEach(EventReader::poll));
    topics.values().forEach(t -> t.writers().forEach(EventWriter::advance));
  }

  @Deactivate
  public void close() {
    topics.values().forEach(t -> t.readers().forEach(EventReader::close));
    topics.values().forEach(t -> t.writers().forEach(EventWriter::close));
    topics.clear();
    direct.close();
    Link current = link;
    link = null;
    if (current != null) {
      current.close();
    }
    timer.shutdownNow();
    pool.shutdownNow();
  }

  @Override
  public int partitionOf(Topic topic, String key) {
    return layout.partitionOf(key);
  }

  @Override
  public CompletionStage<Position> publish(Topic topic, String key, byte[] payload) {
    checkSize(payload);
    if (key.length() > LONGEST_KEY) {
      throw new IllegalArgumentException("a key has at most " + LONGEST_KEY + " characters");
    }
    return ends(topic).writers().get(layout.partitionOf(key)).publish(key, payload);
  }

  @Override
  public Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener) {
    TopicEnds ends = ends(topic);
    EventReader reader =
        new EventReader(
            topic,
            from,
            Objects.requireNonNull(listener),
            layout,
            () -> link,
            pool,
            settings.bufferBytes(),
            () -> ends.writers().forEach(EventWriter::advance),
            ends.readers()::remove,
            counters);
    ends.readers().add(reader);
    reader.poll();
    return reader;
  }

  @Override
  public CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload) {
    checkSize(payload);
    return direct.send(to, channel, payload);
  }

  @Override
  public Subscription receive(Channel channel, MessageListener listener) {
    return direct.receive(channel, Objects.requireNonNull(listener));
  }

  @Override
  public CompletionStage<byte[]> request(
      NodeId to, Channel channel, byte[] payload, Duration timeout) {
    checkSize(payload);
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException("a timeout of " + timeout + " is not positive");
    }
    return direct.request(to, channel, payload, timeout);
  }

  @Override
  public Subscription answer(Channel channel, Responder responder) {
    return direct.answer(channel, Objects.requireNonNull(responder));
  }

  @Override
  public String name() {
    return "backplane";
  }

  @Override
  public Health check() {
    Map<String, String> details = counters.asMap();
    Link current = link;
    details.put(
        "subscriptions",
        Long.toString(subscriptionsBefore.get() + (current == null ? 0 : current.subscriptions())));
    long now = System.nanoTime();
    long wait = 0;
    for (TopicEnds each : topics.values()) {
      for (EventWriter writer : each.writers()) {
        wait = Math.max(wait, writer.oldestWait(now));
      }
    }
    details.put("events.oldest.wait.ms", Long.toString(wait / 1_000_000));
    if (current == null) {
      return Health.degraded("no Redis is connected: events and other backends wait", details);
    }
    if (wait > SLOW.toNanos()) {
      return Health.degraded(
          "events have waited for Redis for " + wait / 1_000_000 + " ms", details);
    }
    return Health.healthy(details);
  }

  private TopicEnds ends(Topic topic) {
    return topics.computeIfAbsent(
        topic,
        key -> {
          List<EventReader> readers = new CopyOnWriteArrayList<>();
          List<EventWriter> writers = new ArrayList<>();
          EventWriter.Limits limits =
              new EventWriter.Limits(
                  Math.max(1, settings.maxEvents() / 4),
                  settings.maxEvents(),
                  settings.maxBytes(),
                  settings.bufferBytes(),
                  quota,
                  settings.publishTimeout().toNanos(),
                  settings.repairWindow().toNanos(),
                  settings.bufferBytes() / 4,
                  32 << 10);
          for (int p = 0; p < layout.partitions(); p++) {
            int partition = p;
            writers.add(
                new EventWriter(
                    topic,
                    p,
                    node,
                    layout,
                    limits,
                    () -> link,
                    // A subscriber here gets what is published here after it subscribed, so its
                    // place in the stream must be known before anything is appended.
                    () -> readers.stream().allMatch(r -> r.hasStarted(partition)),
                    this::later,
                    counters));
          }
          return new TopicEnds(List.copyOf(writers), readers);
        });
  }

  private void rung(int partition, byte[] message) {
    TopicEnds ends = topics.get(Batch.Ring.topicOf(message));
    if (ends != null && !ends.readers().isEmpty()) {
      Batch.Ring ring = Batch.Ring.parse(message);
      ends.readers().forEach(reader -> reader.ring(partition, ring));
    }
  }

  /** The bell of a partition works (again). */
  private void caughtUp(int partition) {
    direct.trouble();
    topics.values().forEach(t -> t.readers().forEach(reader -> reader.poll(partition)));
  }

  private void tick() {
    try {
      topics.values().forEach(t -> t.readers().forEach(EventReader::poll));
      topics.values().forEach(t -> t.writers().forEach(EventWriter::verify));
      direct.sweep();
    } catch (RuntimeException e) {
      log.warn("a look at the streams failed; the next one tries again", e);
    }
  }

  private void later(Runnable what) {
    try {
      var unused = timer.schedule(() -> pool.execute(what), RETRY_MILLIS, MILLISECONDS);
    } catch (RejectedExecutionException e) {
      // The backplane is closed, and what waited was told so.
    }
  }

  private static ThreadFactory threads(String name) {
    AtomicInteger count = new AtomicInteger();
    return task -> {
      Thread thread = new Thread(task, name + "-" + count.getAndIncrement());
      thread.setDaemon(true);
      return thread;
    };
  }

  private static void checkSize(byte[] payload) {
    if (payload.length > MAX_PAYLOAD) {
      throw new IllegalArgumentException(
          "a payload of " + payload.length + " bytes is more than " + MAX_PAYLOAD);
    }
  }
}
