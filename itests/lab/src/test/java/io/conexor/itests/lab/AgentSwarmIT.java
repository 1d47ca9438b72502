package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.agent.link.Swarm;
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
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** So many agents that the loss of a backend makes hundreds of them dial at once. */
@ExtendWith(LogsOfFailures.class)
class AgentSwarmIT {

  private static final Logger log = LoggerFactory.getLogger(AgentSwarmIT.class);

  private static final boolean IS_FULL = Boolean.getBoolean("conexor.full");
  private static final int AGENTS = IS_FULL ? 2_000 : 200;
  private static final int KEYS = AGENTS / 20;
  private static final Duration LIMIT = Duration.ofSeconds(10);
  private static final List<String> SOURCES =
      IntStream.range(0, 4).mapToObj(i -> "swarm-" + i).toList();

  @RegisterExtension static final AgentFleet fleet = new AgentFleet();

  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final AtomicLong answers = new AtomicLong();
  private final AtomicLong longest = new AtomicLong();
  private final Queue<String> failures = new ConcurrentLinkedQueue<>();
  // Written by the test, read by the people.
  private volatile boolean stops;

  @Test
  void all_agents_of_a_killed_backend_are_back_in_ten_seconds_and_no_query_fails()
      throws InterruptedException {
    List<String> keys = new ArrayList<>();
    for (int i = 0; i < KEYS; i++) {
      keys.add(fleet.tenant().agent("swarm-" + System.nanoTime()).key());
    }
    List<Thread> people = new ArrayList<>();
    try (Swarm swarm = new Swarm(fleet.tenant().url(), keys, SOURCES, AGENTS)) {
      long attached = await(swarm, Duration.ofMinutes(1));
      log.info("{} agents attached after {} ms", AGENTS, attached);
      for (Backend backend : fleet.backends()) {
        backend.awaitSources(fleet.tenant(), SOURCES.toArray(String[]::new));
      }
      for (int i = 0; i < 4; i++) {
        Thread person = new Thread(this::ask, "swarm-load-" + i);
        person.start();
        people.add(person);
      }
      AgentFleet.pass(Duration.ofSeconds(2));
      long before = answers.get();
      long usual = longest.getAndSet(0);

      fleet.backends().get(1).kill();
      AgentFleet.pass(Duration.ofMillis(300)); // all have noticed
      long gone = AGENTS - swarm.attached();
      long back = 300 + await(swarm, Duration.ofMinutes(1));
      AgentFleet.pass(Duration.ofSeconds(2));

      log.info(
          "{} of {} agents lost their backend and were back after {} ms; {} queries, longest {} ms"
              + " (before {} ms), {} failed {}",
          gone,
          AGENTS,
          back,
          answers.get() - before,
          longest.get() / 1_000_000,
          usual / 1_000_000,
          failures.size(),
          failures.stream().limit(3).toList());
      assertThat(gone).isPositive();
      assertThat(back).isLessThan(LIMIT.toMillis());
      assertThat(failures).isEmpty();
    } finally {
      stops = true;
      for (Thread person : people) {
        person.join();
      }
    }
  }

  private static long await(Swarm swarm, Duration limit) {
    long since = System.nanoTime();
    while (swarm.attached() < AGENTS) {
      if (System.nanoTime() - since > limit.toNanos()) {
        throw new AssertionError("only " + swarm.attached() + " agents are attached");
      }
      AgentFleet.pass(Duration.ofMillis(20));
    }
    return (System.nanoTime() - since) / 1_000_000;
  }

  private void ask() {
    while (!stops) {
      AgentFleet.pass(Duration.ofMillis(10));
      int number = ThreadLocalRandom.current().nextInt();
      String source = SOURCES.get(Math.floorMod(number, SOURCES.size()));
      long since = System.nanoTime();
      try {
        HttpResponse<String> answer =
            client.send(
                HttpRequest.newBuilder(URI.create(fleet.tenant().url() + "/api/v1/query"))
                    .timeout(Duration.ofSeconds(30))
                    .header("X-API-Key", fleet.tenant().token())
                    .header("Content-Type", "application/json")
                    .POST(
                        BodyPublishers.ofString(
                            Tenant.json(
                                Map.of(
                                    "source",
                                    source,
                                    "sql",
                                    "select ?",
                                    "parameters",
                                    List.of(number)))))
                    .build(),
                BodyHandlers.ofString(UTF_8));
        if (answer.statusCode() != 200
            || Tenant.parse(answer.body()).get("rows").get(0).get(0).asInt() != number) {
          failures.add(answer.statusCode() + " " + answer.body());
        }
      } catch (IOException | RuntimeException e) {
        failures.add(e.toString());
      } catch (InterruptedException e) {
        return;
      }
      answers.incrementAndGet();
      longest.accumulateAndGet(System.nanoTime() - since, Math::max);
    }
  }
}
