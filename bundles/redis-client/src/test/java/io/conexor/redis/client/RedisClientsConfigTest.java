package io.conexor.redis.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RedisClientsConfigTest {

  @Test
  void defaults_are_those_of_the_settings() {
    assertThat(ClientSettings.checked(config(Map.of()))).isEqualTo(ClientSettings.defaults());
  }

  @Test
  void value_out_of_range_is_refused_by_name() {
    Map<String, Object> wrong =
        Map.ofEntries(
            Map.entry("timeout_ms", 1L),
            Map.entry("connect_timeout_ms", 1L),
            Map.entry("retry_attempts", 21),
            Map.entry("retry_delay_ms", 1L),
            Map.entry("scan_interval_ms", 1L),
            Map.entry("pool_size", 1),
            Map.entry("threads", -1));
    wrong.forEach(
        (name, value) ->
            assertThatThrownBy(() -> ClientSettings.checked(config(Map.of(name, value))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("io.conexor.redis.client: " + name.replace('_', '.')));
  }

  /** The annotation with its defaults, but for what is given. */
  private static RedisClients.Config config(Map<String, Object> given) {
    return (RedisClients.Config)
        Proxy.newProxyInstance(
            RedisClientsConfigTest.class.getClassLoader(),
            new Class<?>[] {RedisClients.Config.class},
            (proxy, method, arguments) ->
                given.getOrDefault(method.getName(), method.getDefaultValue()));
  }
}
