package io.conexor.redis.client;

import io.conexor.api.redis.RedisEndpoints;
import io.conexor.api.redis.RedisEndpoints.Login;
import io.conexor.api.redis.RedisEndpoints.Tls;
import java.net.MalformedURLException;
import java.net.URI;
import java.time.Duration;
import java.util.function.Consumer;
import org.redisson.client.codec.ByteArrayCodec;
import org.redisson.config.BaseConfig;
import org.redisson.config.BaseMasterSlaveServersConfig;
import org.redisson.config.ConstantDelay;
import org.redisson.config.EqualJitterDelay;
import org.redisson.config.Protocol;
import org.redisson.config.ReadMode;
import org.redisson.config.SentinelServersConfig;
import org.redisson.config.ShardedSubscriptionMode;
import org.redisson.config.SslVerificationMode;
import org.redisson.config.SubscriptionMode;

/**
 * How every client is tuned. With the defaults no command takes longer than {@code (attempts + 1) *
 * timeout + attempts * delay}, 3.6 s; Redisson's own defaults come to some 20 s.
 */
public record ClientSettings(
    Duration timeout,
    Duration connectTimeout,
    int retryAttempts,
    Duration retryDelay,
    Duration scanInterval,
    int poolSize,
    int threads) {

  static final String PID = "io.conexor.redis.client";

  private static final Duration LONGEST_RECONNECT = Duration.ofMillis(800);

  /** The defaults, for those who start without a configuration. */
  public static ClientSettings defaults() {
    return new ClientSettings(
        Duration.ofMillis(600),
        Duration.ofMillis(600),
        4,
        Duration.ofMillis(150),
        Duration.ofSeconds(1),
        32,
        0);
  }

  static ClientSettings checked(RedisClients.Config config) {
    return new ClientSettings(
        millis("timeout.ms", config.timeout_ms(), 50, 60_000),
        millis("connect.timeout.ms", config.connect_timeout_ms(), 50, 60_000),
        (int) within("retry.attempts", config.retry_attempts(), 0, 20),
        millis("retry.delay.ms", config.retry_delay_ms(), 10, 10_000),
        millis("scan.interval.ms", config.scan_interval_ms(), 100, 60_000),
        (int) within("pool.size", config.pool_size(), 2, 1_024),
        (int) within("threads", config.threads(), 0, 256));
  }

  /** What Redisson is to be started with. */
  public org.redisson.config.Config toRedisson(RedisEndpoints endpoints) {
    org.redisson.config.Config config = new org.redisson.config.Config();
    int cpus = Runtime.getRuntime().availableProcessors();
    config.setCodec(ByteArrayCodec.INSTANCE);
    config.setThreads(threads > 0 ? threads : Math.max(4, 2 * cpus));
    config.setNettyThreads(threads > 0 ? threads : Math.max(4, 2 * cpus));
    config.setKeepPubSubOrder(true);
    config.setUseScriptCache(true);
    config.setReferenceEnabled(false);
    config.setUseThreadClassLoader(false);
    config.setProtocol(Protocol.RESP2);
    config.setSlavesSyncTimeout(timeout.toMillis());
    config.setTcpNoDelay(true);
    config.setTcpKeepAlive(true);
    login(endpoints.login(), config::setUsername, config::setPassword);
    tls(endpoints.tls(), config);
    switch (endpoints.mode()) {
      case STANDALONE -> {
        var server = common(config.useSingleServer());
        server.setAddress(endpoints.addresses().get(0).toString());
        server.setDatabase(endpoints.database());
        server.setConnectionPoolSize(poolSize);
        server.setConnectionMinimumIdleSize(Math.min(4, poolSize));
        server.setSubscriptionConnectionPoolSize(16);
        server.setSubscriptionConnectionMinimumIdleSize(1);
      }
      case SENTINEL -> {
        SentinelServersConfig sentinel = primaryOnly(common(config.useSentinelServers()));
        sentinel.setMasterName(endpoints.master().orElse("mymaster"));
        endpoints.addresses().forEach(a -> sentinel.addSentinelAddress(a.toString()));
        sentinel.setDatabase(endpoints.database());
        sentinel.setCheckSentinelsList(false);
        sentinel.setScanInterval((int) scanInterval.toMillis());
        login(
            endpoints.sentinelLogin(),
            sentinel::setSentinelUsername,
            sentinel::setSentinelPassword);
      }
      case CLUSTER -> {
        var cluster = primaryOnly(common(config.useClusterServers()));
        endpoints.addresses().forEach(a -> cluster.addNodeAddress(a.toString()));
        cluster.setScanInterval((int) scanInterval.toMillis());
        cluster.setCheckSlotsCoverage(false);
        cluster.setShardedSubscriptionMode(ShardedSubscriptionMode.ON);
      }
    }
    return config;
  }

  private <T extends BaseMasterSlaveServersConfig<T>> T primaryOnly(T config) {
    // What was written must be seen by the next read, so replicas are never read.
    config.setReadMode(ReadMode.MASTER);
    config.setSubscriptionMode(SubscriptionMode.MASTER);
    config.setMasterConnectionPoolSize(poolSize);
    config.setMasterConnectionMinimumIdleSize(Math.min(4, poolSize));
    config.setSlaveConnectionMinimumIdleSize(1);
    config.setSubscriptionConnectionPoolSize(16);
    config.setSubscriptionConnectionMinimumIdleSize(1);
    return config;
  }

  private <T extends BaseConfig<T>> T common(T config) {
    config.setTimeout((int) timeout.toMillis());
    config.setConnectTimeout((int) connectTimeout.toMillis());
    config.setSubscriptionTimeout((int) timeout.toMillis() * 3);
    config.setSubscriptionsPerConnection(1_000);
    config.setRetryAttempts(retryAttempts);
    config.setRetryDelay(new ConstantDelay(retryDelay));
    config.setReconnectionDelay(new EqualJitterDelay(Duration.ofMillis(50), LONGEST_RECONNECT));
    // A frozen server is noticed by its unanswered ping, and its connections are dropped.
    config.setPingConnectionInterval((int) Math.max(300, timeout.toMillis()));
    config.setClientName("conexor");
    return config;
  }

  private static void tls(Tls tls, org.redisson.config.Config config) {
    config.setSslVerificationMode(
        tls.verifies() ? SslVerificationMode.STRICT : SslVerificationMode.NONE);
    tls.trustStore()
        .ifPresent(
            path -> {
              try {
                config.setSslTruststore(path.toUri().toURL());
              } catch (MalformedURLException e) {
                throw new IllegalArgumentException("trust store " + path + " is not a file", e);
              }
            });
    tls.trustStorePassword().ifPresent(p -> config.setSslTruststorePassword(p.reveal()));
  }

  private static void login(Login login, Consumer<String> user, Consumer<String> password) {
    login.user().ifPresent(user);
    login.password().ifPresent(p -> password.accept(p.reveal()));
  }

  static String plain(URI address) {
    return address.getHost() + ":" + address.getPort();
  }

  static Duration millis(String key, long value, long min, long max) {
    return Duration.ofMillis(within(key, value, min, max));
  }

  private static long within(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + ": " + key + " = " + value + " is outside " + min + ".." + max);
    }
    return value;
  }
}
