package io.conexor.redis.client;

import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import io.conexor.api.redis.RedisEndpoints;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.redisson.api.RedissonClient;

/**
 * Registers one connected {@link RedissonClient} per {@link RedisEndpoints}, with the same ranking
 * and the property {@code redis.mode}. A client is registered when it is connected, which
 * declarative services cannot express (docs/adr/0015): hence the bundle context.
 */
@Component(
    service = {HealthCheck.class, BiFunction.class},
    configurationPid = RedisClients.PID,
    // Moves the installation before anybody moves what is in it.
    property = "conexor.migrate:Integer=1",
    immediate = true) // an entry point: nobody calls it, it registers what it connects
@Designate(ocd = RedisClients.Config.class)
public final class RedisClients implements HealthCheck, BiFunction<Bundle, Bundle, String> {

  static final String PID = ClientSettings.PID;

  private static final Duration DRAIN = Duration.ofSeconds(2);

  @ObjectClassDefinition(
      name = "Redis client",
      description = "How commands to Redis are timed, repeated and pooled")
  @interface Config {
    @AttributeDefinition(
        name = "Timeout",
        description = "Milliseconds to wait for an answer to one try of a command. 50..60000",
        min = "50",
        max = "60000")
    long timeout_ms() default 600;

    @AttributeDefinition(
        name = "Connect timeout",
        description = "Milliseconds to wait for a connection. 50..60000",
        min = "50",
        max = "60000")
    long connect_timeout_ms() default 600;

    @AttributeDefinition(
        name = "Retries",
        description = "Further tries of a command that got no answer. 0..20",
        min = "0",
        max = "20")
    int retry_attempts() default 4;

    @AttributeDefinition(
        name = "Retry delay",
        description = "Milliseconds between tries. 10..10000",
        min = "10",
        max = "10000")
    long retry_delay_ms() default 150;

    @AttributeDefinition(
        name = "Topology scan",
        description = "Milliseconds between looks at who is primary. 100..60000",
        min = "100",
        max = "60000")
    long scan_interval_ms() default 1_000;

    @AttributeDefinition(
        name = "Connections",
        description = "Connections per primary at most. 2..1024",
        min = "2",
        max = "1024")
    int pool_size() default 32;

    @AttributeDefinition(
        name = "Threads",
        description = "Threads for network and listeners, each; 0 = twice the processors. 0..256",
        min = "0",
        max = "256")
    int threads() default 0;

    @AttributeDefinition(
        name = "Move timeout",
        description =
            "Milliseconds a move to another installation waits for the other backends."
                + " 1000..3600000",
        min = "1000",
        max = "3600000")
    long move_timeout_ms() default 600_000;
  }

  /** A connection and what it offers. */
  private record Used(RedisConnection connection, Installation installation) {}

  private final BundleContext context;
  private final ClientSettings settings;
  private final Duration moveTimeout;
  private final Roster roster;
  private final ServiceRegistration<?> ready;
  private final Map<RedisEndpoints, Used> used = new ConcurrentHashMap<>();

  @Activate
  public RedisClients(BundleContext context, @Reference(name = "node") Node node, Config config) {
    this.context = context;
    this.settings = ClientSettings.checked(config);
    this.moveTimeout =
        ClientSettings.millis("move.timeout.ms", config.move_timeout_ms(), 1_000, 3_600_000);
    this.roster = new Roster(node.id().value());
    // A class cannot be both kinds of function, so this one is not a component.
    Function<Bundle, String> readiness = this::awaited;
    this.ready =
        context.registerService(
            Function.class, readiness, FrameworkUtil.asDictionary(Map.of("conexor.ready", true)));
  }

  @Reference(
      name = "endpoints",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC)
  void bindEndpoints(
      RedisEndpoints endpoints,
      ServiceReference<RedisEndpoints> reference,
      Map<String, Object> properties) {
    Installation installation =
        new Installation(
            endpoints, reference.getBundle(), properties, isToBeMovedTo(reference.getBundle()));
    used.put(
        endpoints,
        new Used(
            new RedisConnection(
                endpoints,
                settings,
                client -> installation.offer(context, client),
                client -> beat(installation, client)),
            installation));
  }

  /** Whether it comes in by a swap that migrates, while this component was here before. */
  @SuppressWarnings("unchecked") // services are found by class, which has no type arguments
  private boolean isToBeMovedTo(Bundle owner) {
    try {
      for (ServiceReference<?> found :
          context.getServiceReferences(Predicate.class, "(conexor.joining=true)")) {
        Object comesIn = context.getService(found);
        boolean isMove =
            comesIn instanceof Predicate<?> predicate
                && ((Predicate<Bundle>) predicate).test(owner)
                && !((Predicate<Bundle>) predicate).test(context.getBundle());
        // Else the framework would remember the service, and with it the bundles it speaks of.
        context.ungetService(found);
        if (isMove) {
          return true;
        }
      }
      return false;
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  void unbindEndpoints(RedisEndpoints endpoints) {
    Used gone = used.remove(endpoints);
    if (gone != null) {
      gone.connection().close(DRAIN);
    }
  }

  /** Tells the other backends that this one lives; what is wrong with that, or empty. */
  private String beat(Installation installation, RedissonClient client) {
    if (installation.isJoining()) {
      return "";
    }
    Roster.Facts facts;
    try {
      facts = roster.beat(client, installation.stage());
    } catch (IllegalStateException e) {
      return ""; // the probe says better what is wrong with Redis
    }
    return facts.leftFor().isEmpty() || installation.stage() != Roster.Stage.HERE
        ? ""
        : "the other backends have moved to redis "
            + facts.leftFor()
            + "; let this one follow (runtime.features) and restart it, or delete the key "
            + Roster.LEFT_FOR
            + " if all came back";
  }

  /** {@code feature:swap --migrate}. */
  @Override
  public String apply(Bundle from, Bundle to) {
    Installation old = of(from);
    Installation next = of(to);
    if (old == null || next == null) {
      return "";
    }
    try {
      return new FleetMove(roster, old, next, moveTimeout).run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /** What keeps the installation of a bundle from being used, or empty. */
  private String awaited(Bundle added) {
    return used.values().stream()
        .filter(u -> u.installation().isOf(added) && u.installation().client() == null)
        .map(u -> "redis " + u.installation().name() + ": " + u.connection().health().reason())
        .collect(Collectors.joining("; "));
  }

  private @Nullable Installation of(Bundle bundle) {
    return used.values().stream()
        .map(Used::installation)
        .filter(i -> i.isOf(bundle))
        .findFirst()
        .orElse(null);
  }

  @Deactivate
  public void close() {
    ready.unregister();
    used.values().forEach(each -> each.connection().close(Duration.ZERO));
    used.clear();
  }

  @Override
  public String name() {
    return "redis";
  }

  @Override
  public Health check() {
    Map<String, String> details = new LinkedHashMap<>();
    StringBuilder reasons = new StringBuilder();
    for (Used each : used.values()) {
      Health health = each.connection().health();
      details.putAll(health.details());
      if (!health.reason().isEmpty()) {
        reasons.append(reasons.length() == 0 ? "" : "; ").append(health.reason());
      }
    }
    if (used.isEmpty()) {
      return Health.degraded(
          "no Redis is configured; set redis.sentinel.addresses, redis.cluster.addresses or"
              + " redis.standalone.addresses",
          Map.of());
    }
    return reasons.length() == 0
        ? Health.healthy(details)
        : Health.degraded(reasons.toString(), details);
  }
}
