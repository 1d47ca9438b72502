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

/** One-way latency and throughput of 200-byte messages, beside raw PUBLISH and XADD. */
public final class BackplaneBench {

  private static final int SECONDS = Integer.getInteger("bench.seconds", 5);
  private static final int SIZE = 200;
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
    RStream<byte[], byte[]> written = from.getStream("raw:stream", CODEC);
    Thread reader = new Thread(() -> readStream(to), "raw-reader");
    reader.setDaemon(true);
    reader.start();

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
    Sender xadd =
        (i, m) ->
            written.addAsync(
                StreamAddArgs.entry(new byte[] {'b'}, m).trimNonStrict().maxLen(20_000).noLimit());
    Sender one = (i, m) -> out.publish(topic, "one", m);
    Sender many = (i, m) -> out.publish(topic, "key-" + i % 64, m);
    Sender direct = (i, m) -> out.send(receiver, channel, m);
    for (boolean measured : new boolean[] {false, true}) {
      BenchReport paced = measured ? report : new BenchReport("warm-up");
      int seconds = measured ? SECONDS : 3;
      for (int rate : new int[] {1_000, 0}) {
        String name = rate > 0 ? "backplane.oneway.1000" : "backplane.max";
        measure(paced, name, at + "/raw PUBLISH", rate, seconds, publish);
        measure(paced, name, at + "/raw XADD XREAD", rate, seconds, xadd);
        measure(paced, name, at + "/conexor event, one partition", rate, seconds, one);
        measure(paced, name, at + "/conexor event, many partitions", rate, seconds, many);
        measure(paced, name, at + "/conexor direct", rate, seconds, direct);
      }
    }
    subscription.close();
    out.close();
    in.close();
    reader.interrupt();
    from.shutdown();
    to.shutdown();
  }

  private static RTopic topic(RedissonClient client, boolean sharded) {
    return sharded ? client.getShardedTopic("raw", CODEC) : client.getTopic("raw", CODEC);
  }

  private static void readStream(RedissonClient client) {
    RStream<byte[], byte[]> stream = client.getStream("raw:stream", CODEC);
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
  private static void measure(
      BenchReport report, String name, String subject, int rate, int seconds, Sender sender)
      throws InterruptedException {
    BenchReport.Sample sample = new BenchReport.Sample(8_000_000);
    sink = message -> sample.add(System.nanoTime() - ByteBuffer.wrap(message).getLong());
    Semaphore window = new Semaphore(WINDOW);
    long start = System.nanoTime();
    long end = start + seconds * 1_000_000_000L;
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
      LockSupport.parkNanos(1_000_000);
    }
    if (sample.count() != sent) {
      System.out.println(subject + ": sent " + sent + ", arrived " + sample.count());
    }
    report.row(name, subject, rate > 0 ? 1 : WINDOW, sample);
  }
}
