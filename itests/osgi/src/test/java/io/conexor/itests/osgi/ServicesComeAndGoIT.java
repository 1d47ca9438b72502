package io.conexor.itests.osgi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.database.LocalPostgres;
import io.conexor.itests.lab.Tenant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ref.WeakReference;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.osgi.framework.Bundle;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.BundleWiring;

/** Bundles stop, start, are refreshed and replaced in a backend that goes on. */
class ServicesComeAndGoIT {

  private static final HttpClient CLIENT =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
  private static final String SESSIONS = "io.conexor.session.memory";

  private static LocalPostgres postgres;
  private static Exam exam;
  private static Tenant tenant;

  @BeforeAll
  static void start_a_backend() throws Exception {
    postgres = LocalPostgres.start();
    exam =
        Exam.start(
            List.of("server-core", "memory", "postgres"),
            Map.of(
                "database.endpoints.servers", "127.0.0.1:" + postgres.port(),
                // Nobody guesses passwords here.
                "access.login.account.burst", "1000",
                "access.login.account.interval.ms", "100",
                "access.login.address.burst", "10000",
                "access.login.address.interval.ms", "10"));
    exam.awaitReady();
    await().until(() -> Files.exists(exam.data().resolve("setup-token")));
    String token = Files.readString(exam.data().resolve("setup-token")).trim();
    tenant = Tenant.setUp(exam.url(), token, "acme");
  }

