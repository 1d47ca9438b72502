package io.conexor.health;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.osgi.framework.dto.BundleDTO;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;
import org.osgi.service.component.runtime.dto.ReferenceDTO;
import org.osgi.service.component.runtime.dto.UnsatisfiedReferenceDTO;

class HealthRouteTest {

  private Node.State state = Node.State.SERVING;
  private long nanos;
  private int looks;
  private final List<ComponentDescriptionDTO> components = new ArrayList<>();
  private final Map<ComponentDescriptionDTO, ComponentConfigurationDTO> configurations =
      new java.util.IdentityHashMap<>();
  private final HealthRoute route = new HealthRoute(new ScriptedNode(), runtime(), () -> nanos);

  @BeforeEach
  void has_started() {
    get("/health");
    nanos += Components.STARTING_AGE_NANOS;
    get("/health");
    nanos += Components.MAX_AGE_NANOS;
    looks = 0;
  }

  @Test
  void a_stranger_gets_the_word_and_nothing_else() {
    route.addCheck(check("database", () -> Health.degraded("replica away", Map.of("a", "b"))));

    ScriptedExchange answer = get("/health");

    assertThat(answer.status).isEqualTo(200);
    assertThat(answer.text).isEqualTo("{\"status\":\"DEGRADED\"}");
    assertThat(answer.answered).doesNotContainKey("Retry-After");
  }

  @Test
  void one_unhealthy_check_sends_the_load_balancer_elsewhere_until_it_is_gone() {
    HealthCheck bad = check("audit", () -> Health.unhealthy("disk full", Map.of()));
    route.addCheck(check("database", () -> Health.healthy(Map.of())));
    route.addCheck(bad);

    ScriptedExchange answer = get("/health");
    route.removeCheck(bad);

    assertThat(answer.status).isEqualTo(503);
    assertThat(answer.answered).containsEntry("Retry-After", "1");
    assertThat(get("/health").status).isEqualTo(200);
  }

  @Test
  void a_draining_node_is_live_but_neither_healthy_nor_ready() {
    state = Node.State.DRAINING;

    assertThat(get("/health").status).isEqualTo(503);
    assertThat(get("/health").text).isEqualTo("{\"status\":\"DRAINING\"}");
    assertThat(get("/health").answered).containsEntry("Retry-After", "1");
    assertThat(get("/health/ready").status).isEqualTo(503);
    assertThat(get("/health/live").status).isEqualTo(200);
  }

  @Test
  void a_check_that_throws_is_unhealthy_with_a_reason_and_without_its_message() {
    route.addCheck(
        check(
            "backplane",
            () -> {
              throw new IllegalStateException("password=hunter2");
            }));
    route.bindAccess(access(CompletableFuture.completedFuture(admin())));

    ScriptedExchange answer = get("/health", "adm_1");

    assertThat(answer.status).isEqualTo(503);
    assertThat(answer.text)
        .contains("\"name\":\"backplane\"", "the check failed with IllegalStateException")
        .doesNotContain("hunter2");
  }

  @Test
  void an_administrators_token_gets_the_facts_sorted_by_name() {
    route.addCheck(check("redis", () -> Health.healthy(Map.of())));
    route.addCheck(check("database", () -> Health.degraded("no replica", Map.of("lag", "3 s"))));
    route.bindAccess(access(CompletableFuture.completedFuture(admin())));

    String text = get("/health", "adm_1").text;

    assertThat(text)
        .contains(
            "\"checks\":[{\"name\":\"database\",\"status\":\"DEGRADED\",\"reason\":\"no replica\","
                + "\"details\":{\"lag\":\"3 s\"}},{\"name\":\"redis\"");
  }

  @Test
  void numbers_are_for_an_administrators_token() {
    HealthCheck database = check("database", () -> Health.healthy(Map.of()));
    route.addCheck(
        new HealthCheck() {
          @Override
          public String name() {
            return database.name();
          }

          @Override
          public Health check() {
            return database.check();
          }

          @Override
          public Map<String, Double> gauges() {
            return Map.of("lag_seconds{server=\"db2:5432\"}", 0.25, "up", 1.0);
          }
        });

    assertThat(get("/health/metrics").status).isEqualTo(401);
    route.bindAccess(access(CompletableFuture.completedFuture(admin())));
    assertThat(get("/health/metrics", "adm_1").text)
        .isEqualTo(
            "conexor_database_lag_seconds{server=\"db2:5432\"} 0.25\nconexor_database_up 1.0\n");
  }

