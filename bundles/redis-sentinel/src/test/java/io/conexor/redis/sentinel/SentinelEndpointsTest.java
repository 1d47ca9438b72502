package io.conexor.redis.sentinel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.redis.RedisEndpoints;
import java.net.URI;
import org.junit.jupiter.api.Test;

class SentinelEndpointsTest {

  @Test
  void address_without_a_scheme_means_plain_redis() {
    RedisEndpoints endpoints = new SentinelEndpoints(config("localhost:6379"));

    assertThat(endpoints.mode()).isEqualTo(RedisEndpoints.Mode.SENTINEL);
    assertThat(endpoints.addresses()).containsExactly(URI.create("redis://localhost:6379"));
    assertThat(endpoints.login().password().orElseThrow().reveal()).isEqualTo("s3cret");
    assertThat(endpoints.login().toString()).doesNotContain("s3cret");
    assertThat(endpoints.master()).contains("m1");
  }

  @Test
  void wrong_address_is_refused_by_name() {
    for (String wrong : new String[] {"localhost", "http://x:1", "redis://u:p@x:1", "a b:1", ""}) {
      assertThatThrownBy(() -> new SentinelEndpoints(config(wrong)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("io.conexor.redis.sentinel: addresses");
    }
    assertThatThrownBy(() -> new SentinelEndpoints(config()))
        .hasMessageContaining("io.conexor.redis.sentinel: addresses");
  }

  private static SentinelEndpoints.Config config(String... addresses) {
    return new SentinelEndpoints.Config() {

      @Override
      public String[] addresses() {
        return addresses;
      }

      @Override
      public String master() {
        return "m1";
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
      public String sentinel_user() {
        return "";
      }

      @Override
      public String sentinel_password() {
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
        return SentinelEndpoints.Config.class;
      }
    };
  }
}
