package io.conexor.hub.clients;

import io.conexor.api.redis.RedisEndpoints.Mode;

class SignalrFleetSentinelIT extends SignalrFleetContract {
  SignalrFleetSentinelIT() {
    super(Mode.SENTINEL);
  }
}
