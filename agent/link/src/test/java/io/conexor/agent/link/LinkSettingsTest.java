package io.conexor.agent.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.annotation.Annotation;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinkSettingsTest {
  @Test
  void defaults_are_those_of_the_documentation() {
    LinkSettings settings = checked(Map.of());

    assertThat(settings.maxLinks()).isEqualTo(3);
    assertThat(settings.connectTimeout()).isEqualTo(Duration.ofSeconds(5));
    assertThat(settings.liveness()).isEqualTo(Duration.ofSeconds(3));
    assertThat(settings.backoff().initial()).isEqualTo(Duration.ofMillis(500));
    assertThat(settings.backoff().max()).isEqualTo(Duration.ofSeconds(5));
    assertThat(settings.maxOutboundBytes()).isEqualTo(16 << 20);
    assertThat(settings.drainTimeout()).isEqualTo(Duration.ofSeconds(20));
    assertThat(settings.agentName()).isNotBlank();
    assertThat(settings.proxy()).isEmpty();
    assertThat(settings.tls().context()).isEmpty();
    assertThat(settings.toString()).doesNotContain("pk_secret");
  }

  @ParameterizedTest
  @CsvSource({
    "https://c.example,wss://c.example/hub/agents",
    "http://c.example:8080/,ws://c.example:8080/hub/agents",
    "wss://c.example/base/,wss://c.example/base/hub/agents",
    "HTTPS://c.example/hub/agents,wss://c.example/hub/agents",
    "https://[::1]:8443,wss://[::1]:8443/hub/agents"
  })
  void a_backend_url_becomes_that_of_its_hub(String given, String expected) {
    assertThat(LinkSettings.uri(given)).hasToString(expected);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "c.example",
        "ftp://c.example",
        "https://",
        "https://u:p@c.example",
        "http://a b"
      })
  void a_wrong_backend_url_is_rejected_by_name(String url) {
    assertThatThrownBy(() -> LinkSettings.uri(url))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("backend.url");
  }

  @ParameterizedTest
  @CsvSource({
    "key,''",
    "links_max,0",
    "links_max,17",
    "connect_timeout_ms,99",
    "connect_timeout_ms,60001",
    "liveness_timeout_ms,299",
    "liveness_timeout_ms,600001",
    "backoff_initial_ms,9",
    "backoff_initial_ms,60001",
    "backoff_max_ms,499",
    "backoff_max_ms,600001",
    "outbound_max_bytes,65535",
    "outbound_max_bytes,1073741825",
    "drain_timeout_ms,-1",
    "drain_timeout_ms,600001",
    "proxy,host",
    "proxy,host:0",
    "proxy,:8080",
    "proxy_user,me",
    "proxy_user,a:b"
  })
  void a_value_out_of_range_is_rejected_by_name(String attribute, String value) {
    assertThatThrownBy(() -> checked(Map.of(attribute, value)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("io.conexor.agent.link")
        .hasMessageContaining(attribute.replace('_', '.'));
  }

  @ParameterizedTest
  @CsvSource({
    "http://c.example,true",
    "https://c.example,false",
    "http://127.0.0.1:8080,false",
    "http://localhost:8080,false",
    "http://[::1]:8080,false"
  })
  void a_key_sent_in_the_clear_is_noticed(String url, boolean isNoticed) {
    assertThat(checked(Map.of("backend_url", url)).sendsKeyInTheClear()).isEqualTo(isNoticed);
  }

  @Test
  void a_missing_file_is_named() {
    assertThatThrownBy(() -> checked(Map.of("tls_ca_file", "/nowhere.pem")).tls().context())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("tls.ca.file = '/nowhere.pem'");
  }

  @Test
  void backoff_doubles_its_ceiling_up_to_the_longest() {
    Backoff high = new Backoff(Duration.ofMillis(500), Duration.ofSeconds(5), () -> 1.0);
    Backoff low = new Backoff(Duration.ofMillis(500), Duration.ofSeconds(5), () -> 0.0);

    assertThat(high.next(0)).isEqualTo(Duration.ofMillis(500));
    assertThat(high.next(1)).isEqualTo(Duration.ofSeconds(1));
    assertThat(high.next(4)).isEqualTo(Duration.ofSeconds(5));
    assertThat(high.next(Integer.MAX_VALUE)).isEqualTo(Duration.ofSeconds(5));
    assertThat(low.next(3)).isZero();
  }

  private static LinkSettings checked(Map<String, String> changes) {
    Map<String, String> values =
        new HashMap<>(Map.of("backend_url", "http://c.example", "key", "pk_secret"));
    values.putAll(changes);
    return LinkSettings.checked(
        (LinkConfig)
            Proxy.newProxyInstance(
                LinkSettingsTest.class.getClassLoader(),
                new Class<?>[] {LinkConfig.class},
                (proxy, method, args) -> {
                  String value = values.get(method.getName());
                  Class<?> type = method.getReturnType();
                  if (value == null) {
                    return type == Class.class ? Annotation.class : method.getDefaultValue();
                  }
                  return type == int.class
                      ? (Object) Integer.valueOf(value)
                      : type == long.class ? (Object) Long.valueOf(value) : value;
                }));
  }
}
