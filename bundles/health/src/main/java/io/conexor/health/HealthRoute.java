package io.conexor.health;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.access.Access;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.health.Health;
import io.conexor.api.health.Health.Status;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.node.Node;
import io.conexor.health.Components.Missing;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code GET /health}, {@code /health/live} and {@code /health/ready}: a word for everybody, the
 * facts for users and administrators' tokens. {@code /health/metrics}: numbers, for the latter
 * only.
 *
 * <p>The word needs neither database nor {@link Access}; a credential that cannot be checked, or
 * not soon enough, gets the word too and never an error.
 */
@Component(service = HttpRoute.class)
public final class HealthRoute implements HttpRoute {

  static final String PATH = "/health";
  private static final String METRICS = PATH + "/metrics";

  private static final Logger log = LoggerFactory.getLogger(HealthRoute.class);
  private static final long ACCESS_LIMIT_MS = 2_000;

  /** What one request is told. */
  private record Report(int status, String word, Map<String, @Nullable Object> facts) {}

  private record Result(String name, Health health) {}

  private static final class Bound {
    private final HealthCheck check;
    private final AtomicBoolean isFailing = new AtomicBoolean();

    Bound(HealthCheck check) {
      this.check = check;
    }
  }

  private final Node node;
  private final Components components;
  private final List<Bound> checks = new CopyOnWriteArrayList<>();

  /** Written by the component runtime; read by requests. */
  private volatile @Nullable Access access;

  @Activate
  public HealthRoute(@Reference Node node, @Reference ServiceComponentRuntime runtime) {
    this(node, runtime, System::nanoTime);
  }

  HealthRoute(Node node, ServiceComponentRuntime runtime, LongSupplier nanos) {
    this.node = node;
    this.components = new Components(runtime, nanos);
  }

