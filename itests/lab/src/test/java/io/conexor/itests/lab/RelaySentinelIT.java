package io.conexor.itests.lab;

import io.conexor.api.redis.RedisEndpoints.Mode;
import org.junit.jupiter.api.extension.RegisterExtension;

class RelaySentinelIT extends RelayContract {

  @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.SENTINEL);

  @Override
  RedisLab redis() {
    return redis.lab();
  }
}
