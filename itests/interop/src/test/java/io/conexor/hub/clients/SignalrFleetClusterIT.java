package io.conexor.hub.clients;

import io.conexor.api.redis.RedisEndpoints.Mode;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class SignalrFleetClusterIT extends SignalrFleetContract {
  SignalrFleetClusterIT() {
    super(Mode.CLUSTER);
  }
}
