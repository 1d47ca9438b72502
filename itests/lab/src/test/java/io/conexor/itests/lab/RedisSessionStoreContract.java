package io.conexor.itests.lab;

import io.conexor.api.session.SessionStore;
import io.conexor.api.session.SessionStoreContract;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** The contract on real servers, seen by two backends. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RedisSessionStoreContract extends SessionStoreContract {

  private RedissonClient first;
  private RedissonClient second;
  private SessionStore near;
  private SessionStore far;

  abstract RedisLab lab();

  @BeforeAll
  void connect() {
    first = Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints()));
    second = Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints()));
    near = new RedisSessionStore(first, true, RedisSessionStore.Settings.defaults());
    far = new RedisSessionStore(second, true, RedisSessionStore.Settings.defaults());
  }

  @AfterAll
  void disconnect() {
    first.shutdown();
    second.shutdown();
  }

  @Override
  protected SessionStore store() {
    return near;
  }

  @Override
  protected SessionStore elsewhere() {
    return far;
  }
}
