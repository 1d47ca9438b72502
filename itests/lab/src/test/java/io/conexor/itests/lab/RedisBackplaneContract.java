package io.conexor.itests.lab;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneContract;
import io.conexor.api.node.NodeId;
import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.backplane.redis.RedisBackplane;
import io.conexor.redis.client.ClientSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** The contract on real servers, between two backends with a client each. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RedisBackplaneContract extends BackplaneContract {

  private static final int RETAINED = 400;

  private final Map<NodeId, RedissonClient> clients = new ConcurrentHashMap<>();
  private final Map<NodeId, RedisBackplane> nodes = new ConcurrentHashMap<>();

  abstract RedisLab lab();

  @BeforeAll
  void connect() {
    for (NodeId id : new NodeId[] {A, B}) {
      clients.put(id, Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints())));
    }
  }

  @AfterEach
  void leave() {
    nodes.values().forEach(RedisBackplane::close);
    nodes.clear();
    emptyAll();
  }

  @AfterAll
  void disconnect() {
    clients.values().forEach(RedissonClient::shutdown);
  }

  @Override
  protected Backplane node(NodeId id) {
    return nodes.computeIfAbsent(
        id,
        key ->
            new RedisBackplane(
                key,
                clients.get(key),
                lab().mode() == Mode.CLUSTER,
                RedisBackplane.Settings.defaults().keeping(RETAINED, 8 << 20)));
  }

  @Override
  protected int retained() {
    return RETAINED;
  }

  @Override
  protected boolean loseEverything() {
    emptyAll();
    return true;
  }

  private void emptyAll() {
    for (RedisServer each : lab().primaries()) {
      try {
        each.ask("FLUSHALL");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
