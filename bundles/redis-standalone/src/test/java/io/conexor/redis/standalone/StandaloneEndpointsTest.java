package io.conexor.redis.standalone;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.redis.RedisEndpoints;
import java.net.URI;
import org.junit.jupiter.api.Test;

class StandaloneEndpointsTest {

  @Test
  void address_without_a_scheme_means_plain_redis() {
    RedisEndpoints endpoints = new StandaloneEndpoints(config("localhost:6379"));

    assertThat(endpoints.mode()).isEqualTo(RedisEndpoints.Mode.STANDALONE);
    assertThat(endpoints.addresses()).containsExactly(URI.create("redis://localhost:6379"));
    assertThat(endpoints.login().password().orElseThrow().reveal()).isEqualTo("s3cret");
    assertThat(endpoints.login().toString()).doesNotContain("s3cret");
    assertThat(endpoints.master()).isEmpty();
  }

  @Test
  void wrong_address_is_refused_by_name() {
    for (String wrong : new String[] {"localhost", "http://x:1", "redis://u:p@x:1", "a b:1", ""}) {
      assertThatThrownBy(() -> new StandaloneEndpoints(config(wrong)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("io.conexor.redis.standalone: addresses");
    }
    assertThatThrownBy(() -> new StandaloneEndpoints(config()))
        .hasMessageContaining("io.conexor.redis.standalone: addresses");
  }

  private static StandaloneEndpoints.Config config(String... addresses) {
    return new StandaloneEndpoints.Config() {

      @Override
      public String[] addresses() {
        return addresses;
      }

      @Override
      public String user() {
        return "";
      }

      @Override
      public String password() {
        return "s3cret";
      }

      @Override
      public String tls_truststore() {
        return "";
      }

      @Override
      public String tls_truststore_password() {
        return "s3cret";
      }

      @Override
      public int database() {
        return 0;
      }

      @Override
      public boolean tls_verify() {
        return true;
      }

      @Override
      public Class<? extends java.lang.annotation.Annotation> annotationType() {
        return StandaloneEndpoints.Config.class;
      }
    };
  }
}