  @AfterAll
  static void stop_the_backend() throws Exception {
    exam.close();
    postgres.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "io.conexor.session.memory",
        "io.conexor.backplane.memory",
        "io.conexor.audit",
        "io.conexor.catalog",
        "io.conexor.database",
        "io.conexor.access",
        "io.conexor.agent.registry",
        "io.conexor.hub",
        "io.conexor.dispatch",
        "io.conexor.mcp",
        "io.conexor.rest",
        "io.conexor.health",
        "io.conexor.http"
      })
  void a_bundle_goes_and_comes_back_and_leaves_nothing_behind(String name) throws Exception {
    Bundle bundle = exam.bundle(name);
    awaitService();
    Map<String, Long> services = services();
    Map<String, Long> threads = threads();

    bundle.stop();
    assertThat(exam.missing()).contains("bundle " + name + " is not active");
    assertThat(bundle.getRegisteredServices()).isNull();
    bundle.start();
    awaitService();
    WeakReference<ClassLoader> before =
        new WeakReference<>(bundle.adapt(BundleWiring.class).getClassLoader());
    exam.refresh(bundle);
    awaitService();

    await()
        .atMost(Duration.ofSeconds(20))
        .untilAsserted(
            () -> {
              assertThat(services()).isEqualTo(services);
              assertThat(threads())
                  .allSatisfy(
                      (role, count) ->
                          assertThat(count)
                              .as(role)
                              .isLessThanOrEqualTo(threads.getOrDefault(role, 1L)));
              System.gc();
              assertThat(before.get()).as("the class loader from before the refresh").isNull();
            });
  }

  @Test
  void a_session_store_and_a_backplane_are_replaced_under_traffic() throws Exception {
    awaitService();
    Bundle sessions = exam.bundle(SESSIONS);
    Bundle backplane = exam.bundle("io.conexor.backplane.memory");
    AtomicBoolean isOver = new AtomicBoolean();
    AtomicInteger answered = new AtomicInteger();
    Queue<String> failures = new ConcurrentLinkedQueue<>();
    Thread keys = traffic(isOver, answered, failures, ServicesComeAndGoIT::agents);
    Thread logins = traffic(isOver, answered, failures, ServicesComeAndGoIT::login);

    Bundle newSessions = exam.twin(sessions);
    Bundle newBackplane = exam.twin(backplane);
    sessions.stop();
    backplane.stop();
    int inBetween = answered.get();
    await().until(() -> answered.get() > inBetween + 20);
    sessions.start();
    backplane.start();
    newSessions.uninstall();
    newBackplane.uninstall();
    int afterwards = answered.get();
    await().until(() -> answered.get() > afterwards + 20);
    isOver.set(true);
    keys.join();
    logins.join();

    assertThat(failures).isEmpty();
    exam.awaitReady();
  }

  @Test
  void a_component_that_fails_is_named_with_its_reason_until_it_is_mended() throws Exception {
    awaitService();
    Map<String, Object> wrong = new HashMap<>(exam.configured(SESSIONS));
    wrong.put("max.sessions", 0);

    try {
      exam.configure(SESSIONS, wrong);

      await()
          .untilAsserted(
              () ->
                  assertThat(exam.missing())
                      .anyMatch(
                          m ->
                              m.contains("MemorySessionStore failed to activate")
                                  && m.contains("max.sessions = 0 is outside 1..10000000")));
      await().untilAsserted(() -> assertThat(get("/health/ready").statusCode()).isEqualTo(503));
    } finally {
      exam.configure(SESSIONS, exam.configured(SESSIONS));
    }
    awaitService();
  }

  @Test
  void a_changed_configuration_is_a_new_instance_and_the_same_node() throws Exception {
    awaitService();
    Object before = id(SESSIONS, "io.conexor.api.session.SessionStore");
    Object node = id("io.conexor.http", "io.conexor.api.node.Node");
    Map<String, Object> changed = new HashMap<>(exam.configured(SESSIONS));
    changed.put("max.sessions", 10);

    exam.configure(SESSIONS, changed);

    await()
        .untilAsserted(
            () ->
                assertThat(id(SESSIONS, "io.conexor.api.session.SessionStore"))
                    .isNotNull()
                    .isNotEqualTo(before));
    awaitService();
    assertThat(id("io.conexor.http", "io.conexor.api.node.Node")).isEqualTo(node);
    exam.configure(SESSIONS, exam.configured(SESSIONS));
    awaitService();
  }

  /** Everything is there, and requests that need all of it are answered. */
  private static void awaitService() {
    exam.awaitReady();
    await()
        .atMost(Duration.ofSeconds(30))
        .ignoreExceptions()
        .untilAsserted(
            () -> {
              assertThat(get("/health/ready").statusCode()).isEqualTo(200);
              assertThat(agents()).isEqualTo(200);
              assertThat(login()).isEqualTo(200);
            });
  }

  private static int agents() {
    return tenant.at(exam.url()).call("GET", "/agents", null).statusCode();
  }

  private static int login() {
    return tenant
        .at(exam.url())
        .call("POST", "/login", Map.of("email", Tenant.EMAIL, "password", Tenant.PASSWORD))
        .statusCode();
  }

  private static HttpResponse<String> get(String path) {
    try {
      return CLIENT.send(
          HttpRequest.newBuilder(URI.create(exam.url() + path)).build(),
          HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static Thread traffic(
      AtomicBoolean isOver, AtomicInteger answered, Queue<String> failures, IntSupplier call) {
    Thread thread =
        new Thread(
            () -> {
              while (!isOver.get()) {
                try {
                  int status = call.getAsInt();
                  answered.incrementAndGet();
                  if (status != 200) {
                    failures.add("status " + status);
                  }
                } catch (RuntimeException e) {
                  failures.add(e.toString());
                }
              }
            },
            "traffic");
    thread.start();
    return thread;
  }

  /** How many services of each kind each bundle of ours offers. */
  private static Map<String, Long> services() {
    Map<String, Long> services = new TreeMap<>();
    for (Bundle bundle : exam.context().getBundles()) {
      ServiceReference<?>[] offered = bundle.getRegisteredServices();
      if (bundle.getSymbolicName().startsWith("io.conexor.") && offered != null) {
        for (ServiceReference<?> service : offered) {
          String types = String.join(" ", (String[]) service.getProperty(Constants.OBJECTCLASS));
          services.merge(bundle.getSymbolicName() + ": " + types, 1L, Long::sum);
        }
      }
    }
    return services;
  }

  /** How many threads of each role there are; pools that grow by load are left out. */
  private static Map<String, Long> threads() {
    Map<String, Long> threads = new TreeMap<>();
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      String role = thread.getName().replaceAll("\\d+", "#");
      if (role.startsWith("conexor-") && !role.matches("conexor-(http|rest-worker|access-.*)-#")) {
        threads.merge(role, 1L, Long::sum);
      }
    }
    return threads;
  }

  private static Object id(String bundle, String type) {
    ServiceReference<?>[] offered = exam.bundle(bundle).getRegisteredServices();
    return offered == null
        ? null
        : Arrays.stream(offered)
            .filter(s -> List.of((String[]) s.getProperty(Constants.OBJECTCLASS)).contains(type))
            .map(s -> s.getProperty(Constants.SERVICE_ID))
            .findFirst()
            .orElse(null);
  }
}
