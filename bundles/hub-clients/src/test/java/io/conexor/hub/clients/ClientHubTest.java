package io.conexor.hub.clients;

import static io.conexor.hub.clients.HubFleet.AGENT_KEY;
import static io.conexor.hub.clients.HubFleet.KEY;
import static io.conexor.hub.clients.HubFleet.OTHER_KEY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.backplane.Position;
import io.conexor.api.hub.HubConnection;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Hubs over the product's own HTTP server, spoken to by scripted clients. */
class ClientHubTest {
  private HubFleet fleet;

  private String start(int size, boolean hasStore, Map<String, Object> settings) throws Exception {
    fleet = new HubFleet(size, hasStore, settings);
    return fleet.backend(0).url();
  }

  private String start() throws Exception {
    return start(1, false, Map.of());
  }

  @AfterEach
  void stop() throws Exception {
    fleet.close();
  }

  private EchoHub echo() {
    return fleet.backend(0).echo;
  }

  private static void awaitLog(EchoHub echo, String start) {
    await("in " + echo.log)
        .atMost(TestClient.SOON)
        .until(() -> echo.log.stream().anyMatch(line -> line.startsWith(start)));
  }

  @Test
  void negotiate_offers_three_transports_and_keeps_the_token_apart_from_the_id() throws Exception {
    TestClient.Answer answer = TestClient.negotiate(start(), KEY, false);

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.json())
        .containsEntry("negotiateVersion", 1L)
        .doesNotContainKey("useStatefulReconnect");
    assertThat(answer.json().get("connectionToken"))
        .isNotEqualTo(answer.json().get("connectionId"));
    assertThat(answer.json().get("availableTransports").toString())
        .isEqualTo(
            "[{transport=WebSockets, transferFormats=[Text, Binary]},"
                + " {transport=ServerSentEvents, transferFormats=[Text]},"
                + " {transport=LongPolling, transferFormats=[Text, Binary]}]");
  }

  @Test
  void negotiate_of_version_0_has_one_secret_id_and_a_higher_one_is_answered_with_1()
      throws Exception {
    String url = start();

    TestClient.Answer zero = TestClient.request("POST", url + "/negotiate", KEY, "");
    TestClient.Answer seven =
        TestClient.request("POST", url + "/negotiate?negotiateVersion=7", KEY, "");

    assertThat(zero.json())
        .containsEntry("negotiateVersion", 0L)
        .doesNotContainKey("connectionToken");
    assertThat(seven.json()).containsEntry("negotiateVersion", 1L);
    String id = (String) zero.json().get("connectionId");
    assertThat(TestClient.request("GET", url + "?id=" + id, KEY, "").status()).isEqualTo(200);
  }

  @Test
  void nobody_gets_in_without_a_right_to() throws Exception {
    String url = start();
    TestClient.Answer mine = TestClient.negotiate(url, KEY, false);
    String withId = url + "?id=" + TestClient.token(mine);

    assertThat(TestClient.negotiate(url, "", false).status()).isEqualTo(401);
    assertThat(TestClient.negotiate(url, "mcp_unknown", false).status()).isEqualTo(401);
    assertThat(TestClient.negotiate(url, AGENT_KEY, false).status()).isEqualTo(403);
    assertThat(TestClient.negotiate(url + "x", KEY, false).status()).isEqualTo(404);
    assertThat(TestClient.request("GET", withId, OTHER_KEY, "").status()).isEqualTo(403);
    assertThat(TestClient.refusal(withId, OTHER_KEY)).isEqualTo(403);
    assertThat(TestClient.refusal(url + "?id=nonsense", KEY)).isEqualTo(404);
    assertThat(TestClient.request("GET", url, KEY, "").status()).isEqualTo(400);
    assertThat(TestClient.request("POST", url + "?id=nonsense", KEY, "x").status()).isEqualTo(404);
    assertThat(TestClient.request("PUT", withId, KEY, "").status()).isEqualTo(405);
  }

  @Test
  void a_login_is_not_taken_from_a_foreign_origin() throws Exception {
    String url = start(1, false, Map.of("origins", new String[] {"https://friend.example"}));
    String cookie = "conexor_session=AAAAAAAAAAAAAAAAAAAAAAAA";
    String negotiate = url + "/negotiate?negotiateVersion=1";

    for (String origin : List.of("https://friend.example", url.substring(0, url.indexOf("/hub")))) {
      assertThat(
              TestClient.request("POST", negotiate, "", "", "Cookie", cookie, "Origin", origin)
                  .status())
          .isEqualTo(200);
    }
    assertThat(
            TestClient.request(
                    "POST", negotiate, "", "", "Cookie", cookie, "Origin", "https://evil.example")
                .status())
        .isEqualTo(403);
  }

  @Test
  void a_socket_may_be_opened_on_any_backend_after_a_negotiate_on_any_other() throws Exception {
    String url = start(2, false, Map.of());
    TestClient.Answer answer = TestClient.negotiate(url, KEY, false);

    TestClient client =
        TestClient.connect(fleet.backend(1).url() + "?id=" + TestClient.token(answer), KEY);

    client.invoke("1", "Me", "");
    assertThat(client.result("1")).isEqualTo(answer.json().get("connectionId"));
  }

  @Test
  void a_second_socket_of_a_connection_is_a_conflict() throws Exception {
    String url = start();
    String withId = url + "?id=" + TestClient.token(TestClient.negotiate(url, KEY, false));
    TestClient.connect(withId, KEY);

    assertThat(TestClient.refusal(withId, KEY)).isEqualTo(409);
  }

  @Test
  void a_second_socket_of_a_connection_is_refused_wherever_it_comes() throws Exception {
    String first = start(3, false, Map.of());
    String token = "?id=" + TestClient.token(TestClient.negotiate(first, KEY, false));
    TestClient client = TestClient.connect(fleet.backend(1).url() + token, KEY);

    assertThat(TestClient.refusal(fleet.backend(2).url() + token, KEY)).isEqualTo(409);
    assertThat(TestClient.refusal(fleet.backend(1).url() + token, KEY)).isEqualTo(409);
    assertThat(TestClient.refusal(fleet.backend(0).url() + token, KEY)).isEqualTo(404);
    client.invoke("1", "Echo", "1");
    assertThat(client.result("1")).isEqualTo(1L);
  }

  @Test
  void a_socket_elsewhere_frees_the_place_that_was_kept_for_it() throws Exception {
    String first = start(2, false, Map.of("principal_connections_max", 1));
    String token = "?id=" + TestClient.token(TestClient.negotiate(first, KEY, false));
    assertThat(TestClient.negotiate(first, KEY, false).status()).isEqualTo(429);

    TestClient.connect(fleet.backend(1).url() + token, KEY);

    assertThat(TestClient.negotiate(first, KEY, false).status()).isEqualTo(200);
  }

  @Test
  void posts_side_by_side_are_all_taken() throws Exception {
    start(2, false, Map.of());
    String token =
        "?id=" + TestClient.token(TestClient.negotiate(fleet.backend(0).url(), KEY, false));
    TestClient.request("GET", fleet.backend(0).url() + token, KEY, "");
    TestClient.request(
        "POST", fleet.backend(0).url() + token, KEY, "{\"protocol\":\"json\",\"version\":1}\u001e");
    List<CompletableFuture<HttpResponse<String>>> posts = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      String body = "{\"type\":1,\"target\":\"Note\",\"arguments\":[" + i + "]}\u001e";
      posts.add(
          TestClient.HTTP.sendAsync(
              TestClient.request(
                  "POST", fleet.backend(i % 2).url() + token, KEY, new String[0], body),
              HttpResponse.BodyHandlers.ofString()));
    }

    for (CompletableFuture<HttpResponse<String>> post : posts) {
      assertThat(post.get(15, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
    }
    assertThat(echo().log.stream().filter(line -> line.startsWith("noted"))).hasSize(40);
  }

  @Test
  void connections_of_a_backend_are_bounded() throws Exception {
    String url = start(1, false, Map.of("connections_max", 1));
    TestClient first = TestClient.connect(url, KEY);

    assertThat(TestClient.negotiate(url, OTHER_KEY, false).status()).isEqualTo(503);
    assertThat(TestClient.refusal(url, OTHER_KEY)).isEqualTo(503);
    first.invoke("1", "Echo", "1");
    assertThat(first.result("1")).isEqualTo(1L);
  }

  @Test
  void lost_events_end_the_connections_they_may_have_been_for_and_no_others() throws Exception {
    String url = start(1, false, Map.of());
    // Four partitions; that of everyone is none of those that are asked for below.
    List<TestClient> clients = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      clients.add(TestClient.connect(url, i % 2 == 0 ? KEY : OTHER_KEY));
    }
    await().atMost(TestClient.SOON).until(() -> echo().connections.size() == 12);
    Bus bus = fleet.backend(0).hub.bus();
    Set<String> concerned = new HashSet<>();
    int everyone = bus.backplane().partitionOf(Bus.TOPIC, "echo a ");
    int partition = (everyone + 1) % 4;
    for (HubConnection each : echo().connections.values()) {
      for (String key : List.of(each.id(), "echo u " + each.principal().subject())) {
        if (bus.backplane().partitionOf(Bus.TOPIC, key) == partition) {
          concerned.add(each.id());
        }
      }
    }

    bus.gap(Bus.TOPIC, null, new Position("e", partition, 7));

    await().atMost(TestClient.SOON).until(() -> echo().connections.size() == 12 - concerned.size());
    assertThat(echo().connections.keySet()).doesNotContainAnyElementsOf(concerned);
    bus.gap(Bus.TOPIC, null, new Position("e", everyone, 7));
    await().atMost(TestClient.SOON).until(() -> echo().connections.isEmpty());
    assertThat(clients.get(0).closed()).startsWith("1012 messages between backends were lost");
  }

  @Test
  void negotiate_can_be_skipped() throws Exception {
    TestClient client = TestClient.connect(start(), KEY);

    client.invoke("7", "Echo", "\"hello\"");

    assertThat(client.result("7")).isEqualTo("hello");
  }

  @Test
  void garbage_closes_its_connection_and_leaves_the_others() throws Exception {
    String url = start();
    TestClient good = TestClient.connect(url, KEY);
    for (String garbage :
        List.of(
            "{",
            "[]",
            "{\"type\":1}",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"x\"}")) {
      TestClient bad = TestClient.connect(url, KEY);
      bad.send(garbage);
      assertThat(bad.closed()).startsWith("1002 protocol error");
      assertThat(bad.until(m -> Long.valueOf(7).equals(m.get("type"))).get("error").toString())
          .startsWith("protocol error");
    }
    TestClient rude = TestClient.open(url, KEY, true);
    rude.send("{\"protocol\":\"xml\",\"version\":1}");
    assertThat(rude.until(m -> m.containsKey("error")).get("error").toString())
        .contains("neither json nor messagepack");
    assertThat(rude.closed()).startsWith("1002");

    good.invoke("1", "Echo", "1");
    assertThat(good.result("1")).isEqualTo(1L);
  }

  @Test
  void a_message_above_the_limit_is_refused_by_every_transport() throws Exception {
    String url = start(1, false, Map.of("message_max_bytes", 2_000));
    TestClient client = TestClient.connect(url, KEY);
    client.invoke("1", "Echo", "\"" + "x".repeat(2_000) + "\"");
    assertThat(client.closed()).startsWith("1009");

    String withId = url + "?id=" + TestClient.token(TestClient.negotiate(url, KEY, false));
    TestClient.request("GET", withId, KEY, "");
    assertThat(TestClient.request("POST", withId, KEY, "x".repeat(2_001)).status()).isEqualTo(413);
  }

  @Test
  void a_slow_consumer_is_closed_with_the_reason() throws Exception {
    String url = start(1, false, Map.of("outbound_max_bytes", 65_536L));
    TestClient slow = TestClient.open(url, KEY, false);
    slow.send("{\"protocol\":\"json\",\"version\":1}");
    awaitLog(echo(), "opened");
    HubConnection connection = echo().connections.values().iterator().next();

    await()
        .atMost(TestClient.SOON)
        .until(
            () -> {
              connection.send("told", List.of("x".repeat(60_000)));
              return echo().connections.isEmpty();
            });

    awaitLog(echo(), "closed: slow consumer: more than 65536 bytes wait");
  }

  @Test
  void a_mailbox_nobody_empties_is_closed_at_its_bound() throws Exception {
    String url = start(1, false, Map.of("outbound_max_bytes", 65_536L));
    String withId = url + "?id=" + TestClient.token(TestClient.negotiate(url, KEY, false));
    TestClient.request("GET", withId, KEY, "");
    TestClient.request("POST", withId, KEY, "{\"protocol\":\"json\",\"version\":1}\u001e");
    awaitLog(echo(), "opened");

    HubConnection connection = echo().connections.values().iterator().next();
    connection.send("told", List.of("x".repeat(60_000)));
    connection.send("told", List.of("x".repeat(60_000)));

    awaitLog(echo(), "closed: slow consumer");
  }

  @Test
  void a_silent_client_is_gone_after_its_time() throws Exception {
    String url = start(1, false, Map.of("client_timeout_ms", 1_000L, "ping_interval_ms", 300L));
    TestClient client = TestClient.connect(url, KEY);

    assertThat(client.closed()).startsWith("1001 silent for");
    assertThat(client.messages).anyMatch(m -> Long.valueOf(6).equals(m.get("type")));
    awaitLog(echo(), "closed: silent");
  }

  @Test
  void a_client_that_does_not_shake_hands_is_closed() throws Exception {
    String url = start(1, false, Map.of("handshake_timeout_ms", 500L));

    TestClient client = TestClient.open(url, KEY, true);

    assertThat(client.closed()).startsWith("1008 no handshake");
  }

  @Test
  void a_revoked_key_ends_its_connections() throws Exception {
    String url = start(1, false, Map.of("key_check_interval_ms", 500L));
    TestClient client = TestClient.connect(url, KEY);
    TestClient other = TestClient.connect(url, OTHER_KEY);

    fleet.access.revoke(KEY);

    assertThat(client.closed()).startsWith("1008 not welcome any more");
    other.invoke("1", "Echo", "1");
    assertThat(other.result("1")).isEqualTo(1L);
  }

  @Test
  void connections_per_principal_are_bounded_and_places_come_free() throws Exception {
    String url = start(1, false, Map.of("principal_connections_max", 2));
    TestClient first = TestClient.connect(url, KEY);
    TestClient.connect(url, KEY);

    assertThat(TestClient.negotiate(url, KEY, false).status()).isEqualTo(429);
    assertThat(TestClient.refusal(url, KEY)).isEqualTo(429);
    assertThat(TestClient.negotiate(url, OTHER_KEY, false).status()).isEqualTo(200);

    first.cut();
    await()
        .atMost(TestClient.SOON)
        .until(() -> TestClient.negotiate(url, KEY, false).status() == 200);
  }

  @Test
  void a_drained_backend_tells_its_clients_to_connect_anew() throws Exception {
    String url = start();
    TestClient client = TestClient.connect(url, KEY);

    var unused = fleet.backend(0).node.drain(Duration.ofSeconds(5));

    assertThat(client.until(m -> Long.valueOf(7).equals(m.get("type"))))
        .containsEntry("allowReconnect", true);
    assertThat(client.closed()).startsWith("1012");
    assertThat(TestClient.negotiate(url, KEY, false).status()).isEqualTo(503);
  }

  @Test
  void a_long_poll_whose_owner_died_is_told_so_in_seconds() throws Exception {
    String url = start(2, false, Map.of());
    String query = "?id=" + TestClient.token(TestClient.negotiate(url, KEY, false));
    String elsewhere = fleet.backend(1).url() + query;
    assertThat(TestClient.request("GET", elsewhere, KEY, "").status()).isEqualTo(200);
    assertThat(
            TestClient.request(
                    "POST", elsewhere, KEY, "{\"protocol\":\"json\",\"version\":1}\u001e")
                .status())
        .isEqualTo(200);
    assertThat(TestClient.request("GET", elsewhere, KEY, "").body()).isEqualTo("{}\u001e");
    CompletableFuture<HttpResponse<String>> poll =
        TestClient.HTTP.sendAsync(
            TestClient.request("GET", elsewhere, KEY, new String[0], ""),
            HttpResponse.BodyHandlers.ofString());

    fleet.backend(0).kill();

    assertThat(poll.get(15, TimeUnit.SECONDS).statusCode()).isEqualTo(404);
    assertThat(TestClient.request("POST", elsewhere, KEY, "x").status()).isEqualTo(404);
  }

  @Test
  void a_second_poll_ends_the_first_and_delete_ends_the_connection() throws Exception {
    String url = start(2, false, Map.of());
    String query = "?id=" + TestClient.token(TestClient.negotiate(url, KEY, false));
    TestClient.request("GET", url + query, KEY, "");
    TestClient.request("POST", url + query, KEY, "{\"protocol\":\"json\",\"version\":1}\u001e");
    TestClient.request("GET", fleet.backend(1).url() + query, KEY, "");
    CompletableFuture<HttpResponse<String>> first = poll(fleet.backend(1).url() + query);
    awaitOpenPoll();

    CompletableFuture<HttpResponse<String>> second = poll(url + query);
    assertThat(first.get(15, TimeUnit.SECONDS).statusCode()).isEqualTo(204);

    assertThat(TestClient.request("DELETE", fleet.backend(1).url() + query, KEY, "").status())
        .isEqualTo(202);
    assertThat(second.get(15, TimeUnit.SECONDS).statusCode()).isEqualTo(204);
    awaitLog(echo(), "closed: the client closed it");
  }

  private void awaitOpenPoll() {
    await().atMost(TestClient.SOON).until(() -> fleet.backend(0).hub.openPolls() > 0);
  }

  private static CompletableFuture<HttpResponse<String>> poll(String url) {
    return TestClient.HTTP.sendAsync(
        TestClient.request("GET", url, KEY, new String[0], ""),
        HttpResponse.BodyHandlers.ofString());
  }
}
