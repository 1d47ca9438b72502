package io.conexor.redis.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Secret;
import io.conexor.api.health.Health;
import io.conexor.api.redis.RedisEndpoints;
import io.conexor.itests.lab.Binaries;
import io.conexor.itests.lab.LabProcess;
import io.conexor.itests.lab.RedisLab;
import io.conexor.itests.lab.RedisServer;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.StringCodec;

/** A real server with a certificate and an ACL user; what does not fit is said in one sentence. */
class RedisTlsIT {

  private static final Duration SOON = Duration.ofSeconds(15);
  private static final String PASSWORD = "s3cret-right";

  @TempDir static Path folder;

  private static RedisLab redis;
  private static int tlsPort;

  private final AtomicReference<RedissonClient> offered = new AtomicReference<>();
  private RedisConnection connection;

  /** A description as an operator would give it. */
  private record Described(URI address, Login login, Tls tls) implements RedisEndpoints {
    @Override
    public Mode mode() {
      return Mode.STANDALONE;
    }

    @Override
    public List<URI> addresses() {
      return List.of(address);
    }

    @Override
    public Optional<String> master() {
      return Optional.empty();
    }

    @Override
    public int database() {
      return 0;
    }

    @Override
    public Login sentinelLogin() {
      return new Login(Optional.empty(), Optional.empty());
    }
  }

  @BeforeAll
  static void start() throws Exception {
    for (String name : List.of("server", "stranger")) {
      run(
          Binaries.require("openssl").toString(),
          "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab"
              + " -addext subjectAltName=IP:127.0.0.1 -keyout %s.key -out %s.crt"
                  .replace("%s", name));
      run(
          Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
          "-importcert -noprompt -alias lab -storetype PKCS12 -storepass changeit -file %s.crt -keystore %s.p12"
              .replace("%s", name));
    }
    tlsPort = LabProcess.freePorts(1).get(0);
    redis =
        RedisLab.start(
            RedisEndpoints.Mode.STANDALONE,
            "tls-port",
            Integer.toString(tlsPort),
            "tls-cert-file",
            folder.resolve("server.crt").toString(),
            "tls-key-file",
            folder.resolve("server.key").toString(),
            "tls-ca-cert-file",
            folder.resolve("server.crt").toString(),
            "tls-auth-clients",
            "no",
            "user",
            "conexor on >" + PASSWORD + " ~conexor:* &conexor:* +@all -@dangerous +info +role",
            "user",
            "reader on >" + PASSWORD + " ~conexor:* &conexor:* +@read +info +ping +client");
  }

  private static void run(String program, String arguments) throws Exception {
    List<String> command = new java.util.ArrayList<>(List.of(program));
    command.addAll(List.of(arguments.split(" ")));
    Path output = folder.resolve("output");
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    assertThat(process.waitFor(30, TimeUnit.SECONDS) && process.exitValue() == 0)
        .as(Files.readString(output))
        .isTrue();
  }

  @AfterAll
  static void stop() {
    if (redis != null) {
      redis.close();
    }
  }

  @AfterEach
  void close() {
    connection.close(Duration.ZERO);
  }

  @Test
  void an_acl_user_works_through_tls() {
    connect("rediss", tlsPort, "conexor", PASSWORD, "server");

    await().atMost(SOON).until(() -> offered.get() != null);
    offered.get().getBucket("conexor:tls", StringCodec.INSTANCE).set("works");

    await().atMost(SOON).until(() -> connection.health().status() == Health.Status.HEALTHY);
    RedisServer server = redis.servers().get(0);
    assertThat(server.says("works", "GET", "conexor:tls")).isTrue();
  }

  @Test
  void a_certificate_that_is_not_trusted_is_said() {
    assertComplaint("rediss", tlsPort, "conexor", PASSWORD, "stranger", "certificate");
  }

  @Test
  void tls_to_a_port_without_it_is_said_and_the_other_way_round() {
    assertComplaint("rediss", redis.servers().get(0).port(), "conexor", PASSWORD, "server", "TLS");
    assertComplaint("redis", tlsPort, "conexor", PASSWORD, "server", "rediss://");
  }

  @Test
  void a_wrong_password_and_an_unknown_user_are_said_without_the_password() {
    assertComplaint("rediss", tlsPort, "conexor", "s3cret-wrong", "server", "user and password");
    assertComplaint("rediss", tlsPort, "nobody", "s3cret-wrong", "server", "user and password");
  }

  @Test
  void a_user_who_may_not_write_is_said() {
    connect("rediss", tlsPort, "reader", PASSWORD, "server");

    await()
        .atMost(SOON)
        .untilAsserted(
            () -> assertThat(connection.health().reason()).contains("lacks a permission"));
  }

  private void assertComplaint(
      String scheme, int port, String user, String password, String trusts, String expected) {
    connect(scheme, port, user, password, trusts);
    await()
        .atMost(SOON)
        .untilAsserted(() -> assertThat(connection.health().reason()).contains(expected));
    assertThat(connection.health().reason()).doesNotContain("s3cret").doesNotContain("\n");
    assertThat(offered.get()).isNull();
    connection.close(Duration.ZERO);
  }

  private void connect(String scheme, int port, String user, String password, String trusts) {
    connection =
        new RedisConnection(
            new Described(
                URI.create(scheme + "://127.0.0.1:" + port),
                new RedisEndpoints.Login(Optional.of(user), Optional.of(new Secret(password))),
                new RedisEndpoints.Tls(
                    true,
                    Optional.of(folder.resolve(trusts + ".p12")),
                    Optional.of(new Secret("changeit")))),
            ClientSettings.defaults(),
            client -> {
              offered.set(client);
              return () -> offered.set(null);
            },
            client -> "");
  }
}
