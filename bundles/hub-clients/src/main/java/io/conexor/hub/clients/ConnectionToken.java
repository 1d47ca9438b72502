package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.access.Tokens;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * The secret name of a connection: signed, and readable by every backend.
 *
 * @param id the public name
 * @param node the backend that negotiated; it owns the connection unless a WebSocket took it
 *     elsewhere
 * @param issuedAt seconds since 1970
 */
record ConnectionToken(
    String id, NodeId node, String hub, String subject, boolean isResumable, long issuedAt) {

  private static final String PURPOSE = "hub.connection";
  private static final Duration TIME_TO_LIVE = Duration.ofDays(30);

  String issue(Tokens tokens) {
    String claims =
        String.join(
            "\n", id, node.value(), hub, isResumable ? "r" : "", Long.toString(issuedAt), subject);
    return tokens.issue(PURPOSE, claims.getBytes(UTF_8), TIME_TO_LIVE);
  }

  static Optional<ConnectionToken> read(Tokens tokens, String text) {
    return tokens
        .verify(PURPOSE, text)
        .map(
            claims -> {
              String[] parts = new String(claims, UTF_8).split("\n", 6);
              return new ConnectionToken(
                  parts[0],
                  new NodeId(parts[1]),
                  parts[2],
                  parts[5],
                  parts[3].equals("r"),
                  Long.parseLong(parts[4]));
            });
  }

  /** Whether it is so young that a connection may begin with it. */
  boolean isFresh(Instant now, Duration limit) {
    return now.getEpochSecond() - issuedAt <= limit.toSeconds() + 1;
  }
}
