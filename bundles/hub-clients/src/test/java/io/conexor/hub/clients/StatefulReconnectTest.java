package io.conexor.hub.clients;

import static io.conexor.hub.clients.HubFleet.KEY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.hub.Audience;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubConnection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Connections that are resumed, here or on another backend. */
class StatefulReconnectTest {
  private HubFleet fleet;
  private String token;

  private TestClient connect(int size, boolean hasStore, Map<String, Object> settings)
      throws Exception {
    fleet = new HubFleet(size, hasStore, settings);
    TestClient.Answer answer = TestClient.negotiate(fleet.backend(0).url(), KEY, true);
    assertThat(answer.json()).containsEntry("useStatefulReconnect", true);
    token = "?id=" + TestClient.token(answer);
    TestClient client = TestClient.open(fleet.backend(0).url() + token, KEY, true);
    client.send("{\"protocol\":\"json\",\"version\":2}");
    client.until(Map::isEmpty);
    return client;
  }

  private TestClient resume(int backend, long nextSent) throws Exception {
    TestClient client = TestClient.open(fleet.backend(backend).url() + token, KEY, true);
    client.send("{\"type\":9,\"sequenceId\":" + nextSent + "}");
    return client;
  }

  private HubConnection connection(int backend) {
    EchoHub echo = fleet.backend(backend).echo;
    await().atMost(TestClient.SOON).until(() -> !echo.connections.isEmpty());
    return echo.connections.values().iterator().next();
  }

  private static List<Object> told(TestClient client) {
    return client.messages.stream()
        .filter(m -> "told".equals(m.get("target")))
        .map(m -> ((List<?>) m.get("arguments")).get(0))
        .map(Object.class::cast)
        .toList();
  }

  @AfterEach
  void stop() throws Exception {
    fleet.close();
  }

  @Test
  void a_broken_socket_is_replaced_and_what_was_not_acknowledged_comes_again() throws Exception {
    TestClient before = connect(1, false, Map.of());
    connection(0).send("told", List.of(1));
    connection(0).send("told", List.of(2));
    await().atMost(TestClient.SOON).until(() -> told(before).size() == 2);
    before.send("{\"type\":8,\"sequenceId\":1}");
    before.cut();
    connection(0).send("told", List.of(3));

    TestClient after = resume(0, 1);

    await().atMost(TestClient.SOON).until(() -> told(after).size() == 2);
    assertThat(after.messages.get(0)).containsEntry("type", 9L).containsEntry("sequenceId", 2L);
    assertThat(told(after)).containsExactly(2L, 3L);
    assertThat(fleet.backend(0).echo.log).containsExactly("opened");
  }

  @Test
  void what_the_client_repeats_is_done_once() throws Exception {
    TestClient before = connect(1, false, Map.of());
    before.invoke("1", "Note", "1");
    before.invoke("2", "Echo", "2");
    before.result("2");
    before.cut();

    TestClient after = resume(0, 1);
    after.invoke("1", "Note", "1");
    after.invoke("2", "Echo", "2");
    after.invoke("3", "Echo", "3");

    assertThat(after.result("3")).isEqualTo(3L);
    assertThat(fleet.backend(0).echo.log).containsExactly("opened", "noted 1");
    after.until(
        m -> Long.valueOf(8).equals(m.get("type")) && Long.valueOf(3).equals(m.get("sequenceId")));
  }

  @Test
  void a_sequence_ahead_of_what_was_received_ends_the_connection() throws Exception {
    TestClient before = connect(1, false, Map.of());
    before.cut();

    TestClient after = resume(0, 5);

    assertThat(after.closed()).startsWith("1002");
  }

  @Test
  void a_connection_nobody_resumes_ends_after_the_window() throws Exception {
    TestClient before = connect(1, true, Map.of("resume_window_ms", 1_000L));
    before.cut();

    EchoHub echo = fleet.backend(0).echo;
    await()
        .atMost(TestClient.SOON)
        .until(() -> echo.log.stream().anyMatch(l -> l.startsWith("closed: it was not resumed")));
    assertThat(TestClient.refusal(fleet.backend(0).url() + token, KEY)).isEqualTo(404);
  }

