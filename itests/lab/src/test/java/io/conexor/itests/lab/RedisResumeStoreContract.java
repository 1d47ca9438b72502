package io.conexor.itests.lab;

import io.conexor.api.hub.ResumeStore;
import io.conexor.api.hub.ResumeStoreContract;
import io.conexor.redis.client.ClientSettings;
import io.conexor.resume.redis.RedisResumeStore;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/** The contract on real servers. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RedisResumeStoreContract extends ResumeStoreContract {

  private RedissonClient client;
  private ResumeStore store;

  abstract RedisLab lab();

  @BeforeAll
  void connect() {
    client = Redisson.create(ClientSettings.defaults().toRedisson(lab().endpoints()));
    store = new RedisResumeStore(client);
  }

  @AfterAll
  void disconnect() {
    client.shutdown();
  }

  @Override
  protected ResumeStore store() {
    return store;
  }
}
