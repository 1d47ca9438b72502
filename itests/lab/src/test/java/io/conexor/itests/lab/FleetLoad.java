package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * What goes on at a fleet: people who click, clients that chat through the hub, programs that query
 * with a key. Every request is counted, and every failure kept.
 */
final class FleetLoad implements AutoCloseable {

  private static final Duration PAUSE = Duration.ofMillis(20);

  private final Crowd crowd;
  private final Tenant tenant;
  private final URI query;
  private final String key;
  private final long began = System.nanoTime();
  private final List<Clicks> people = new ArrayList<>();
  private final List<CompletableFuture<Clicks>> clicking = new ArrayList<>();
  private final List<Chatter> chatters = new ArrayList<>();
  private final List<Thread> programs = new ArrayList<>();
  private final AtomicInteger queries = new AtomicInteger();
  private final AtomicLong longestQuery = new AtomicLong();
  private final Queue<String> failedQueries = new ConcurrentLinkedQueue<>();
  // Written by the test, read by the programs.
  private volatile boolean stops;

  /** Who goes to a fleet. */
  record Crowd(int people, int chatters, int programs) {}

  /**
   * @param key for queries at the source {@code facts}
   */
  FleetLoad(Tenant tenant, String key, Crowd crowd) {
    this.crowd = crowd;
    this.tenant = tenant;
    this.query = URI.create(tenant.url() + "/api/v1/query");
    this.key = key;
  }

  /** Begins; all clients of the chat are connected before the first says something. */
  FleetLoad start() {
    for (int i = 0; i < crowd.chatters(); i++) {
      chatters.add(new Chatter("chatter-" + i, tenant, PAUSE));
    }
    LockSupport.parkNanos(1_000_000_000);
    chatters.forEach(Chatter::start);
    for (int i = 0; i < crowd.people(); i++) {
      Clicks clicks = new Clicks(Login.of(tenant), "person-" + i);
      people.add(clicks);
      clicking.add(
          CompletableFuture.supplyAsync(
              () -> clicks.runUntilStopped(PAUSE), task -> thread(task, "person")));
    }
    for (int i = 0; i < crowd.programs(); i++) {
      programs.add(thread(this::ask, "program"));
    }
    return this;
  }

  private static Thread thread(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private void ask() {
    while (!stops) {
      int number = queries.incrementAndGet();
      long start = System.nanoTime();
      try {
        HttpResponse<String> answer =
            Backend.send(
                HttpRequest.newBuilder(query)
                    .header("X-API-Key", key)
                    .header("Content-Type", "application/json")
                    .POST(
                        BodyPublishers.ofString(
                            Tenant.json(
                                Map.of("source", "facts", "sql", "select " + number + " as n")))));
        if (answer.statusCode() != 200
            || Tenant.parse(answer.body()).get("rows").get(0).get(0).asInt() != number) {
          failedQueries.add(number + ": " + answer.statusCode() + " " + answer.body());
        }
      } catch (RuntimeException e) {
        failedQueries.add(number + ": " + e);
      }
      longestQuery.accumulateAndGet((System.nanoTime() - start) / 1_000_000, Math::max);
      LockSupport.parkNanos(PAUSE.toNanos());
    }
  }

  /** Ends it, waits for what is under way, and fails unless everything was answered well. */
  void stopAndCheck() throws InterruptedException {
    for (Chatter each : chatters) {
      each.hush();
    }
    people.forEach(Clicks::stop);
    stops = true;
    for (Thread each : programs) {
      each.join(60_000);
    }
    List<Clicks> done = clicking.stream().map(CompletableFuture::join).toList();
    try {
      await().atMost(Duration.ofSeconds(30)).until(this::isAllHeard);
    } finally {
      org.slf4j.LoggerFactory.getLogger(FleetLoad.class).info("{}", this);
    }
    LockSupport.parkNanos(1_500_000_000); // what would come doubled comes now

    assertThat(done).allSatisfy(each -> assertThat(each.failures()).isEmpty());
    done.forEach(
        each ->
            assertThat(each.login().attributes().path(each.name()).asString())
                .isEqualTo(each.last()));
    assertThat(failedQueries).isEmpty();
    assertThat(chatters).allSatisfy(each -> assertThat(each.troubles()).isEmpty());
    assertThat(isAllHeard()).isTrue();
  }

  private boolean isAllHeard() {
    return chatters.stream().allMatch(Chatter::isAcknowledged)
        && chatters.stream()
            .allMatch(by -> chatters.stream().allMatch(of -> by.heard(of.name()) == of.said()));
  }

  /** Of any request, in milliseconds. */
  long longest() {
    return Math.max(
        longestQuery.get(), people.stream().mapToLong(Clicks::longestMillis).max().orElse(0));
  }

  @Override
  public void close() {
    stops = true;
    people.forEach(Clicks::stop);
    chatters.forEach(Chatter::close);
  }

  @Override
  public String toString() {
    long all =
        queries.get()
            + people.stream().mapToLong(p -> Long.parseLong(p.last())).sum()
            + chatters.stream().mapToLong(Chatter::said).sum();
    return "%d requests, %d/s: %s; %s; %d queries, longest %d ms, %d failed %s"
        .formatted(
            all,
            all * 1_000_000_000L / (System.nanoTime() - began),
            people,
            chatters,
            queries.get(),
            longestQuery.get(),
            failedQueries.size(),
            failedQueries.stream().limit(5).toList());
  }
}
