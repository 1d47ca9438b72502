package io.conexor.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SettingsTest {

  private static Settings with(Map<String, Object> values) {
    return Settings.checked(
        (AccessConfig)
            Proxy.newProxyInstance(
                AccessConfig.class.getClassLoader(),
                new Class<?>[] {AccessConfig.class},
                (proxy, method, arguments) ->
                    values.getOrDefault(method.getName(), method.getDefaultValue())));
  }

  @Test
  void the_defaults_are_these() {
    Settings settings = with(Map.of());

    assertThat(settings.fleetSecrets()).isEmpty();
    assertThat(settings.fleetSecretRotation()).isEqualTo(Duration.ofDays(90));
    assertThat(settings.fleetSecretOverlap()).isEqualTo(Duration.ofDays(30));
    assertThat(settings.keyCacheSize()).isEqualTo(100_000);
    assertThat(settings.keyRefresh()).isEqualTo(Duration.ofMinutes(1));
    assertThat(settings.keyMaxAge()).isEqualTo(Duration.ofDays(1));
    assertThat(settings.passwordConcurrency()).isEqualTo(2);
    assertThat(settings.passwordLengthMin()).isEqualTo(12);
    assertThat(settings.sessionTimeToLive()).isEqualTo(Duration.ofHours(8));
  }

  @Test
  void values_out_of_range_are_rejected_by_name() {
    Map.<String, Object>ofEntries(
            Map.entry("fleet_secret_rotate_days", 3_651),
            Map.entry("fleet_secret_overlap_days", 0),
            Map.entry("key_cache_size", 99),
            Map.entry("key_cache_refresh_ms", 999L),
            Map.entry("key_cache_max_age_ms", 9_999L),
            Map.entry("key_unknown_ms", 99L),
            Map.entry("password_concurrency", 0),
            Map.entry("password_queue", 0),
            Map.entry("password_length_min", 7),
            Map.entry("login_account_burst", 0),
            Map.entry("login_account_interval_ms", 99L),
            Map.entry("login_address_burst", 0),
            Map.entry("login_address_interval_ms", 9L),
            Map.entry("session_ttl_ms", 59_999L),
            Map.entry("threads", 65),
            Map.entry("queue", 15),
            Map.entry("fleet_secret", "short"))
        .forEach(
            (key, value) ->
                assertThatThrownBy(() -> with(Map.of(key, value)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("io.conexor.access: " + key.replace('_', '.')));
  }

  @Test
  void a_previous_fleet_secret_needs_a_present_one() {
    assertThatThrownBy(() -> with(Map.of("fleet_secret_previous", "x".repeat(40))))
        .hasMessageContaining("fleet.secret is not");
  }
}
