package io.conexor.audit;

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

    assertThat(settings.spoolFolder()).isEqualTo(java.nio.file.Path.of("data/audit"));
    assertThat(settings.spoolMaxBytes()).isEqualTo(1L << 30);
    assertThat(settings.fileBytes()).isEqualTo(8L << 20);
    assertThat(settings.syncInterval()).isEqualTo(Duration.ofSeconds(1));
    assertThat(settings.queueMax()).isEqualTo(65_536);
    assertThat(settings.batchMax()).isEqualTo(1_000);
  }

  @Test
  void values_out_of_range_are_rejected_by_name() {
    Map.ofEntries(
            Map.<String, Object>entry("spool_max_bytes", 1L),
            Map.<String, Object>entry("spool_file_bytes", 1L),
            Map.<String, Object>entry("sync_interval_ms", -1L),
            Map.<String, Object>entry("queue_max", 1),
            Map.<String, Object>entry("batch_max", 0))
        .forEach(
            (key, value) ->
                assertThatThrownBy(() -> with(Map.of(key, value)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("io.conexor.audit: " + key.replace('_', '.')));
  }
}
