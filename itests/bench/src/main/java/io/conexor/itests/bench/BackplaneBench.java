package io.conexor.itests.bench;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane.EventListener;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.NodeId;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.backplane.redis.RedisBackplane;
import io.conexor.itests.lab.RedisLab;
import io.conexor.redis.client.ClientSettings;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.redisson.Redisson;
import org.redisson.api.RStream;
import org.redisson.api.RTopic;
import org.redisson.api.RedissonClient;
import org.redisson.api.stream.StreamAddArgs;
import org.redisson.api.stream.StreamMessageId;
import org.redisson.api.stream.StreamReadArgs;
import org.redisson.client.codec.ByteArrayCodec;

/** One-way latency and throughput of 200-byte messages, beside raw PUBLISH and XADD, in turns. */
public final class BackplaneBench {

  private static final double SECONDS =
      Double.parseDouble(System.getProperty("bench.seconds", "6"));
  private static final int TURN_MILLIS = 400;
  private static final int WARM_UP_TURNS = Integer.getInteger("bench.warmup", 2_400) / TURN_MILLIS;
  private static final int SIZE = 200;
  private static final int PARTITIONS = RedisBackplane.Settings.defaults().partitions();
  private static final int WINDOW = 2_048;
  private static final ByteArrayCodec CODEC = ByteArrayCodec.INSTANCE;

  private BackplaneBench() {}

  /** Sends a message; completes when the transport took it. */
  private interface Sender {
    CompletionStage<?> send(int i, byte[] message);
  }

  /** Takes what arrives. */
  private static volatile Consumer<byte[]> sink = m -> {};

  public static void main(String[] args) throws Exception {
    BenchReport report = new BenchReport("backplane");
    for (Mode mode : List.of(Mode.SENTINEL, Mode.CLUSTER)) {
      try (RedisLab lab = RedisLab.start(mode)) {
        run(lab, report);
      }
    }
    report.write();
    System.exit(0);
  }

  private static void run(RedisLab lab, BenchReport report) throws Exception {
    RedissonClient from = Redisson.create(ClientSettings.defaults().toRedisson(lab.endpoints()));
    RedissonClient to = Redisson.create(ClientSettings.defaults().toRedisson(lab.endpoints()));
    boolean cluster = lab.mode() == Mode.CLUSTER;
    String at = lab.mode().name().toLowerCase(Locale.ROOT);
    NodeId sender = new NodeId("bench-sender-" + at);
    NodeId receiver = new NodeId("bench-receiver-" + at);
    RedisBackplane out =
        new RedisBackplane(sender, from, cluster, RedisBackplane.Settings.defaults());
    RedisBackplane in =
        new RedisBackplane(receiver, to, cluster, RedisBackplane.Settings.defaults());

    // Raw, through the same client
    RTopic heard = topic(to, cluster);
    heard.addListener(byte[].class, (name, message) -> sink.accept(message));
    RTopic spoken = topic(from, cluster);
    List<RStream<byte[], byte[]>> written = new ArrayList<>();
    List<Thread> readers = new ArrayList<>();
    for (int i = 0; i < PARTITIONS; i++) {
      String name = "raw:stream:" + i;
      written.add(from.getStream(name, CODEC));
      Thread reader = new Thread(() -> readStream(to, name), "raw-reader-" + i);
      reader.setDaemon(true);
      reader.start();
      readers.add(reader);
    }

    // Ours
    Topic topic = new Topic("bench");
    Channel channel = new Channel("bench");
    Subscription subscription =
        in.subscribe(
            topic,
            Map.of(),
            new EventListener() {
              @Override
              public void event(Event event) {
                sink.accept(event.payload());
              }

              @Override
              public void gap(Topic of, @Nullable Position lastSeen, Position resumesAt) {
                System.out.println("gap " + lastSeen + " " + resumesAt);
              }
            });
    in.receive(channel, (node, message) -> sink.accept(message));
    LockSupport.parkNanos(1_500_000_000);

    Sender publish = (i, m) -> spoken.publishAsync(m);
    Sender xadd = (i, m) -> written.get(0).addAsync(entry(m));
    Sender xaddMany = (i, m) -> written.get(i % PARTITIONS).addAsync(entry(m));
    Sender one = (i, m) -> out.publish(topic, "one", m);
    Sender many = (i, m) -> out.publish(topic, "key-" + i % 64, m);
    Sender direct = (i, m) -> out.send(receiver, channel, m);
    for (int rate : new int[] {1_000, 0}) {
      String name = rate > 0 ? "backplane.oneway.1000" : "backplane.max";
      Turns turns = new Turns();
      Map<String, Sender> senders = new LinkedHashMap<>();
      senders.put("raw PUBLISH", publish);
      senders.put("conexor direct", direct);
      senders.put("raw XADD XREAD, one stream", xadd);
      senders.put("conexor event, one partition", one);
      senders.put("raw XADD XREAD, many streams", xaddMany);
      senders.put("conexor event, many partitions", many);
      senders.forEach(
          (subject, by) -> turns.subject(at + "/" + subject, () -> turn(subject, rate, by)));
      int count = (int) Math.ceil(SECONDS * 1_000 / TURN_MILLIS);
      turns.run(report, name, rate > 0 ? 1 : WINDOW, WARM_UP_TURNS, count);
    }
    subscription.close();
    out.close();
    in.close();
    readers.forEach(Thread::interrupt);
    from.shutdown();
    to.shutdown();
  }

