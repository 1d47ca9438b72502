package io.conexor.itests.lab;

import io.conexor.api.redis.RedisEndpoints.Mode;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.RegisterExtension;

@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class RelayClusterIT extends RelayContract {

  @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.CLUSTER);

  @Override
  RedisLab redis() {
    return redis.lab();
  }
}
