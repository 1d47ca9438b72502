package io.conexor.itests.lab;

import io.conexor.api.node.NodeId;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.backplane.redis.RedisBackplane;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** What Redis knows of some backends: each has its own client, sessions and backplane. */
final class RedisFleet implements AutoCloseable {

  /** One backend. */
  record Backend(
      NodeId id, RedissonClient client, RedisSessionStore sessions, RedisBackplane backplane) {}

  private final List<Backend> backends = new ArrayList<>();

  RedisFleet(RedisLab lab, int count) {
    this(lab, count, true);
  }

  RedisFleet(RedisLab lab, int count, boolean replicasRequired) {
    for (int i = 0; i < count; i++) {
      NodeId id = new NodeId("backend-" + i + "-" + Long.toString(System.nanoTime(), 36));
      RedissonClient client =
          Redisson.create(ClientSettings.defaults().toRedisson(lab.endpoints()));
      boolean cluster = lab.mode() == Mode.CLUSTER;
      RedisSessionStore.Settings sessions = RedisSessionStore.Settings.defaults();
      // With one replica per primary a cluster has none to ask after a failover.
      RedisSessionStore.Settings durable =
          new RedisSessionStore.Settings(
              sessions.timeout(),
              sessions.prefix(),
              sessions.maxBytes(),
              1,
              Duration.ofMillis(200),
              replicasRequired && !cluster);
      backends.add(
          new Backend(
              id,
              client,
              new RedisSessionStore(client, true, durable),
              new RedisBackplane(id, client, cluster, patient())));
    }
  }

  /** Events wait longer than the longest outage of a test, so that each can be counted. */
  private static RedisBackplane.Settings patient() {
    RedisBackplane.Settings usual = RedisBackplane.Settings.defaults();
    return new RedisBackplane.Settings(
        usual.prefix(),
        usual.partitions(),
        usual.maxEvents(),
        usual.maxBytes(),
        Duration.ofSeconds(90),
        usual.directTimeout(),
        usual.bufferBytes(),
        usual.repairWindow(),
        usual.pollInterval());
  }

  List<Backend> backends() {
    return backends;
  }

  Backend backend(int i) {
    return backends.get(Math.floorMod(i, backends.size()));
  }

  @Override
  public void close() {
    backends.forEach(b -> b.backplane().close());
    backends.forEach(b -> b.client().shutdown());
  }
}
