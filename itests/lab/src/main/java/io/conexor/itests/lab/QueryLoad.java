package io.conexor.itests.lab;

import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** Callers that ask one query after the other at a fixed rate, each with an id of its own. */
public final class QueryLoad implements AutoCloseable {

  private final String url;
  private final List<Tenant> tenants;
  private final String source;
  private final String name;
  private final List<Thread> threads = new ArrayList<>();
  private final Map<String, Long> answered = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
  private final AtomicInteger asked = new AtomicInteger();
  private final AtomicLong longest = new AtomicLong();
  private volatile boolean stop;

  /**
   * Not started yet.
   *
   * @param name begins the id of every request, {@code NAME-CALLER-NUMBER}
   * @param tenants the callers, each with a key of its own
   */
  public QueryLoad(String name, String url, List<Tenant> tenants, String source) {
    this.name = name;
    this.url = url;
    this.tenants = List.copyOf(tenants);
    this.source = source;
  }

  /** All callers together. */
  public QueryLoad start(int perSecond) {
    long interval = TimeUnit.SECONDS.toNanos(tenants.size()) / perSecond;
    for (int i = 0; i < tenants.size(); i++) {
      int caller = i;
      Thread thread = new Thread(() -> ask(caller, interval), "load-" + caller);
      threads.add(thread);
      thread.start();
    }
    return this;
  }

  private void ask(int caller, long interval) {
    long next = System.nanoTime();
    for (int i = 0; !stop; i++) {
      String id = name + "-" + caller + "-" + i;
      long began = System.nanoTime();
      asked.incrementAndGet();
      try {
        HttpResponse<String> answer = one(caller, id, i);
        if (answer.statusCode() == 200 && answer.body().contains("[" + i + "]")) {
          answered.put(id, System.nanoTime());
        } else {
          failures.add(id + ": " + answer.statusCode() + " " + answer.body());
        }
      } catch (UncheckedIOException e) {
        failures.add(id + ": " + e.getMessage());
      }
      longest.accumulateAndGet(System.nanoTime() - began, Math::max);
      next += interval;
      long wait = next - System.nanoTime();
      if (wait > 0) {
        LockSupport.parkNanos(wait);
      }
    }
  }

  private HttpResponse<String> one(int caller, String id, int number) {
    return Backend.send(
        HttpRequest.newBuilder(URI.create(url + "/api/v1/query"))
            .header("Content-Type", "application/json")
            .header("X-API-Key", tenants.get(caller).token())
            .header("X-Request-Id", id)
            .POST(
                BodyPublishers.ofString(
                    Tenant.json(Map.of("source", source, "sql", "SELECT " + number + " AS n")))));
  }

  /** Ends it and waits for the last answers. */
  public QueryLoad stop() {
    stop = true;
    for (Thread thread : threads) {
      try {
        thread.join(60_000);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    return this;
  }

  public int asked() {
    return asked.get();
  }

  /** When each request was answered with its row, by id; {@link System#nanoTime}. */
  public Map<String, Long> answered() {
    return Map.copyOf(answered);
  }

  public List<String> failures() {
    return List.copyOf(failures);
  }

  public long longestMillis() {
    return longest.get() / 1_000_000;
  }

  @Override
  public void close() {
    stop = true;
  }
}
