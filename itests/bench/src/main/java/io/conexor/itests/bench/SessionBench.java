package io.conexor.itests.bench;

import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.api.session.Session;
import io.conexor.itests.lab.RedisLab;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.redisson.Redisson;
import org.redisson.api.BatchOptions;
import org.redisson.api.RBatch;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;

/** Sessions beside raw GET, HGETALL and HSET through the same client, in turns. */
public final class SessionBench {

  private static final double SECONDS =
      Double.parseDouble(System.getProperty("bench.seconds", "3"));
  private static final int TURN_MILLIS = 150;
  private static final int WARM_UP_TURNS = Integer.getInteger("bench.warmup", 2_000) / TURN_MILLIS;
  private static final int SESSIONS = 1_000;
  private static final Duration HOUR = Duration.ofHours(1);
  private static final Duration MINUTE = Duration.ofMinutes(1);

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
    String at = lab.mode().name().toLowerCase(Locale.ROOT) + "/";
    RedisSessionStore.Settings defaults = RedisSessionStore.Settings.defaults();
    RedisSessionStore waiting = new RedisSessionStore(client, true, defaults);
    RedisSessionStore plain = new RedisSessionStore(client, false, defaults);
    List<Session> made = new ArrayList<>();
    for (int i = 0; i < SESSIONS; i++) {
      made.add(plain.create("user-" + i, Map.of("role", "admin", "lang", "de"), HOUR));
      client.getBucket("raw:" + i, StringCodec.INSTANCE).set("x".repeat(60));
      // As many fields of the same lengths as a session has.
      client
          .<String, String>getMap("rawhash:" + i, StringCodec.INSTANCE)
          .putAll(
              Map.of(
                  "s",
                  "user-" + i,
                  "c",
                  "1700000000000",
                  "t",
                  "3600000",
                  "x",
                  "1700003600000",
                  "a:role",
                  "admin",
                  "a:lang",
                  "de"));
    }
    for (int concurrency : new int[] {1, 16}) {
      ExecutorService pool = Executors.newFixedThreadPool(concurrency);
      Turns read =
          new Turns()
              .subject(
                  at + "raw GET",
                  turn(
                      pool,
                      concurrency,
                      i -> client.getBucket("raw:" + i % SESSIONS, StringCodec.INSTANCE).get()))
              .subject(
                  at + "raw HGETALL",
                  turn(
                      pool,
                      concurrency,
                      i ->
                          client
                              .getMap("rawhash:" + i % SESSIONS, StringCodec.INSTANCE)
                              .readAllMap()))
              .subject(
                  at + "conexor find",
                  turn(
                      pool,
                      concurrency,
                      i -> plain.find(made.get(i % SESSIONS).id()).orElseThrow()));
      Turns update =
          new Turns()
              .subject(
                  at + "raw HSET",
                  turn(
                      pool,
                      concurrency,
                      i ->
                          client
                              .getMap("rawmap:" + i % SESSIONS, StringCodec.INSTANCE)
                              .fastPut("a", Integer.toString(i))))
              .subject(
                  at + "conexor update",
                  turn(
                      pool,
                      concurrency,
                      i ->
                          plain.update(
                              made.get(i % SESSIONS).id(),
                              Map.of("a", Integer.toString(i)),
                              List.of())))
              .subject(
                  at + "raw HSET, WAIT 1",
                  turn(
                      pool,
                      concurrency,
                      i -> {
                        RBatch batch =
                            client.createBatch(
                                BatchOptions.defaults()
                                    .sync(defaults.replicas(), defaults.replicaTime()));
                        var unused =
                            batch
                                .getMap("rawmap:" + i % SESSIONS, StringCodec.INSTANCE)
                                .fastPutAsync("a", Integer.toString(i));
                        return batch.execute();
                      }))
              .subject(
                  at + "conexor update, WAIT 1",
                  turn(
                      pool,
                      concurrency,
                      i ->
                          waiting.update(
                              made.get(i % SESSIONS).id(),
                              Map.of("a", Integer.toString(i)),
                              List.of())));
      Turns create =
          new Turns()
              .subject(
                  at + "conexor create",
                  turn(
                      pool,
                      concurrency,
                      i -> plain.create("new-" + i % SESSIONS, Map.of("role", "admin"), MINUTE)));
      int turns = (int) Math.ceil(SECONDS * 1_000 / TURN_MILLIS);
      read.run(report, "session.read", concurrency, WARM_UP_TURNS, turns);
      update.run(report, "session.update", concurrency, WARM_UP_TURNS, turns);
      create.run(report, "session.create", concurrency, WARM_UP_TURNS, turns);
      pool.shutdown();
    }
    client.shutdown();
  }

  /** As many callers as concurrency says, each with one operation after another. */
  private static Turns.Turn turn(ExecutorService pool, int concurrency, Operation operation) {
    return () -> {
      BenchReport.Sample sample = new BenchReport.Sample(100_000);
      long end = System.nanoTime() + TURN_MILLIS * 1_000_000L;
      List<Future<?>> callers = new ArrayList<>();
      for (int c = 0; c < concurrency; c++) {
        int me = c;
        callers.add(
            pool.submit(
                () -> {
                  for (int i = me; System.nanoTime() < end; i += concurrency) {
                    long start = System.nanoTime();
                    var unused = operation.run(i);
                    sample.add(System.nanoTime() - start);
                  }
                }));
      }
      for (Future<?> each : callers) {
        each.get();
      }
      return sample.figures();
    };
  }
}
