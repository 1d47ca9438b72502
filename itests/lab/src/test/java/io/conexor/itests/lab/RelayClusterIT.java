package io.conexor.itests.lab;

import io.conexor.api.redis.RedisEndpoints.Mode;
import org.junit.jupiter.api.extension.RegisterExtension;

class RelayClusterIT extends RelayContract {

  @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.CLUSTER);

  @Override
  RedisLab redis() {
    return redis.lab();
  }
}
