package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What came of asking the same query again and again, by some people who do not think in between.
 *
 * @param byAgent answers by the agent that gave them
 * @param nanos how long each answer took, the shortest first
 */
record Burst(Map<String, Integer> byAgent, long[] nanos, List<String> failures) {

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  /** One answer. */
  private record Answer(String agent, long nanos, String failure) {}

  static Burst of(Tenant tenant, String source, String sql, int people, Duration time) {
    long end = System.nanoTime() + time.toNanos();
    String body = Tenant.json(Map.of("source", source, "sql", sql, "timeoutMs", 10_000));
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(tenant.url() + "/api/v1/query"))
            .timeout(Duration.ofSeconds(20))
            .header("X-API-Key", tenant.token())
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
    List<List<Answer>> all = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < people; i++) {
      List<Answer> mine = new ArrayList<>();
      all.add(mine);
      Thread thread =
          new Thread(
              () -> {
                while (System.nanoTime() - end < 0) {
                  mine.add(ask(request));
                }
              },
              "burst-" + i);
      thread.start();
      threads.add(thread);
    }
    threads.forEach(Burst::join);
    return summary(all.stream().flatMap(List::stream).toList());
  }

  private static Answer ask(HttpRequest request) {
    long since = System.nanoTime();
    try {
      HttpResponse<String> answer = HTTP.send(request, BodyHandlers.ofString(UTF_8));
      long took = System.nanoTime() - since;
      return answer.statusCode() == 200
          ? new Answer(Tenant.parse(answer.body()).path("agent").asString("?"), took, "")
          : new Answer("", took, answer.statusCode() + " " + answer.body());
    } catch (IOException e) {
      return new Answer("", System.nanoTime() - since, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return new Answer("", System.nanoTime() - since, e.toString());
    }
  }

  private static Burst summary(List<Answer> answers) {
    Map<String, Integer> byAgent = new TreeMap<>();
    List<String> failures = new ArrayList<>();
    for (Answer answer : answers) {
      if (answer.failure().isEmpty()) {
        byAgent.merge(answer.agent(), 1, Integer::sum);
      } else {
        failures.add(answer.failure());
      }
    }
    long[] nanos =
        answers.stream()
            .filter(each -> each.failure().isEmpty())
            .mapToLong(Answer::nanos)
            .sorted()
            .toArray();
    return new Burst(byAgent, nanos, failures);
  }

  /** The part of all answers this agent gave. */
  double share(String agent) {
    return (double) byAgent.getOrDefault(agent, 0) / Math.max(1, nanos.length);
  }

  Duration quantile(double part) {
    return nanos.length == 0
        ? Duration.ZERO
        : Duration.ofNanos(nanos[Math.min(nanos.length - 1, (int) (nanos.length * part))]);
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public String toString() {
    return nanos.length
        + " answers "
        + byAgent
        + ", p50 "
        + quantile(0.5).toMillis()
        + " ms, p99 "
        + quantile(0.99).toMillis()
        + " ms, longest "
        + quantile(1).toMillis()
        + " ms, "
        + failures.size()
        + " failed "
        + failures.stream().limit(2).toList();
  }
}
