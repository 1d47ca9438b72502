package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.database.LocalPostgres;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.itests.lab.Backend;
import io.conexor.itests.lab.Login;
import io.conexor.itests.lab.LogsOfFailures;
import io.conexor.itests.lab.RedisLab;
import io.conexor.itests.lab.Tenant;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whoever changes something on one backend finds it on the other, which reads from a replica that
 * stands still: with the header of the answer, or with the session cookie alone.
 */
@ExtendWith(LogsOfFailures.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class OwnWritesIT {

  private static final Logger log = LoggerFactory.getLogger(OwnWritesIT.class);
  private static final String HEADER = "Conexor-Position";
  private static final int ROUNDS = Boolean.getBoolean("conexor.full") ? 200 : 15;
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  private StreamingLab lab;
  private RedisLab redis;
  private final List<Backend> backends = new ArrayList<>();
  private Tenant tenant;
  private Login login;

  @BeforeAll
  void startAll() {
    lab = StreamingLab.start(1);
    redis = RedisLab.start(Mode.STANDALONE);
    CompletableFuture<Backend> first = CompletableFuture.supplyAsync(() -> backend("a"));
    backends.add(backend("b"));
    backends.add(first.join());
    tenant = backends.get(0).setUp("acme");
    login = Login.of(tenant);
  }

  private Backend backend(String name) {
    return Backend.on(LocalPostgres.at(lab.server(0).port()))
        .named(name)
        .features("server-core", "postgres", "redis-standalone")
        .set("redis.standalone.addresses", redis.endpoints().addresses().get(0).toString())
        .set(
            "database.endpoints.servers", lab.server(0).endpoint() + "," + lab.server(1).endpoint())
        .start();
  }

  @AfterAll
  void stopAll() throws Exception {
    for (AutoCloseable each : Arrays.<AutoCloseable>asList(redis, lab)) {
      if (each != null) {
        each.close();
      }
    }
    backends.forEach(Backend::close);
  }

  private HttpResponse<String> send(
      int backend, String method, String path, String body, Map<String, String> headers)
      throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(backends.get(backend).url() + "/api/v1" + path))
            .timeout(Duration.ofSeconds(20))
            .method(method, BodyPublishers.ofString(body));
    headers.forEach(request::header);
    return CLIENT.send(request.build(), BodyHandlers.ofString());
  }

  private interface Shown {
    /** The headers of the read, given the answer to the change. */
    Map<String, String> by(HttpResponse<String> changed);
  }

  private void changeHereAndReadThere(
      String what, Map<String, String> changer, String path, String body, Shown shown)
      throws Exception {
    int missing = 0;
    for (int i = 0; i < ROUNDS; i++) {
      lab.awaitStreaming(lab.server(0), 1);
      lab.server(1).pauseReplay();
      try {
        String name = "own-" + i;
        HttpResponse<String> changed = send(i % 2, "POST", path, body.formatted(name), changer);
        assertThat(changed.statusCode()).as(changed.body()).isEqualTo(201);
        HttpResponse<String> seen =
            send(1 - i % 2, "GET", path + "?limit=1000", "", shown.by(changed));
        assertThat(seen.statusCode()).as(seen.body()).isEqualTo(200);
        String id = Tenant.parse(changed.body()).get("id").asString();
        missing += seen.body().contains(id) ? 0 : 1;
      } finally {
        lab.server(1).resumeReplay();
      }
    }
    log.info("{}: {} changes, {} not seen", what, ROUNDS, missing);
    assertThat(missing).isZero();
  }

  private Map<String, String> key() {
    return Map.of("X-API-Key", tenant.token());
  }

  private Map<String, String> keyAnd(HttpResponse<String> changed) {
    return Map.of(
        "X-API-Key", tenant.token(), HEADER, changed.headers().firstValue(HEADER).orElseThrow());
  }

  private Map<String, String> cookie() {
    return Map.of("Cookie", login.cookie(), "X-CSRF-Token", login.csrf());
  }

  private static final String KEY = "{\"kind\":\"ADMIN\",\"name\":\"%s\"}";

  @Test
  void a_key_made_on_one_backend_is_listed_by_the_other_for_who_sends_the_header_back()
      throws Exception {
    changeHereAndReadThere("keys, header", key(), "/keys", KEY, this::keyAnd);
  }

  @Test
  void a_key_made_on_one_backend_is_listed_by_the_other_for_the_same_session() throws Exception {
    changeHereAndReadThere("keys, session", cookie(), "/keys", KEY, changed -> cookie());
  }

  @Test
  void an_agent_made_on_one_backend_is_in_the_catalog_of_the_other() throws Exception {
    changeHereAndReadThere("agents, header", key(), "/agents", "{\"name\":\"%s\"}", this::keyAnd);
  }

  @Test
  void a_replica_that_has_it_answers() throws Exception {
    HttpResponse<String> changed = send(0, "POST", "/keys", KEY.formatted("own"), key());
    lab.awaitStreaming(lab.server(0), 1);
    double before = readsOfReplica();
    await()
        .atMost(Duration.ofSeconds(20))
        .until(
            () ->
                send(1, "GET", "/keys", "", keyAnd(changed)).statusCode() == 200
                    && readsOfReplica() > before);
  }

  private double readsOfReplica() throws Exception {
    HttpResponse<String> all =
        CLIENT.send(
            HttpRequest.newBuilder(URI.create(backends.get(1).url() + "/health/metrics"))
                .header("X-API-Key", tenant.token())
                .build(),
            BodyHandlers.ofString());
    String label = "borrowed_total{server=\"" + lab.server(1).endpoint() + "\",pool=\"read\"} ";
    return all.body()
        .lines()
        .filter(line -> line.contains(label))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  @Test
  void a_position_that_nobody_gave_is_refused() throws Exception {
    HttpResponse<String> answer =
        send(0, "GET", "/keys", "", Map.of("X-API-Key", tenant.token(), HEADER, "7/FFFFFFFF"));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("position_invalid");
  }
}
