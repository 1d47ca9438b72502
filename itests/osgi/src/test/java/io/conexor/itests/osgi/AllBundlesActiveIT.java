package io.conexor.itests.osgi;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import io.conexor.api.redis.RedisEndpoints;
import io.conexor.itests.lab.RedisLab;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.osgi.framework.Bundle;
import org.osgi.framework.Constants;

/** Every set of features that is meant to run together does, whatever starts first. */
class AllBundlesActiveIT {

  private static LocalPostgres postgres;

  @BeforeAll
  static void start_postgresql() {
    postgres = LocalPostgres.start();
  }

  @AfterAll
  static void stop_postgresql() {
    postgres.close();
  }

  @Test
  void a_server_with_all_state_on_this_machine_is_complete() throws Exception {
    Map<String, String> settings = new HashMap<>();
    // The programs that come with the product have tests of their own, and take long to unpack.
    Path installed = Path.of("/usr/lib/postgresql/15/bin");
    if (Files.isExecutable(installed.resolve("initdb"))) {
      settings.put("database.embedded.installation", installed.toString());
    }

    try (Exam exam = Exam.start(List.of("server-core", "embedded"), settings)) {
      assertComplete(exam);
    }
  }

  @Test
  void a_server_on_a_postgresql_elsewhere_is_complete() throws Exception {
    try (Exam exam = Exam.start(List.of("server-core", "memory", "postgres"), onPostgres())) {
      assertComplete(exam);
    }
  }

  @ParameterizedTest
  @EnumSource
  void a_server_on_redis_is_complete(RedisEndpoints.Mode mode) throws Exception {
    String name = "redis-" + mode.name().toLowerCase(Locale.ROOT);
    Map<String, String> settings = new HashMap<>(onPostgres());
    try (RedisLab redis = RedisLab.start(mode)) {
      settings.put(
          name.replace('-', '.') + ".addresses",
          String.join(",", redis.endpoints().addresses().stream().map(Object::toString).toList()));
      redis.endpoints().master().ifPresent(m -> settings.put("redis.sentinel.master", m));

      try (Exam exam = Exam.start(List.of("server-core", "postgres", name), settings)) {
        assertComplete(exam);
      }
    }
  }

  @Test
  void an_agent_with_every_driver_is_complete() throws Exception {
    Map<String, String> settings =
        Map.of("agent.link.backend.url", "http://127.0.0.1:9", "agent.link.key", "pk_none");

    try (Exam exam = Exam.start(List.of("agent", "jdbc-*"), settings)) {
      assertComplete(exam);
    }
  }

  private static Map<String, String> onPostgres() {
    return Map.of("database.endpoints.servers", "127.0.0.1:" + postgres.port());
  }

  private static void assertComplete(Exam exam) {
    exam.awaitReady();

    assertThat(Arrays.stream(exam.context().getBundles()))
        .hasSizeGreaterThan(10)
        .filteredOn(b -> b.getHeaders("").get(Constants.FRAGMENT_HOST) == null)
        .allSatisfy(b -> assertThat(b.getState()).as(b.getSymbolicName()).isEqualTo(Bundle.ACTIVE));
  }
}
