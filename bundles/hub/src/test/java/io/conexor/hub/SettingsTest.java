package io.conexor.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsTest {
  @Test
  void defaults_are_those_of_the_documentation() {
    assertThat(checked(Map.of()))
        .isEqualTo(
            new AgentHub.Settings(
                Duration.ofSeconds(1),
                Duration.ofSeconds(3),
                Duration.ofSeconds(5),
                4_194_304,
                8_388_608,
                20_000,
                32,
                Duration.ofSeconds(2)));
  }

  @ParameterizedTest
  @CsvSource({
    "heartbeat_interval_ms,99",
    "heartbeat_interval_ms,60001",
    "liveness_timeout_ms,1999",
    "liveness_timeout_ms,600001",
    "handshake_timeout_ms,99",
    "handshake_timeout_ms,60001",
    "message_max_bytes,65535",
    "message_max_bytes,67108865",
    "outbound_max_bytes,65535",
    "outbound_max_bytes,1073741825",
    "links_max,0",
    "links_max,1000001",
    "agent_links_max,0",
    "agent_links_max,10001",
    "key_check_interval_ms,499",
    "key_check_interval_ms,3600001"
  })
  void a_value_out_of_range_is_rejected_by_name(String attribute, long value) {
    assertThatThrownBy(() -> checked(Map.of(attribute, value)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("io.conexor.hub: " + attribute.replace('_', '.') + " = " + value);
  }

  private static AgentHub.Settings checked(Map<String, Long> changes) {
    return AgentHub.Settings.checked(
        (AgentHub.Config)
            Proxy.newProxyInstance(
                AgentHub.class.getClassLoader(),
                new Class<?>[] {AgentHub.Config.class},
                (proxy, method, args) -> {
                  Long value = changes.get(method.getName());
                  if (value == null) {
                    return method.getDefaultValue();
                  }
                  return method.getReturnType() == int.class ? (Object) value.intValue() : value;
                }));
  }
}
