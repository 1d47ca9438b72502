package io.conexor.redis.client;

import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.redis.RedisEndpoints;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
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
    service = HealthCheck.class,
    configurationPid = RedisClients.PID,
    immediate = true) // an entry point: nobody calls it, it registers what it connects
@Designate(ocd = RedisClients.Config.class)
public final class RedisClients implements HealthCheck {

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
  }

  private final BundleContext context;
  private final ClientSettings settings;
  private final Map<RedisEndpoints, RedisConnection> connections = new ConcurrentHashMap<>();

  @Activate
  public RedisClients(BundleContext context, Config config) {
    this.context = context;
    this.settings = ClientSettings.checked(config);
  }

  @Reference(
      name = "endpoints",
      cardinality = ReferenceCardinality.MULTIPLE,
      policy = ReferencePolicy.DYNAMIC)
  void bindEndpoints(RedisEndpoints endpoints, Map<String, Object> properties) {
    Object ranking = properties.getOrDefault(Constants.SERVICE_RANKING, 0);
    connections.put(
        endpoints,
        new RedisConnection(endpoints, settings, client -> offer(endpoints, ranking, client)));
  }

  void unbindEndpoints(RedisEndpoints endpoints) {
    RedisConnection connection = connections.remove(endpoints);
    if (connection != null) {
      connection.close(DRAIN);
    }
  }

  @Deactivate
  public void close() {
    connections.values().forEach(connection -> connection.close(Duration.ZERO));
    connections.clear();
  }

  @Override
  public String name() {
    return "redis";
  }

  @Override
  public Health check() {
    Map<String, String> details = new LinkedHashMap<>();
    StringBuilder reasons = new StringBuilder();
    for (RedisConnection each : connections.values()) {
      Health health = each.health();
      details.putAll(health.details());
      if (!health.reason().isEmpty()) {
        reasons.append(reasons.length() == 0 ? "" : "; ").append(health.reason());
      }
    }
    if (connections.isEmpty()) {
      return Health.degraded(
          "no Redis is configured; set redis.sentinel.addresses, redis.cluster.addresses or"
              + " redis.standalone.addresses",
          Map.of());
    }
    return reasons.length() == 0
        ? Health.healthy(details)
        : Health.degraded(reasons.toString(), details);
  }

  private Runnable offer(RedisEndpoints endpoints, Object ranking, RedissonClient client) {
    Map<String, Object> properties = new HashMap<>();
    properties.put("redis.mode", endpoints.mode().name().toLowerCase(Locale.ROOT));
    properties.put(
        "redis.addresses",
        endpoints.addresses().stream().map(ClientSettings::plain).collect(Collectors.toList()));
    properties.put(Constants.SERVICE_RANKING, ranking);
    ServiceRegistration<RedissonClient> registration =
        context.registerService(
            RedissonClient.class, client, FrameworkUtil.asDictionary(properties));
    return registration::unregister;
  }
}
