package io.conexor.hub.clients;

import java.time.Duration;
import java.util.List;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The configuration, checked. */
record Settings(
    Duration pingInterval,
    Duration clientTimeout,
    Duration handshake,
    Duration pollTimeout,
    int maxMessageBytes,
    long maxOutboundBytes,
    int maxConnections,
    int maxPrincipalConnections,
    Duration keyCheck,
    Duration resumeWindow,
    Duration resumePatience,
    List<String> origins) {

  static final String PID = "io.conexor.hub.clients";

  @ObjectClassDefinition(name = "Hub for clients", description = "Connections of SignalR clients")
  @interface Config {
    @AttributeDefinition(
        name = "Ping",
        description = "Milliseconds without a message after which the client is pinged, 100..60000",
        min = "100",
        max = "60000")
    long ping_interval_ms() default 10_000;

    @AttributeDefinition(
        name = "Client timeout",
        description =
            "Milliseconds of silence after which a client is gone, 300..600000; its own pings come every 15 s",
        min = "300",
        max = "600000")
    long client_timeout_ms() default 30_000;

    @AttributeDefinition(
        name = "Handshake",
        description =
            "Milliseconds from negotiate to connect, and from there to the handshake, 100..60000",
        min = "100",
        max = "60000")
    long handshake_timeout_ms() default 15_000;

    @AttributeDefinition(
        name = "Poll",
        description = "Milliseconds a long poll waits for a message, 100..90000",
        min = "100",
        max = "90000")
    long poll_timeout_ms() default 25_000;

    @AttributeDefinition(
        name = "Message size",
        description = "Largest message accepted from a client in bytes, 1024..900000",
        min = "1024",
        max = "900000")
    int message_max_bytes() default 262_144;

    @AttributeDefinition(
        name = "Outbound bound",
        description =
            "Bytes that may wait for one client, or wait to be acknowledged by it, before it is closed, 65536..1073741824",
        min = "65536",
        max = "1073741824")
    long outbound_max_bytes() default 4 * 1024 * 1024;

    @AttributeDefinition(
        name = "Connections",
        description = "Connections of all clients to this backend, 1..1000000",
        min = "1",
        max = "1000000")
    int connections_max() default 20_000;

    @AttributeDefinition(
        name = "Connections per principal",
        description = "Connections of one user or key to this backend, 1..1000000",
        min = "1",
        max = "1000000")
    int principal_connections_max() default 200;

    @AttributeDefinition(
        name = "Key check",
        description =
            "Milliseconds between checks that keys and logins of open connections are still valid, 500..3600000",
        min = "500",
        max = "3600000")
    long key_check_interval_ms() default 5_000;

    @AttributeDefinition(
        name = "Resume window",
        description =
            "Milliseconds a connection with stateful reconnect waits for its client to come back, 1000..3600000",
        min = "1000",
        max = "3600000")
    long resume_window_ms() default 30_000;

    @AttributeDefinition(
        name = "Resume patience",
        description =
            "Milliseconds messages wait while the store of resumable connections does not answer, 500..600000",
        min = "500",
        max = "600000")
    long resume_patience_ms() default 15_000;

    @AttributeDefinition(
        name = "Origins",
        description =
            "Further origins from which browsers may connect with a login, as https://host[:port]; the own one always may")
    String[] origins() default {};
  }

  static Settings checked(Config config) {
    for (String origin : config.origins()) {
      if (!origin.matches("https?://[^/ ]+")) {
        throw new IllegalArgumentException(
            PID + ": origins has '" + origin + "', which is not http[s]://host[:port]");
      }
    }
    return new Settings(
        millis("ping.interval.ms", config.ping_interval_ms(), 100, 60_000),
        millis("client.timeout.ms", config.client_timeout_ms(), 300, 600_000),
        millis("handshake.timeout.ms", config.handshake_timeout_ms(), 100, 60_000),
        millis("poll.timeout.ms", config.poll_timeout_ms(), 100, 90_000),
        (int) within("message.max.bytes", config.message_max_bytes(), 1_024, 900_000),
        within("outbound.max.bytes", config.outbound_max_bytes(), 65_536, 1_073_741_824),
        (int) within("connections.max", config.connections_max(), 1, 1_000_000),
        (int) within("principal.connections.max", config.principal_connections_max(), 1, 1_000_000),
        millis("key.check.interval.ms", config.key_check_interval_ms(), 500, 3_600_000),
        millis("resume.window.ms", config.resume_window_ms(), 1_000, 3_600_000),
        millis("resume.patience.ms", config.resume_patience_ms(), 500, 600_000),
        List.of(config.origins()));
  }

  private static Duration millis(String key, long value, long min, long max) {
    return Duration.ofMillis(within(key, value, min, max));
  }

  private static long within(String key, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          "%s: %s = %d is not within %d..%d".formatted(PID, key, value, min, max));
    }
    return value;
  }
}