  private static RTopic topic(RedissonClient client, boolean sharded) {
    return sharded ? client.getShardedTopic("raw", CODEC) : client.getTopic("raw", CODEC);
  }

  private static StreamAddArgs<byte[], byte[]> entry(byte[] message) {
    return StreamAddArgs.entry(new byte[] {'b'}, message).trimNonStrict().maxLen(20_000).noLimit();
  }

  private static void readStream(RedissonClient client, String name) {
    RStream<byte[], byte[]> stream = client.getStream(name, CODEC);
    StreamMessageId last = StreamMessageId.NEWEST;
    while (!Thread.interrupted()) {
      try {
        Map<StreamMessageId, Map<byte[], byte[]>> entries =
            stream.read(
                StreamReadArgs.greaterThan(last)
                    .count(1_000)
                    .timeout(java.time.Duration.ofMillis(400)));
        for (Map.Entry<StreamMessageId, Map<byte[], byte[]>> each : entries.entrySet()) {
          each.getValue().values().forEach(m -> sink.accept(m));
          last = each.getKey();
        }
      } catch (RuntimeException e) {
        return;
      }
    }
  }

  /**
   * @param rate messages per second, or 0 for as many as go with {@link #WINDOW} unconfirmed
   */
  private static BenchReport.Figures turn(String subject, int rate, Sender sender)
      throws InterruptedException {
    BenchReport.Sample sample = new BenchReport.Sample(1_000_000);
    sink = message -> sample.add(System.nanoTime() - ByteBuffer.wrap(message).getLong());
    Semaphore window = new Semaphore(WINDOW);
    long start = System.nanoTime();
    long end = start + TURN_MILLIS * 1_000_000L;
    int sent = 0;
    while (System.nanoTime() < end) {
      if (rate > 0) {
        long due = start + sent * 1_000_000_000L / rate;
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(Math.max(1, due - System.nanoTime()));
        }
      }
      window.acquire();
      byte[] message = ByteBuffer.allocate(SIZE).putLong(System.nanoTime()).array();
      var unused = sender.send(sent++, message).whenComplete((ok, no) -> window.release());
    }
    long patience = System.nanoTime() + 3_000_000_000L;
    while (sample.count() < sent && System.nanoTime() < patience) {
      LockSupport.parkNanos(100_000);
    }
    if (sample.count() != sent) {
      System.out.println(subject + ": sent " + sent + ", arrived " + sample.count());
    }
    return sample.figures();
  }
}