  @Test
  void another_backend_goes_on_where_a_dead_one_stopped() throws Exception {
    TestClient before = connect(2, true, Map.of());
    before.invoke("1", "Join", "\"group\"");
    before.result("1");
    before.invoke("2", "Hold", "\"x\"");
    before.invoke("3", "Echo", "3");
    before.result("3");
    connection(0).send("told", List.of(1));
    await().atMost(TestClient.SOON).until(() -> told(before).size() == 1);

    fleet.backend(0).kill();
    var unused =
        fleet
            .backend(1)
            .echo
            .clients()
            .send(new Audience.Group("group", java.util.Set.of()), "told", List.of(2));
    TestClient after = resume(1, 4);

    await().atMost(TestClient.SOON).until(() -> told(after).size() == 2);
    assertThat(told(after)).containsExactly(1L, 2L);
    assertThat(
            after
                .until(m -> "2".equals(m.get("invocationId")) && m.containsKey("error"))
                .get("error"))
        .asString()
        .startsWith("the backend that ran this is gone");
    after.invoke("4", "Groups", "");
    assertThat(after.result("4")).isEqualTo(List.of("group"));
  }

  @Test
  void a_call_goes_on_where_it_runs_while_its_connection_moves() throws Exception {
    TestClient before = connect(2, true, Map.of());
    before.invoke("1", "Hold", "\"x\"");
    before.invoke("2", "Hold", "\"y\"");
    EchoHub first = fleet.backend(0).echo;
    await().atMost(TestClient.SOON).until(() -> first.held.size() == 2);
    before.cut();

    TestClient after = resume(1, 3);
    after.send("{\"type\":5,\"invocationId\":\"2\"}");

    await().atMost(TestClient.SOON).until(() -> first.log.contains("let go of y"));
    HubCall call = first.held.get("x");
    call.complete("from afar");
    assertThat(after.result("1")).isEqualTo("from afar");
    assertThat(first.log).anyMatch(line -> line.startsWith("closed: goes on at another backend"));
    assertThat(fleet.backend(1).echo.log).contains("opened");
  }

  @Test
  void a_draining_backend_lets_its_connections_go_and_they_lose_nothing() throws Exception {
    TestClient before = connect(2, true, Map.of());
    HubConnection connection = connection(0);

    var unused = fleet.backend(0).node.drain(Duration.ofSeconds(5));
    assertThat(before.closed()).startsWith("1012");
    fleet
        .backend(1)
        .echo
        .clients()
        .send(new Audience.Connection(connection.id()), "told", List.of(1))
        .toCompletableFuture()
        .join();
    TestClient after = resume(1, 1);

    await().atMost(TestClient.SOON).until(() -> told(after).equals(List.of(1L)));
  }

  @Test
  void while_the_store_is_silent_messages_wait_and_arrive_afterwards() throws Exception {
    TestClient client = connect(1, true, Map.of());
    client.invoke("1", "Echo", "1");
    client.result("1");
    fleet.store.down(true);
    connection(0).send("told", List.of(1));
    client.invoke("2", "Note", "2");
    await()
        .pollDelay(Duration.ofMillis(500))
        .atMost(TestClient.SOON)
        .until(() -> told(client).isEmpty());
    assertThat(fleet.backend(0).echo.log).doesNotContain("noted 2");

    fleet.store.down(false);

    await().atMost(TestClient.SOON).until(() -> told(client).size() == 1);
    await().atMost(TestClient.SOON).until(() -> fleet.backend(0).echo.log.contains("noted 2"));
  }

  @Test
  void when_the_store_stays_silent_clients_begin_anew_without_it() throws Exception {
    TestClient client = connect(1, true, Map.of("resume_patience_ms", 500L));
    client.invoke("1", "Echo", "1");
    client.result("1");
    fleet.store.down(true);
    connection(0).send("told", List.of(1));

    assertThat(client.closed()).startsWith("1012");
    assertThat(TestClient.negotiate(fleet.backend(0).url(), KEY, true).json())
        .doesNotContainKey("useStatefulReconnect");
  }

  @Test
  void a_client_that_acknowledges_nothing_is_closed_at_the_bound() throws Exception {
    TestClient client = connect(1, false, Map.of("outbound_max_bytes", 65_536L));
    HubConnection connection = connection(0);
    for (int i = 0; i < 10; i++) {
      connection.send("told", List.of("x".repeat(8_000)));
    }

    assertThat(client.closed()).startsWith("1008 slow consumer");
  }
}