  @Test
  void whoever_is_refused_or_cannot_be_checked_gets_the_word() {
    Access broken = access(CompletableFuture.failedFuture(new IllegalStateException("away")));
    route.bindAccess(
        access(CompletableFuture.completedFuture(new Access.Authentication.Refused("no"))));
    String refused = get("/health", "adm_1").text;
    route.bindAccess(broken);
    String failed = get("/health", "adm_1").text;
    route.unbindAccess(broken);

    assertThat(List.of(refused, failed, get("/health", "adm_1").text))
        .containsOnly("{\"status\":\"HEALTHY\"}");
  }

  @Test
  void unbinding_the_old_access_keeps_the_new_one() {
    Access old = access(new CompletableFuture<>());
    route.bindAccess(old);
    route.bindAccess(access(CompletableFuture.completedFuture(admin())));
    route.unbindAccess(old);

    assertThat(get("/health", "adm_1").text).contains("\"checks\":[]");
  }

  @Test
  void an_unsatisfied_component_of_ours_is_named_with_what_it_waits_for() {
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.UNSATISFIED_REFERENCE);
    route.bindAccess(access(CompletableFuture.completedFuture(admin())));

    ScriptedExchange answer = get("/health/ready", "adm_1");

    assertThat(answer.status).isEqualTo(503);
    assertThat(answer.answered).containsEntry("Retry-After", "1");
    assertThat(answer.text).contains("io.conexor.rest.Thing", "waits for io.conexor.api.Database");
    assertThat(get("/health/ready").text).isEqualTo("{\"status\":\"NOT_READY\"}");
  }

  @Test
  void optional_endpoints_and_foreign_bundles_do_not_keep_it_from_being_ready() {
    component(
        "io.conexor.database", "require", ComponentConfigurationDTO.UNSATISFIED_CONFIGURATION);
    component("org.example", "optional", ComponentConfigurationDTO.UNSATISFIED_REFERENCE);
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.SATISFIED);

    assertThat(get("/health/ready").status).isEqualTo(200);
    assertThat(get("/health/ready").text).isEqualTo("{\"status\":\"READY\"}");
  }

  @Test
  void a_backend_that_starts_is_not_healthy_before_all_its_components_work() {
    HealthRoute starting = new HealthRoute(new ScriptedNode(), runtime(), () -> nanos);
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.UNSATISFIED_REFERENCE);
    List<String> words = new ArrayList<>();

    words.add(word(starting));
    components.clear(); // as if its bundle were not started yet
    words.add(word(starting));
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.UNSATISFIED_REFERENCE);
    words.add(word(starting));
    components.clear();
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.ACTIVE);
    words.add(word(starting));
    words.add(word(starting));
    components.clear();
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.UNSATISFIED_REFERENCE);
    words.add(word(starting));

    assertThat(words)
        .containsExactly(
            "503 STARTING",
            "503 STARTING",
            "503 STARTING",
            "503 STARTING",
            "200 HEALTHY",
            "200 HEALTHY");
  }

  private String word(HealthRoute asked) {
    nanos += Components.STARTING_AGE_NANOS;
    ScriptedExchange exchange = new ScriptedExchange("GET", "/health");
    asked.handle(exchange);
    return exchange.status + " " + exchange.text.replaceAll("[^A-Z]", "");
  }

  @Test
  void a_route_that_is_not_served_yet_keeps_it_from_being_ready() {
    component("io.conexor.rest", "optional", ComponentConfigurationDTO.SATISFIED);
    components.get(0).serviceInterfaces = new String[] {"io.conexor.api.http.HttpRoute"};

    assertThat(get("/health/ready").status).isEqualTo(503);
  }

  @Test
  void an_option_that_was_taken_and_fails_keeps_it_from_being_ready() {
    component("io.conexor.redis.sentinel", "require", ComponentConfigurationDTO.FAILED_ACTIVATION);

    assertThat(get("/health/ready").status).isEqualTo(503);
  }

  @Test
  void the_components_are_looked_at_only_so_often() {
    get("/health/ready");
    get("/health/ready");
    int before = looks;
    nanos += Components.MAX_AGE_NANOS;
    get("/health/ready");

    assertThat(before).isEqualTo(1);
    assertThat(looks).isEqualTo(2);
  }

  @Test
  void load_balancers_may_ask_with_head() {
    ScriptedExchange head = new ScriptedExchange("HEAD", "/health/live");

    route.handle(head);

    assertThat(head.status).isEqualTo(200);
  }

  @Test
  void other_methods_and_paths_are_problems() {
    ScriptedExchange post = new ScriptedExchange("POST", "/health");
    route.handle(post);
    ScriptedExchange unknown = get("/health/x");

    assertThat(post.status).isEqualTo(405);
    assertThat(post.answered).containsEntry("Allow", "GET, HEAD");
    assertThat(unknown.status).isEqualTo(404);
    assertThat(unknown.answered).containsEntry("Content-Type", "application/problem+json");
    assertThat(unknown.text).contains("\"code\":\"path_unknown\"");
  }

  private ScriptedExchange get(String path) {
    ScriptedExchange exchange = new ScriptedExchange("GET", path);
    route.handle(exchange);
    return exchange;
  }

  private ScriptedExchange get(String path, String key) {
    ScriptedExchange exchange = new ScriptedExchange("GET", path).key(key);
    route.handle(exchange);
    return exchange;
  }

  private static Access.Authentication admin() {
    return new Access.Authentication.Granted(
        new Principal.AdminToken(OrgId.random(), new KeyId(UUID.randomUUID()), "ci"));
  }

  private static HealthCheck check(String name, Supplier<Health> health) {
    return new HealthCheck() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public Health check() {
        return health.get();
      }
    };
  }

  private void component(String bundle, String policy, int state) {
    ComponentDescriptionDTO component = new ComponentDescriptionDTO();
    component.name = bundle + ".Thing";
    component.bundle = new BundleDTO();
    component.bundle.symbolicName = bundle;
    component.configurationPolicy = policy;
    component.configurationPid = new String[] {bundle};
    ReferenceDTO reference = new ReferenceDTO();
    reference.name = "database";
    reference.interfaceName = "io.conexor.api.Database";
    component.serviceInterfaces = new String[] {"io.conexor.api.Thing"};
    component.references = new ReferenceDTO[] {reference};
    UnsatisfiedReferenceDTO unsatisfied = new UnsatisfiedReferenceDTO();
    unsatisfied.name = "database";
    ComponentConfigurationDTO configuration = new ComponentConfigurationDTO();
    configuration.state = state;
    configuration.unsatisfiedReferences = new UnsatisfiedReferenceDTO[] {unsatisfied};
    components.add(component);
    configurations.put(component, configuration);
  }

  private ServiceComponentRuntime runtime() {
    return (ServiceComponentRuntime)
        Proxy.newProxyInstance(
            getClass().getClassLoader(),
            new Class<?>[] {ServiceComponentRuntime.class},
            (proxy, method, args) -> {
              switch (method.getName()) {
                case "getComponentDescriptionDTOs":
                  looks++;
                  return components;
                case "getComponentConfigurationDTOs":
                  return List.of(configurations.get(args[0]));
                default:
                  throw new UnsupportedOperationException(method.getName());
              }
            });
  }

  private static Access access(CompletionStage<Access.Authentication> answer) {
    return new Access() {
      @Override
      public CompletionStage<Authentication> authenticate(Credential credential) {
        return answer;
      }

      @Override
      public CompletionStage<SignIn> signIn(String email, Secret password, String remoteAddress) {
        throw new UnsupportedOperationException();
      }

      @Override
      public CompletionStage<Boolean> needsSetup() {
        throw new UnsupportedOperationException();
      }

      @Override
      public CompletionStage<Optional<OrgId>> setUp(
          Secret setupToken, String orgSlug, String orgName, String email, Secret password) {
        throw new UnsupportedOperationException();
      }
    };
  }

  private final class ScriptedNode implements Node {
    @Override
    public NodeId id() {
      return new NodeId("n-test");
    }

    @Override
    public String version() {
      return "0.1.0";
    }

    @Override
    public Instant startedAt() {
      return Instant.EPOCH;
    }

    @Override
    public State state() {
      return state;
    }

    @Override
    public Subscription onState(Consumer<State> listener) {
      return () -> {};
    }

    @Override
    public CompletionStage<Void> drain(Duration limit) {
      throw new UnsupportedOperationException();
    }
  }
}
