package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.database.LocalPostgres;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** People who write numbers, each number in one request, and never repeat one. */
final class WriteLoad implements AutoCloseable {

  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final URI uri;
  private final String key;
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLong next = new AtomicLong();
  private final Set<Long> acknowledged = ConcurrentHashMap.newKeySet();
  private final AtomicInteger failed = new AtomicInteger();
  private final Map<String, AtomicInteger> answers = new ConcurrentHashMap<>();
  // Written by the test, read by the people.
  private volatile boolean stops;

  private WriteLoad(Tenant tenant) {
    this.uri = URI.create(tenant.url() + "/api/v1/query");
    this.key = tenant.token();
  }

  static WriteLoad start(Tenant tenant, int people) {
    WriteLoad load = new WriteLoad(tenant);
    for (int i = 0; i < people; i++) {
      Thread thread = new Thread(load::write, "write-load-" + i);
      thread.setDaemon(true);
      thread.start();
      load.threads.add(thread);
    }
    return load;
  }

  private void write() {
    while (!stops) {
      LockSupport.parkNanos(20_000_000); // time to think
      long number = next.incrementAndGet();
      String body =
          Tenant.json(
              Map.of(
                  "source",
                  "ledger",
                  "sql",
                  "insert into ledger (id) values (?) returning id",
                  "parameters",
                  List.of(number),
                  "timeoutMs",
                  10_000));
      String said;
      try {
        HttpResponse<String> answer =
            client.send(
                HttpRequest.newBuilder(uri)
                    .timeout(Duration.ofSeconds(20))
                    .header("X-API-Key", key)
                    .header("Content-Type", "application/json")
                    .header("Conexor-Write", "true")
                    .POST(BodyPublishers.ofString(body))
                    .build(),
                BodyHandlers.ofString(UTF_8));
        said = Integer.toString(answer.statusCode());
        if (answer.statusCode() == 200) {
          acknowledged.add(number);
        }
      } catch (IOException e) {
        said = e.getClass().getSimpleName();
      } catch (InterruptedException e) {
        return;
      }
      answers.computeIfAbsent(said, a -> new AtomicInteger()).incrementAndGet();
      if (!said.equals("200")) {
        failed.incrementAndGet();
      }
    }
  }

  int acknowledged() {
    return acknowledged.size();
  }

  /** Lets what is under way end. */
  void stop() {
    stops = true;
    try {
      for (Thread thread : threads) {
        thread.join(25_000);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Numbers that are there more than once, and acknowledged ones that are not there. */
  List<String> lostOrDoubled(LocalPostgres database) throws SQLException {
    Map<Long, Integer> counts = new HashMap<>();
    try (Connection connection = database.connect();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("select id, count(*) from ledger group by id")) {
      while (rows.next()) {
        counts.put(rows.getLong(1), rows.getInt(2));
      }
    }
    List<String> wrong = new ArrayList<>();
    counts.forEach(
        (number, count) -> {
          if (count > 1) {
            wrong.add(number + " is there " + count + " times");
          }
        });
    for (long number : acknowledged) {
      if (!counts.containsKey(number)) {
        wrong.add(number + " was acknowledged and is not there");
      }
    }
    return wrong;
  }

  @Override
  public void close() {
    stops = true;
    threads.forEach(Thread::interrupt);
  }

  @Override
  public String toString() {
    return acknowledged.size() + " acknowledged, " + failed + " failed, " + answers;
  }
}