  @Reference(
      name = "checks",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void addCheck(HealthCheck check) {
    checks.add(new Bound(check));
  }

  void removeCheck(HealthCheck check) {
    checks.removeIf(bound -> bound.check == check);
  }

  /** A swap binds the new one before it unbinds the old one. */
  @Reference(
      name = "access",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  synchronized void bindAccess(Access now) {
    access = now;
  }

  synchronized void unbindAccess(Access old) {
    if (access == old) {
      access = null;
    }
  }

  @Override
  public String path() {
    return PATH;
  }

  @Override
  public int maxBodyBytes() {
    return 1_024;
  }

  @Override
  public void handle(HttpExchange exchange) {
    exchange.withHeader("Cache-Control", "no-store");
    String path = exchange.path();
    boolean isKnown =
        path.equals(PATH)
            || path.equals(PATH + "/live")
            || path.equals(PATH + "/ready")
            || path.equals(METRICS);
    if (!isKnown) {
      problem(exchange, 404, "path_unknown", "There is no such thing", "nothing is at " + path);
    } else if (!exchange.method().equals("GET") && !exchange.method().equals("HEAD")) {
      exchange.withHeader("Allow", "GET, HEAD");
      problem(
          exchange,
          405,
          "method_invalid",
          "The method does not fit",
          "only GET and HEAD are served");
    } else if (path.endsWith("/live")) {
      respond(exchange, new Report(200, "LIVE", Map.of()), false);
    } else {
      authenticateAndRespond(exchange);
    }
  }

  private void authenticateAndRespond(HttpExchange exchange) {
    Access now = access;
    Optional<Credential> credential = now == null ? Optional.empty() : Credential.of(exchange);
    if (now == null || credential.isEmpty()) {
      answer(exchange, false);
      return;
    }
    try {
      CompletionStage<Authentication> asked =
          now.authenticate(credential.get())
              .toCompletableFuture()
              .copy()
              .orTimeout(ACCESS_LIMIT_MS, TimeUnit.MILLISECONDS);
      asked
          .handle((answer, failure) -> failure == null && maySeeFacts(answer))
          .thenAccept(isTrusted -> answer(exchange, isTrusted));
    } catch (RuntimeException e) {
      log.debug("access could not be asked", e);
      answer(exchange, false);
    }
  }

  private void answer(HttpExchange exchange, boolean isTrusted) {
    if (!exchange.path().equals(METRICS)) {
      respond(exchange, report(exchange), isTrusted);
    } else if (isTrusted) {
      exchange.respond(200, "text/plain; version=0.0.4; charset=utf-8", metrics().getBytes(UTF_8));
    } else {
      problem(
          exchange,
          401,
          "credential_needed",
          "Say who you are",
          "numbers are for users and administrators' tokens");
    }
  }

  /** As Prometheus reads it: {@code conexor_CHECK_NAME{labels} value}. */
  private String metrics() {
    Map<String, Double> all = new TreeMap<>();
    for (Bound bound : checks) {
      try {
        String prefix = "conexor_" + bound.check.name().replaceAll("[^a-z0-9]", "_") + "_";
        bound.check.gauges().forEach((name, value) -> all.put(prefix + name, value));
      } catch (RuntimeException | LinkageError e) {
        if (bound.isFailing.compareAndSet(false, true)) {
          log.warn("gauges of {} fail instead of answering", bound.check.getClass(), e);
        }
      }
    }
    StringBuilder text = new StringBuilder();
    all.forEach((name, value) -> text.append(name).append(' ').append(value).append('\n'));
    return text.toString();
  }

  private static boolean maySeeFacts(Authentication answer) {
    return answer instanceof Authentication.Granted granted
        && (granted.principal() instanceof Principal.User
            || granted.principal() instanceof Principal.AdminToken);
  }

  private Report report(HttpExchange exchange) {
    return exchange.path().equals(PATH) ? health() : readiness();
  }

  private Report health() {
    boolean isDraining = node.state() == Node.State.DRAINING;
    Status worst = Status.HEALTHY;
    List<Map<String, Object>> facts = new ArrayList<>();
    for (Bound bound : checks) {
      Result result = run(bound);
      Health health = result.health();
      if (health.status().compareTo(worst) > 0) {
        worst = health.status();
      }
      Map<String, Object> each = new LinkedHashMap<>();
      each.put("name", result.name());
      each.put("status", health.status().name());
      each.put("reason", health.reason());
      each.put("details", health.details());
      facts.add(each);
    }
    facts.sort((a, b) -> String.valueOf(a.get("name")).compareTo(String.valueOf(b.get("name"))));
    boolean isStarting = !components.haveStarted();
    return new Report(
        isDraining || isStarting || worst == Status.UNHEALTHY ? 503 : 200,
        isDraining ? "DRAINING" : isStarting ? "STARTING" : worst.name(),
        facts(Map.of("checks", facts)));
  }

  private static Result run(Bound bound) {
    String name = bound.check.getClass().getName();
    try {
      name = Objects.requireNonNull(bound.check.name(), "name");
      Health health = Objects.requireNonNull(bound.check.check(), "health");
      bound.isFailing.set(false);
      return new Result(name, health);
    } catch (RuntimeException | LinkageError e) {
      if (bound.isFailing.compareAndSet(false, true)) {
        log.warn("health check {} fails instead of answering", name, e);
      }
      // Not its message: that was not written for readers of this.
      String reason =
          "the check failed with " + e.getClass().getSimpleName() + "; the log says where";
      return new Result(name, Health.unhealthy(reason, Map.of()));
    }
  }

  private Report readiness() {
    boolean isDraining = node.state() == Node.State.DRAINING;
    List<Missing> missing = components.missing();
    boolean isReady = !isDraining && missing.isEmpty() && components.haveStarted();
    List<Map<String, Object>> waiting = new ArrayList<>();
    for (Missing each : missing) {
      waiting.add(Map.of("component", each.component(), "reason", each.why()));
    }
    return new Report(
        isReady ? 200 : 503,
        isReady ? "READY" : isDraining ? "DRAINING" : "NOT_READY",
        facts(Map.of("unsatisfied", waiting)));
  }

  private Map<String, @Nullable Object> facts(Map<String, Object> more) {
    Map<String, @Nullable Object> facts = new LinkedHashMap<>();
    facts.put("node", node.id().value());
    facts.put("version", node.version());
    facts.put("startedAt", node.startedAt().toString());
    facts.putAll(more);
    return facts;
  }

  private static void respond(HttpExchange exchange, Report report, boolean withFacts) {
    Map<String, @Nullable Object> body = new LinkedHashMap<>();
    body.put("status", report.word());
    if (withFacts) {
      body.putAll(report.facts());
    }
    if (report.status() == 503) {
      exchange.withHeader("Retry-After", "1");
    }
    exchange.respond(report.status(), "application/json", json(body));
  }

  private static void problem(
      HttpExchange exchange, int status, String code, String title, String detail) {
    Map<String, @Nullable Object> body = new LinkedHashMap<>();
    body.put("type", "urn:conexor:problem:" + code);
    body.put("title", title);
    body.put("status", status);
    body.put("detail", detail);
    body.put("code", code);
    body.put("applied", "NO");
    body.put("requestId", exchange.requestId());
    exchange.respond(status, "application/problem+json", json(body));
  }

  private static byte[] json(Map<String, @Nullable Object> body) {
    GrowingBytes out = new GrowingBytes(256, 1 << 20);
    JsonWriter.value(out, body);
    return out.toByteArray();
  }
}
