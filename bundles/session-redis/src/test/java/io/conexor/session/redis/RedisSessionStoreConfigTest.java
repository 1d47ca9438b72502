package io.conexor.session.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RedisSessionStoreConfigTest {

  @Test
  void defaults_are_those_of_the_settings() {
    assertThat(RedisSessionStore.Settings.checked(config(Map.of())))
        .isEqualTo(RedisSessionStore.Settings.defaults());
  }

  @Test
  void value_out_of_range_is_refused_by_name() {
    Map<String, Object> wrong =
        Map.ofEntries(
            Map.entry("operation_timeout_ms", 99L),
            Map.entry("key_prefix", "Ä"),
            Map.entry("attributes_max_bytes", 255),
            Map.entry("durability_replicas", 6),
            Map.entry("durability_timeout_ms", 0));
    wrong.forEach(
        (name, value) ->
            assertThatThrownBy(
                    () -> RedisSessionStore.Settings.checked(config(Map.of(name, value))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("io.conexor.session.redis: " + name.replace('_', '.')));
  }

  /** The annotation with its defaults, but for what is given. */
  private static RedisSessionStore.Config config(Map<String, Object> given) {
    return (RedisSessionStore.Config)
        Proxy.newProxyInstance(
            RedisSessionStoreConfigTest.class.getClassLoader(),
            new Class<?>[] {RedisSessionStore.Config.class},
            (proxy, method, arguments) ->
                given.getOrDefault(method.getName(), method.getDefaultValue()));
  }
}
