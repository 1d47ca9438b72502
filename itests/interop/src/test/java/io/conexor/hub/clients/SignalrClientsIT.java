package io.conexor.hub.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.hub.Audience;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The unmodified JavaScript client of SignalR, through a balancer that is not sticky. */
class SignalrClientsIT {
  private static final int MESSAGES = 1_000;

  @BeforeAll
  static void install() throws Exception {
    JavaScript.install();
  }

  private static Balancer balancer(HubFleet fleet) throws Exception {
    List<Integer> ports = new ArrayList<>();
    for (HubFleet.Backend backend : fleet.backends) {
      ports.add(backend.port());
    }
    return new Balancer(ports);
  }

  @Test
  void every_transport_and_protocol_works_wherever_requests_land() throws Exception {
    try (HubFleet fleet = new HubFleet(2, false, Map.of());
        Balancer balancer = balancer(fleet);
        JavaScript clients =
            JavaScript.run("clients.js", balancer.url("/hub/echo"), HubFleet.KEY)) {
      assertThat(clients.await(150)).as(clients.output()).isZero();

      assertThat(clients.lines())
          .filteredOn(line -> line.startsWith("ok "))
          .extracting(line -> line.split(" ")[1])
          .containsExactly("ws/json", "ws/msgpack", "sse/json", "lp/json", "lp/msgpack");
      List<String> seen = new ArrayList<>();
      for (HubFleet.Backend backend : fleet.backends) {
        assertThat(backend.echo.log).contains("opened");
        seen.addAll(backend.echo.log);
      }
      // Which backend runs a stream is the balancer's choice; each combination cancels one.
      assertThat(seen.stream().filter("cancelled"::equals)).hasSize(5);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"json", "msgpack"})
  void a_connection_survives_its_backend_with_every_message_once_and_in_order(String protocol)
      throws Exception {
    try (HubFleet fleet = new HubFleet(2, true, Map.of());
        Balancer balancer = balancer(fleet);
        JavaScript client =
            JavaScript.run(
                "resume.js",
                balancer.url("/hub/echo"),
                HubFleet.KEY,
                protocol,
                Integer.toString(MESSAGES))) {
      await()
          .atMost(Duration.ofSeconds(60))
          .until(
              () ->
                  client.lines().stream()
                      .anyMatch(line -> line.startsWith("connected") || line.startsWith("failed")));
      String[] connected = client.lines().get(0).split(" ");
      assertThat(connected).as(client.output()).hasSize(3);
      HubFleet.Backend owner = owner(fleet, connected[2], true);
      HubFleet.Backend other = owner(fleet, connected[2], false);

      // To one connection and to its group in turn, from the backend that stays.
      for (int i = 0; i < MESSAGES; i++) {
        Audience to =
            i / 100 % 2 == 0
                ? new Audience.Connection(connected[1])
                : new Audience.Group("numbers", java.util.Set.of());
        var sent = other.echo.clients().send(to, "told", List.of(i));
        if (i % 100 == 99) {
          int soFar = i + 1;
          sent.toCompletableFuture().join();
          await()
              .atMost(Duration.ofSeconds(60))
              .until(
                  () ->
                      client.lines().stream()
                          .anyMatch(l -> l.equals("got " + soFar) || l.startsWith("failed")));
        }
        if (i == MESSAGES / 2 + 50) {
          owner.kill();
        }
        LockSupport.parkNanos(500_000);
      }

      assertThat(client.await(60)).as(client.output()).isZero();
      assertThat(client.lines())
          .anyMatch(line -> line.equals("done on " + other.node.id()))
          .anyMatch(line -> line.startsWith("held the backend that ran this is gone"));
      String noted =
          client.lines().stream()
              .filter(line -> line.startsWith("noted"))
              .findFirst()
              .orElseThrow();
      List<String> notes = new ArrayList<>();
      owner.echo.log.stream().filter(line -> line.startsWith("noted")).forEach(notes::add);
      other.echo.log.stream().filter(line -> line.startsWith("noted")).forEach(notes::add);
      assertThat(notes)
          .containsExactlyElementsOf(
              IntStream.range(0, Integer.parseInt(noted.split(" ")[1]))
                  .mapToObj(n -> "noted " + n)
                  .toList());
    }
  }

  private static HubFleet.Backend owner(HubFleet fleet, String node, boolean isIt) {
    return fleet.backends.stream()
        .filter(backend -> backend.node.id().value().equals(node) == isIt)
        .findFirst()
        .orElseThrow();
  }
}
