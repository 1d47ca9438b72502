package io.conexor.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SettingsTest {

  private static Settings with(Map<String, Object> values) {
    return Settings.checked(
        (Settings.Config)
            Proxy.newProxyInstance(
                Settings.Config.class.getClassLoader(),
                new Class<?>[] {Settings.Config.class},
                (proxy, method, arguments) ->
                    values.getOrDefault(method.getName(), method.getDefaultValue())));
  }

  @Test
  void the_defaults_are_these() {
    Settings settings = with(Map.of());

    assertThat(settings.bodyMaxBytes()).isEqualTo(1 << 20);
    assertThat(settings.threads()).isEqualTo(8);
    assertThat(settings.queue()).isEqualTo(128);
    assertThat(settings.documentRows()).isEqualTo(1_000);
    assertThat(settings.documentMaxBytes()).isEqualTo(8 << 20);
    assertThat(settings.rowsMax()).isEqualTo(10_000_000);
    assertThat(settings.timeout()).isEqualTo(Duration.ofSeconds(30));
    assertThat(settings.timeoutMax()).isEqualTo(Duration.ofMinutes(5));
  }

  @Test
  void values_out_of_range_are_rejected_by_name() {
    Map.ofEntries(
            Map.<String, Object>entry("body_max_bytes", 1),
            Map.<String, Object>entry("threads", 0),
            Map.<String, Object>entry("queue", 0),
            Map.<String, Object>entry("query_document_rows", 0),
            Map.<String, Object>entry("query_document_max_bytes", 1),
            Map.<String, Object>entry("query_rows_max", 0L),
            Map.<String, Object>entry("query_bytes_max", 1L),
            Map.<String, Object>entry("query_timeout_ms", 1L),
            Map.<String, Object>entry("query_timeout_max_ms", 1L))
        .forEach(
            (key, value) ->
                assertThatThrownBy(() -> with(Map.of(key, value)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("io.conexor.rest: " + key.replace('_', '.')));
  }
}
