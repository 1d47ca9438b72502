package io.conexor.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RuntimeSettingsTest {

  @Test
  void defaults_are_those_of_the_metatype() {
    RuntimeSettings settings = settings(Map.of(), Map.of());

    assertThat(settings.features()).containsExactly("core");
    assertThat(settings.dataDirectory()).isEqualTo(Path.of("/opt/conexor/data"));
    assertThat(settings.logDirectory()).isEqualTo(Path.of("/opt/conexor/data/log"));
    assertThat(settings.logTo()).isEqualTo(RuntimeSettings.LogTo.BOTH);
    assertThat(settings.jsonLog()).isFalse();
    assertThat(settings.logLevel()).isEqualTo("INFO");
    assertThat(settings.readyTimeout()).isEqualTo(Duration.ofSeconds(30));
    assertThat(settings.drainTimeout()).isEqualTo(Duration.ofSeconds(20));
    assertThat(settings.stopTimeout()).isEqualTo(Duration.ofSeconds(10));
  }

  @Test
  void log_follows_the_data_directory() {
    assertThat(settings(Map.of("runtime.data.dir", "/srv/x"), Map.of()).logDirectory())
        .isEqualTo(Path.of("/srv/x/log"));
  }

  @Test
  void environment_moves_the_data_directory() {
    assertThat(settings(Map.of(), Map.of("CONEXOR_RUNTIME_DATA_DIR", "/srv/y")).dataDirectory())
        .isEqualTo(Path.of("/srv/y"));
  }

  @Test
  void keys_of_bundles_are_left_for_later() {
    assertThat(settings(Map.of("http.port", "1"), Map.of()).features()).containsExactly("core");
  }

  @Test
  void mistyped_key_is_rejected() {
    assertThatThrownBy(() -> settings(Map.of("runtime.data.dri", "/srv/x"), Map.of()))
        .hasMessageContaining("did you mean 'runtime.data.dir'");
  }

  private static RuntimeSettings settings(
      Map<String, String> written, Map<String, String> environment) {
    return RuntimeSettings.of(
        new Assignments(Map.of(), Map.of()).overriddenBy(written, "test"),
        environment,
        Map.of("home", "/opt/conexor"),
        List.of("core"));
  }
}
