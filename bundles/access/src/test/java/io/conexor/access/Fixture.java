package io.conexor.access;

import io.conexor.api.Secret;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** What the tests of this bundle share: one PostgreSQL, settings, and clocks that stand still. */
final class Fixture {

  private Fixture() {}

  /** One server for all test classes of the module; ends with the JVM. */
  static final class Server {
    static final LocalPostgres SHARED = start();

    private static LocalPostgres start() {
      LocalPostgres server = LocalPostgres.start().migrate();
      Runtime.getRuntime().addShutdownHook(new Thread(server::close));
      return server;
    }
  }

  static Settings settings(Path dataFolder) {
    return new Settings(
        dataFolder,
        List.of(),
        Duration.ofDays(90),
        Duration.ofDays(30),
        1_000,
        Duration.ofSeconds(60),
        Duration.ofHours(24),
        Duration.ofSeconds(10),
        2,
        16,
        12,
        5,
        Duration.ofSeconds(30),
        20,
        Duration.ofSeconds(1),
        Duration.ofHours(8),
        4,
        128);
  }

  static OrgId organisation(LocalPostgres server) {
    OrgId org = OrgId.random();
    fleet(
        server,
        "insert into organisations (id, slug, name) values ('%s', 'o-%s', 'Test')"
            .formatted(org, org));
    return org;
  }

  static UUID agent(LocalPostgres server, OrgId org, String name) {
    UUID id = UUID.randomUUID();
    fleet(
        server,
        "insert into agents (id, org, name) values ('%s', '%s', '%s')".formatted(id, org, name));
    return id;
  }

  static UUID mcpServer(LocalPostgres server, OrgId org, String name) {
    UUID id = UUID.randomUUID();
    fleet(
        server,
        "insert into mcp_servers (id, org, name) values ('%s', '%s', '%s')"
            .formatted(id, org, name));
    return id;
  }

  static void fleet(LocalPostgres server, String sql) {
    server.execute("set conexor.org = '*'; " + sql);
  }

  static <T> T now(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().get(20, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new AssertionError(e);
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError(e);
    }
  }

  static DirectDatabase database() {
    return new DirectDatabase(Server.SHARED);
  }

  static Secret secret(String text) {
    return new Secret(text);
  }

  /** Wall clock and monotonic clock that go on only when told. */
  static final class ManualTime extends Clock {
    private volatile Instant instant = Instant.now();
    private volatile long nanos = 1_000_000_000_000L;

    void pass(Duration duration) {
      instant = instant.plus(duration);
      nanos += duration.toNanos();
    }

    long nanoTime() {
      return nanos;
    }

    @Override
    public Instant instant() {
      return instant;
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }
}
