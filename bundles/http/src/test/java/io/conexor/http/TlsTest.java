package io.conexor.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TlsTest {

  private static final String PASSWORD = "only for tests";

  @TempDir private Path folder;
  private final ThisNode node = new ThisNode();
  private JettyServer server;

  @AfterEach
  void stop() {
    if (server != null) {
      server.close();
    }
  }

  private Path keystore(String name) throws IOException, InterruptedException {
    Path file = folder.resolve(name + ".p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "server",
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-validity",
                "2",
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD,
                "-keystore",
                file.toString())
            .redirectErrorStream(true)
            .start();
    String output =
        new String(keytool.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    assertThat(keytool.waitFor()).as(output).isZero();
    return file;
  }

  private void serve(Path keystore, String certificate, String key, Consumer<HttpExchange> action)
      throws Exception {
    Settings plain = JettyServerTest.settings();
    server =
        new JettyServer(
            node,
            new Settings(
                plain.host(),
                0,
                "",
                plain.threads(),
                plain.selectors(),
                plain.maxBody(),
                plain.maxHeader(),
                plain.idleTimeout(),
                plain.headerTimeout(),
                plain.bodyTimeout(),
                Duration.ofSeconds(20),
                plain.webSocketIdleTimeout(),
                plain.maxConnections(),
                plain.goneInterval(),
                plain.routeGrace(),
                plain.drainNotice(),
                plain.drainTimeout(),
                plain.proxies(),
                certificate,
                key,
                keystore == null ? "" : keystore.toString(),
                keystore == null ? "" : PASSWORD,
                Duration.ofMillis(100)));
    HttpRoute route =
        new HttpRoute() {
          @Override
          public String path() {
            return "/t";
          }

          @Override
          public int maxBodyBytes() {
            return 100;
          }

          @Override
          public void handle(HttpExchange exchange) {
            action.accept(exchange);
          }
        };
    server.addRoute(route, Map.of());
  }

  private static void whetherSecure(HttpExchange exchange) {
    byte[] text = Boolean.toString(exchange.isSecure()).getBytes(StandardCharsets.US_ASCII);
    exchange.respond(200, "text/plain", text);
  }

  /** Trusts everybody: who it talks to is what the test looks at. */
  private SSLSocket dial() throws Exception {
    TrustManager anybody =
        new X509TrustManager() {
          @Override
          public void checkClientTrusted(X509Certificate[] chain, String type) {}

          @Override
          public void checkServerTrusted(X509Certificate[] chain, String type) {}

          @Override
          public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
          }
        };
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, new TrustManager[] {anybody}, null);
    SSLSocket socket =
        (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", server.port());
    socket.setSoTimeout(20_000);
    socket.startHandshake();
    return socket;
  }

  private static String ask(Socket socket) throws IOException {
    String request = "GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
    return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
  }

  private String subject() throws Exception {
    try (SSLSocket socket = dial()) {
      return ((X509Certificate) socket.getSession().getPeerCertificates()[0])
          .getSubjectX500Principal()
          .getName();
    }
  }

  @Test
  void a_key_store_serves_tls_and_nothing_else() throws Exception {
    serve(keystore("one"), "", "", TlsTest::whetherSecure);

    try (SSLSocket socket = dial()) {
      assertThat(socket.getSession().getProtocol()).isEqualTo("TLSv1.3");
      assertThat(ask(socket))
          .startsWith("HTTP/1.1 200")
          .contains("Strict-Transport-Security: max-age=")
          .endsWith("true");
    }
    try (Socket plain = new Socket("127.0.0.1", server.port())) {
      plain.setSoTimeout(20_000);
      assertThat(ask(plain)).doesNotContain("200");
    }
  }

  @Test
  void a_certificate_and_its_key_in_pem_serve_tls() throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(keystore("pem"))) {
      store.load(in, PASSWORD.toCharArray());
    }
    Path certificate = folder.resolve("chain.pem");
    Path key = folder.resolve("key.pem");
    pem(certificate, "CERTIFICATE", store.getCertificate("server").getEncoded());
    pem(key, "PRIVATE KEY", store.getKey("server", PASSWORD.toCharArray()).getEncoded());

    serve(null, certificate.toString(), key.toString(), TlsTest::whetherSecure);

    assertThat(subject()).isEqualTo("CN=pem");
  }

  private static void pem(Path file, String what, byte[] der) throws IOException {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    Files.writeString(
        file, "-----BEGIN " + what + "-----\n" + text + "\n-----END " + what + "-----\n");
  }

  @Test
  void a_new_certificate_is_taken_and_a_broken_one_is_not() throws Exception {
    Path file = keystore("old");
    serve(file, "", "", TlsTest::whetherSecure);
    assertThat(subject()).isEqualTo("CN=old");

    Files.write(file, Files.readAllBytes(keystore("new")));
    Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000));
    await().atMost(Duration.ofSeconds(20)).until(() -> subject().equals("CN=new"));

    Files.writeString(file, "no key store");
    Files.setLastModifiedTime(file, FileTime.fromMillis(2_000_000));
    await()
        .during(Duration.ofMillis(500))
        .atMost(Duration.ofSeconds(20))
        .until(() -> subject().equals("CN=new"));
  }

  @Test
  void a_client_that_goes_is_noticed_behind_tls_too() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch gone = new CountDownLatch(1);
    serve(
        keystore("one"),
        "",
        "",
        exchange -> {
          exchange.onGone(gone::countDown);
          asked.countDown();
        });

    try (SSLSocket socket = dial()) {
      socket
          .getOutputStream()
          .write("GET /t HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertThat(asked.await(20, TimeUnit.SECONDS)).isTrue();
    }

    assertThat(gone.await(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void a_missing_key_store_stops_the_start() {
    assertThatThrownBy(() -> serve(folder.resolve("none.p12"), "", "", TlsTest::whetherSecure))
        .hasMessageContaining("none.p12");
  }
}
