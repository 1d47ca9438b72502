package io.conexor.redis.client;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.health.Health;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DiagnosisTest {

  private final Map<String, String> info =
      new HashMap<>(
          Map.of(
              "role", "master",
              "redis_version", "7.0.15",
              "used_memory", "1000",
              "maxmemory", "0",
              "aof_enabled", "1",
              "aof_last_write_status", "ok",
              "connected_slaves", "1",
              "master_repl_offset", "500",
              "slave0", "ip=10.0.0.2,port=6379,state=online,offset=400,lag=0"));

  @Test
  void sound_primary_with_a_replica_is_healthy_and_described() {
    Health health = judged("sentinel", "");

    assertThat(health.status()).isEqualTo(Health.Status.HEALTHY);
    assertThat(health.details().get("node.a:1"))
        .contains("primary", "7.0.15", "aof on ok", "replica 10.0.0.2:6379 online lag 100");
  }

  @Test
  void each_cause_is_named() {
    assertCause(Map.of("maxmemory", "1050", "maxmemory_policy", "noeviction"), "95 % of maxmemory");
    assertCause(Map.of("aof_enabled", "0"), "append-only file");
    assertCause(Map.of("aof_last_write_status", "err"), "cannot write its append-only file");
    assertCause(Map.of("evicted_keys", "6"), "evicts keys");
    assertCause(Map.of("connected_slaves", "0"), "has no replica");
    assertCause(
        Map.of("slave0", "ip=10.0.0.2,port=1,state=wait_bgsave,offset=0,lag=0"), "is wait_bgsave");
    assertCause(Map.of("master_repl_offset", "99999999"), "bytes behind");
    assertCause(
        Map.of("used_memory", "999999999", "mem_fragmentation_ratio", "3.50"), "fragmentation");
    assertCause(Map.of("role", "slave", "master_link_status", "down"), "has lost its primary");
  }

  @Test
  void refusal_comes_before_everything_else() {
    info.put("aof_enabled", "0");

    assertThat(judged("sentinel", "READONLY").reason())
        .startsWith("Redis refuses writes: READONLY; ");
  }

  @Test
  void silent_primary_is_named() {
    Health health =
        Diagnosis.of("cluster", List.of(new NodeFacts("a:1", true, Map.of())), "", Map.of());

    assertThat(health.status()).isEqualTo(Health.Status.DEGRADED);
    assertThat(health.reason())
        .isEqualTo("no Redis primary is reachable; Redis a:1 does not answer");
    assertThat(health.details()).containsEntry("node.a:1", "primary, unreachable");
  }

  @Test
  void one_server_needs_no_replica() {
    info.put("connected_slaves", "0");

    assertThat(judged("standalone", "").status()).isEqualTo(Health.Status.HEALTHY);
  }

  private void assertCause(Map<String, String> changed, String cause) {
    Map<String, String> before = new HashMap<>(info);
    info.putAll(changed);
    Health health = judged("sentinel", "");
    assertThat(health.status()).isEqualTo(Health.Status.DEGRADED);
    assertThat(health.reason()).contains(cause);
    info.clear();
    info.putAll(before);
  }

  private Health judged(String mode, String refused) {
    return Diagnosis.of(
        mode, List.of(new NodeFacts("a:1", true, Map.copyOf(info))), refused, Map.of("a:1", 5L));
  }
}
