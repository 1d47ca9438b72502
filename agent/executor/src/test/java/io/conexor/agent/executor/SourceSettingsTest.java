package io.conexor.agent.executor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SourceSettingsTest {
  private static final String URL = "jdbc:postgresql://127.0.0.1/orders";

  private static SourceSettings with(String key, Object value) {
    Map<String, Object> keys = new HashMap<>(Map.of("url", URL));
    keys.put(key, value);
    return SourceSettings.checked(SourceConfig.PID + "~orders", Fixture.config(keys));
  }

  @Test
  void defaults_are_those_of_the_documentation() {
    SourceSettings settings = with("user", "reader");

    assertThat(settings.name()).isEqualTo("orders");
    assertThat(settings.engine()).isEqualTo("postgresql");
    assertThat(settings.isReadOnly()).isTrue();
    assertThat(settings.maxRows()).isEqualTo(100_000);
    assertThat(settings.maxBytes()).isEqualTo(268_435_456);
    assertThat(settings.maxTime()).isEqualTo(Duration.ofSeconds(60));
    assertThat(settings.workers()).isEqualTo(2 * Runtime.getRuntime().availableProcessors());
    assertThat(settings.maxQueued()).isEqualTo(256);
    assertThat(settings.connectTimeout()).isEqualTo(Duration.ofSeconds(3));
    assertThat(settings.probeInterval()).isEqualTo(Duration.ofSeconds(5));
    assertThat(settings.functionsAllowed()).isEmpty();
    assertThat(settings.schemas()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "max.rows, 0",
    "max.rows, 100000001",
    "max.bytes, 65535",
    "max.time.ms, 99",
    "max.time.ms, 3600001",
    "max.concurrent, 257",
    "max.concurrent, -1",
    "max.queued, 0",
    "connect.timeout.ms, 249",
    "probe.interval.ms, 199",
  })
  void values_out_of_range_are_rejected_with_key_value_and_range(String key, int value) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> with(key, value))
        .withMessageContaining(
            SourceConfig.PID + "~orders: " + key + " = " + value + " is not within");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "postgresql://127.0.0.1/orders",
        "jdbc:db2://127.0.0.1/orders",
        "jdbc:postgresql://127.0.0.1/orders?user=a&password=b",
        "jdbc:postgresql://a:b@127.0.0.1/orders",
        "jdbc:oracle:thin:scott/tiger@//127.0.0.1/orders",
        "jdbc:sqlserver://127.0.0.1;password=b",
      })
  void urls_of_unknown_engines_or_with_passwords_are_rejected_without_showing_them(String url) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> with("url", url))
        .withMessageContaining(SourceConfig.PID + "~orders: url ")
        .matches(e -> url.isEmpty() || !e.getMessage().contains(url));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", SourceConfig.PID, SourceConfig.PID + "~", SourceConfig.PID + "~a b"})
  void names_are_needed(String pid) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SourceSettings.checked(pid, Fixture.config(Map.of("url", URL))))
        .withMessageContaining("needs a name");
  }

  @Test
  void the_password_is_never_printed() {
    assertThat(with("password", "hidden-one").toString()).doesNotContain("hidden-one");
  }
}
