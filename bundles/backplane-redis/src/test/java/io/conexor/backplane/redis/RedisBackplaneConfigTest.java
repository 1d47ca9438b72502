package io.conexor.backplane.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RedisBackplaneConfigTest {

  @Test
  void defaults_are_those_of_the_settings() {
    assertThat(RedisBackplane.Settings.checked(config(Map.of())))
        .isEqualTo(RedisBackplane.Settings.defaults());
  }

  @Test
  void value_out_of_range_is_refused_by_name() {
    Map<String, Object> wrong =
        Map.ofEntries(
            Map.entry("key_prefix", ""),
            Map.entry("partitions", 0),
            Map.entry("stream_max_events", 9),
            Map.entry("stream_max_bytes", 1L),
            Map.entry("publish_timeout_ms", 1L),
            Map.entry("direct_timeout_ms", 1L),
            Map.entry("buffer_bytes", 1L),
            Map.entry("repair_window_ms", -1L),
            Map.entry("poll_interval_ms", 1L));
    wrong.forEach(
        (name, value) ->
            assertThatThrownBy(() -> RedisBackplane.Settings.checked(config(Map.of(name, value))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("io.conexor.backplane.redis: " + name.replace('_', '.')));
  }

  /** The annotation with its defaults, but for what is given. */
  private static RedisBackplane.Config config(Map<String, Object> given) {
    return (RedisBackplane.Config)
        Proxy.newProxyInstance(
            RedisBackplaneConfigTest.class.getClassLoader(),
            new Class<?>[] {RedisBackplane.Config.class},
            (proxy, method, arguments) ->
                given.getOrDefault(method.getName(), method.getDefaultValue()));
  }
}
