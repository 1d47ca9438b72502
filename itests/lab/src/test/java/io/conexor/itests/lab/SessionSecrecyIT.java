package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.conexor.api.redis.RedisEndpoints.Mode;
import io.conexor.redis.client.ClientSettings;
import io.conexor.session.redis.RedisSessionStore;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;

/**
 * A session id is a secret: no error may carry it, whatever the client library puts into its own.
 */
class SessionSecrecyIT {

  @RegisterExtension static final SharedRedis redis = new SharedRedis(Mode.STANDALONE);

  @Test
  void error_of_the_store_does_not_quote_the_session_id() throws Exception {
    RedissonClient client =
        Redisson.create(ClientSettings.defaults().toRedisson(redis.lab().endpoints()));
    try {
      var store = new RedisSessionStore(client, false, RedisSessionStore.Settings.defaults());
      var session = store.create("someone", Map.of(), Duration.ofHours(1));
      RedisServer server = redis.lab().servers().get(0);

      server.ask("CONFIG", "SET", "maxmemory", "1");
      Throwable refused =
          catchThrowable(() -> store.update(session.id(), Map.of("a", "1"), List.of()));
      server.ask("CONFIG", "SET", "maxmemory", "0");
      server.process().freeze();
      Throwable silent = catchThrowable(() -> store.find(session.id()));
      server.process().thaw();

      for (Throwable each : List.of(refused, silent)) {
        StringWriter trace = new StringWriter();
        each.printStackTrace(new PrintWriter(trace));
        assertThat(trace.toString())
            .contains("SessionsUnavailableException")
            .doesNotContain(session.id().value());
      }
      assertThat(refused).hasMessageContaining("OOM");
    } finally {
      client.shutdown();
    }
  }
}
