package io.conexor.http;

import java.time.Duration;

/** The configuration, checked. */
record Settings(
    String host,
    int port,
    String portFile,
    int threads,
    int selectors,
    int maxBody,
    int maxHeader,
    Duration idleTimeout,
    Duration headerTimeout,
    Duration bodyTimeout,
    Duration requestTimeout,
    Duration webSocketIdleTimeout,
    int maxConnections,
    Duration goneInterval,
    Duration routeGrace,
    Duration drainNotice,
    Duration drainTimeout,
    TrustedProxies proxies,
    String certificate,
    String key,
    String keystore,
    String keystorePassword,
    Duration tlsReload) {

  static Settings checked(JettyServer.Config c) {
    return new Settings(
        c.host(),
        (int) range("port", c.port(), 0, 65_535),
        c.port_file(),
        (int) range("threads.max", c.threads_max(), 8, 10_000),
        (int) range("selectors", c.selectors(), 0, 64),
        (int) range("body.max.bytes", c.body_max_bytes(), 1_024, 1 << 30),
        (int) range("header.max.bytes", c.header_max_bytes(), 1_024, 1 << 20),
        millis("idle.timeout.ms", c.idle_timeout_ms(), 1_000, 3_600_000),
        millis("header.timeout.ms", c.header_timeout_ms(), 500, 600_000),
        millis("body.timeout.ms", c.body_timeout_ms(), 500, 3_600_000),
        millis("request.timeout.ms", c.request_timeout_ms(), 1_000, 3_600_000),
        millis("websocket.idle.timeout.ms", c.websocket_idle_timeout_ms(), 1_000, 3_600_000),
        (int) range("connections.max", c.connections_max(), 10, 1_000_000),
        millis("gone.interval.ms", c.gone_interval_ms(), 10, 10_000),
        millis("route.grace.ms", c.route_grace_ms(), 0, 600_000),
        millis("drain.notice.ms", c.drain_notice_ms(), 0, 600_000),
        millis("drain.timeout.ms", c.drain_timeout_ms(), 0, 600_000),
        new TrustedProxies(c.proxies_trusted()),
        c.tls_certificate_file(),
        c.tls_key_file(),
        c.tls_keystore_file(),
        c.tls_keystore_password(),
        millis("tls.reload.ms", c.tls_reload_ms(), 1_000, 86_400_000));
  }

  boolean tls() {
    return !certificate.isEmpty() || !keystore.isEmpty();
  }

  private static Duration millis(String key, long value, long min, long max) {
    return Duration.ofMillis(range(key, value, min, max));
  }

  private static long range(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          "io.conexor.http " + key + "=" + value + " is not in " + min + ".." + max);
    }
    return value;
  }
}
