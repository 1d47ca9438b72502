package io.conexor.redis.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.redis.RedisEndpoints;
import java.net.URI;
import org.junit.jupiter.api.Test;

class ClusterEndpointsTest {

  @Test
  void address_without_a_scheme_means_plain_redis() {
    RedisEndpoints endpoints = new ClusterEndpoints(config("localhost:6379"));

    assertThat(endpoints.mode()).isEqualTo(RedisEndpoints.Mode.CLUSTER);
    assertThat(endpoints.addresses()).containsExactly(URI.create("redis://localhost:6379"));
    assertThat(endpoints.login().password().orElseThrow().reveal()).isEqualTo("s3cret");
    assertThat(endpoints.login().toString()).doesNotContain("s3cret");
    assertThat(endpoints.master()).isEmpty();
  }

  @Test
  void wrong_address_is_refused_by_name() {
    for (String wrong : new String[] {"localhost", "http://x:1", "redis://u:p@x:1", "a b:1", ""}) {
      assertThatThrownBy(() -> new ClusterEndpoints(config(wrong)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("io.conexor.redis.cluster: addresses");
    }
    assertThatThrownBy(() -> new ClusterEndpoints(config()))
        .hasMessageContaining("io.conexor.redis.cluster: addresses");
  }

  private static ClusterEndpoints.Config config(String... addresses) {
    return new ClusterEndpoints.Config() {

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
      public boolean tls_verify() {
        return true;
      }

      @Override
      public Class<? extends java.lang.annotation.Annotation> annotationType() {
        return ClusterEndpoints.Config.class;
      }
    };
  }
}
