package io.conexor.hub.clients;

import io.conexor.api.redis.RedisEndpoints.Mode;

class SignalrFleetClusterIT extends SignalrFleetContract {
  SignalrFleetClusterIT() {
    super(Mode.CLUSTER);
  }
}
