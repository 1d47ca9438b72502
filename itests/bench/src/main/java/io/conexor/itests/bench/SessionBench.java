package io.conexor.itests.bench;

import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.api.session.Session;
import io.conexor.itests.lab.RedisLab;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;

/** Sessions beside raw GET and HSET through the same client. */
public final class SessionBench {

  private static final int SECONDS = Integer.getInteger("bench.seconds", 5);
  private static final int SESSIONS = 1_000;

  private SessionBench() {}

  /** One operation on the i-th of some things. */
  private interface Operation {
    @Nullable Object run(int i);
  }

  public static void main(String[] args) throws Exception {
    BenchReport report = new BenchReport("session");
    for (Mode mode : List.of(Mode.SENTINEL, Mode.CLUSTER)) {
      try (RedisLab lab = RedisLab.start(mode)) {
        run(lab, report);
      }
    }
    report.write();
    System.exit(0);
  }

  private static void run(RedisLab lab, BenchReport report) throws Exception {
    RedissonClient client = Redisson.create(ClientSettings.defaults().toRedisson(lab.endpoints()));
    String at = lab.mode().name().toLowerCase(java.util.Locale.ROOT);
    var defaults = RedisSessionStore.Settings.defaults();
    var waiting = new RedisSessionStore(client, true, defaults);
    var plain = new RedisSessionStore(client, false, defaults);
    List<Session> made = new ArrayList<>();
    for (int i = 0; i < SESSIONS; i++) {
      made.add(plain.create("user-" + i, Map.of("role", "admin", "lang", "de"), HOUR));
      client.getBucket("raw:" + i, StringCodec.INSTANCE).set("x".repeat(60));
    }
    for (int concurrency : new int[] {1, 16}) {
      for (boolean measured : new boolean[] {false, true}) {
        BenchReport to = measured ? report : new BenchReport("warm-up");
        int seconds = measured ? SECONDS : 2;
        measure(
            to,
            "session.read",
            at + "/raw GET",
            concurrency,
            seconds,
            i -> client.getBucket("raw:" + i % SESSIONS, StringCodec.INSTANCE).get());
        measure(
            to,
            "session.read",
            at + "/conexor find",
            concurrency,
            seconds,
            i -> plain.find(made.get(i % SESSIONS).id()).orElseThrow());
        measure(
            to,
            "session.update",
            at + "/raw HSET",
            concurrency,
            seconds,
            i ->
                client
                    .getMap("rawmap:" + i % SESSIONS, StringCodec.INSTANCE)
                    .fastPut("a", Integer.toString(i)));
        measure(
            to,
            "session.update",
            at + "/conexor update",
            concurrency,
            seconds,
            i ->
                plain.update(
                    made.get(i % SESSIONS).id(), Map.of("a", Integer.toString(i)), List.of()));
        measure(
            to,
            "session.update",
            at + "/conexor update, 1 replica",
            concurrency,
            seconds,
            i ->
                waiting.update(
                    made.get(i % SESSIONS).id(), Map.of("a", Integer.toString(i)), List.of()));
        measure(
            to,
            "session.create",
            at + "/conexor create",
            concurrency,
            seconds,
            i -> plain.create("new-" + i % SESSIONS, Map.of("role", "admin"), MINUTE));
      }
    }
    client.shutdown();
  }

  private static final Duration HOUR = Duration.ofHours(1);
  private static final Duration MINUTE = Duration.ofMinutes(1);

  private static void measure(
      BenchReport report,
      String benchCase,
      String subject,
      int concurrency,
      int seconds,
      Operation operation)
      throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(concurrency);
    BenchReport.Sample sample = new BenchReport.Sample(4_000_000);
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    List<Future<?>> workers = new ArrayList<>();
    for (int w = 0; w < concurrency; w++) {
      int me = w;
      workers.add(
          pool.submit(
              () -> {
                for (int i = me; System.nanoTime() < end; i += concurrency) {
                  long start = System.nanoTime();
                  var unused = operation.run(i);
                  sample.add(System.nanoTime() - start);
                }
              }));
    }
    for (Future<?> each : workers) {
      each.get();
    }
    report.row(benchCase, subject, concurrency, sample);
    pool.shutdown();
  }
}
