package io.conexor.database;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsTest {

  @Test
  void defaults_suit_a_request_of_five_seconds() {
    assertThat(Settings.of(Map.of()))
        .isEqualTo(
            new Settings(
                10,
                Duration.ofMillis(100),
                Duration.ofMillis(150),
                Duration.ofMillis(400),
                Duration.ofSeconds(1),
                Duration.ofMillis(20),
                Duration.ofSeconds(10),
                Duration.ofSeconds(1),
                Duration.ofSeconds(5),
                false));
  }

  @ParameterizedTest
  @CsvSource({
    "pool.size, 0",
    "pool.size, 501",
    "watch.interval.ms, 19",
    "watch.interval.ms, 10001",
    "suspect.after.ms, 19",
    "suspect.after.ms, 10001",
    "watch.timeout.ms, 49",
    "watch.timeout.ms, 10001",
    "connect.timeout.ms, 249",
    "connect.timeout.ms, 30001",
    "replica.wait.ms, -1",
    "replica.wait.ms, 5001",
    "lag.max.ms, -1",
    "lag.max.ms, 3600001",
    "datasource.max.lag.ms, -1",
    "datasource.max.lag.ms, 3600001",
    "datasource.wait.ms, 99",
    "datasource.wait.ms, 60001",
    "pooler, session",
    "pool.size, many",
  })
  void what_is_out_of_range_is_refused_by_name(String key, String value) {
    assertThatThrownBy(() -> Settings.of(Map.of(key, value)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("io.conexor.database: " + key + "=" + value);
  }

  @Test
  void a_key_that_does_not_exist_is_refused() {
    assertThatThrownBy(() -> Settings.of(Map.of("pool.sise", "3")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'pool.sise'");
  }

  @Test
  void servers_are_host_and_port() {
    assertThat(ConfiguredEndpoints.parsed("servers", "db1, db2:6432,[::1]:5433", 5432))
        .extracting(Object::toString)
        .containsExactly("db1:5432", "db2:6432", "[::1]:5433");
    assertThatThrownBy(() -> ConfiguredEndpoints.parsed("servers", "db1:port", 5432))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'db1:port' is not host:port");
  }
}
