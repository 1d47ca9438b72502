package io.conexor.agent.link;

import io.conexor.api.Secret;
import io.conexor.protocol.agent.AgentWire;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import javax.net.ssl.SSLContext;

/** Checked configuration. */
record LinkSettings(
    URI uri,
    Secret key,
    String agentName,
    int maxLinks,
    Optional<HttpProxy> proxy,
    Tls tls,
    Duration connectTimeout,
    Duration liveness,
    Backoff backoff,
    long maxOutboundBytes,
    Duration drainTimeout,
    Duration drainQuiet) {

  static LinkSettings checked(LinkConfig config) {
    String key = config.key();
    if (key == null || key.isBlank()) {
      throw wrong("key", "is missing: make one with POST /api/v1/agents/{id}/keys and put it here");
    }
    long initial = number("backoff.initial.ms", config.backoff_initial_ms(), 10, 60_000);
    return new LinkSettings(
        uri(config.backend_url()),
        new Secret(key.trim()),
        config.name().isBlank() ? hostName() : config.name().trim(),
        (int) number("links.max", config.links_max(), 1, 16),
        proxy(config.proxy(), config.proxy_user(), config.proxy_password()),
        new Tls(
            config.tls_ca_file(),
            config.tls_truststore_file(),
            new Secret(config.tls_truststore_password()),
            config.tls_keystore_file(),
            new Secret(config.tls_keystore_password())),
        Duration.ofMillis(number("connect.timeout.ms", config.connect_timeout_ms(), 100, 60_000)),
        Duration.ofMillis(
            number("liveness.timeout.ms", config.liveness_timeout_ms(), 300, 600_000)),
        new Backoff(
            Duration.ofMillis(initial),
            Duration.ofMillis(
                number("backoff.max.ms", config.backoff_max_ms(), Math.max(100, initial), 600_000)),
            () -> ThreadLocalRandom.current().nextDouble()),
        number("outbound.max.bytes", config.outbound_max_bytes(), 65_536, 1_073_741_824),
        Duration.ofMillis(number("drain.timeout.ms", config.drain_timeout_ms(), 0, 600_000)),
        Duration.ofMillis(250));
  }

  HttpDialer dialer() {
    Optional<SSLContext> context = tls.context();
    return new HttpDialer(uri, key, connectTimeout, proxy, context);
  }

  /** Plain WebSockets to anywhere but this host. */
  boolean sendsKeyInTheClear() {
    String host = uri.getHost();
    boolean isLocal = host.equals("localhost") || host.startsWith("127.") || host.equals("[::1]");
    return uri.getScheme().equals("ws") && !isLocal;
  }

  static URI uri(String text) {
    if (text == null || text.isBlank()) {
      throw wrong(
          "backend.url",
          "is missing: the public URL of the backends, e.g. https://conexor.example.com");
    }
    try {
      URI given = new URI(text.trim());
      String scheme = given.getScheme() == null ? "" : given.getScheme().toLowerCase(Locale.ROOT);
      String webSocket =
          switch (scheme) {
            case "https", "wss" -> "wss";
            case "http", "ws" -> "ws";
            default ->
                throw wrong(
                    "backend.url", "= '" + text + "' has to start with https:// or http://");
          };
      if (given.getHost() == null || given.getRawUserInfo() != null) {
        throw wrong("backend.url", "has to name a host, without user or password");
      }
      String path = given.getPath() == null ? "" : given.getPath().replaceAll("/+$", "");
      String full = path.endsWith(AgentWire.PATH) ? path : path + AgentWire.PATH;
      return new URI(webSocket, null, given.getHost(), given.getPort(), full, null, null);
    } catch (URISyntaxException e) {
      throw wrong("backend.url", "= '" + text + "' is no URL: " + e.getReason());
    }
  }

  private static Optional<HttpProxy> proxy(String text, String user, String password) {
    if (user.contains(":")) {
      throw wrong("proxy.user", "may not contain a colon");
    }
    if (text.isBlank()) {
      if (!user.isBlank()) {
        throw wrong("proxy.user", "is there and proxy is not");
      }
      return Optional.empty();
    }
    String address = text.trim().replaceFirst("^http://", "").replaceAll("/+$", "");
    int colon = address.lastIndexOf(':');
    try {
      int port = Integer.parseInt(address.substring(colon + 1));
      if (colon > 0 && port > 0 && port < 65_536) {
        InetSocketAddress host =
            InetSocketAddress.createUnresolved(address.substring(0, colon), port);
        return Optional.of(new HttpProxy(host, user.trim(), new Secret(password)));
      }
    } catch (NumberFormatException e) {
      // told below, with the form it should have
    }
    throw wrong("proxy", "= '" + text + "' has to be host:port");
  }

  private static long number(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw wrong(key, "= %d is not within %d..%d".formatted(value, min, max));
    }
    return value;
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "agent";
    }
  }

  static IllegalArgumentException wrong(String key, String what) {
    return new IllegalArgumentException(LinkConfig.PID + ": " + key + " " + what);
  }
}
