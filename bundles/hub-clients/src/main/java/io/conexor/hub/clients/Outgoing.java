package io.conexor.hub.clients;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.hub.HubProtocol;
import org.jspecify.annotations.Nullable;

/** A message for any number of clients, encoded at most about once per protocol. */
final class Outgoing {
  private static final int MAX_BYTES = 64 << 20;

  private final HubMessage message;

  // Written by whoever encodes first, read by all; encoding twice at the same time does no harm.
  private volatile byte @Nullable [] json;
  private volatile byte @Nullable [] pack;

  Outgoing(HubMessage message) {
    this.message = message;
  }

  HubMessage message() {
    return message;
  }

  /** Whether it counts in the sequence of a connection that may be resumed. */
  boolean isTracked() {
    return isTracked(message);
  }

  static boolean isTracked(HubMessage message) {
    return message instanceof HubMessage.Invocation
        || message instanceof HubMessage.StreamItem
        || message instanceof HubMessage.Completion
        || message instanceof HubMessage.StreamInvocation
        || message instanceof HubMessage.CancelInvocation;
  }

  /**
   * @throws IllegalArgumentException if it holds a value of a type that cannot be sent
   */
  byte[] bytes(HubProtocol protocol) {
    byte[] known = protocol.isBinary() ? pack : json;
    if (known == null) {
      known = encoded(message, protocol);
      if (protocol.isBinary()) {
        pack = known;
      } else {
        json = known;
      }
    }
    return known;
  }

  static byte[] encoded(HubMessage message, HubProtocol protocol) {
    GrowingBytes out = new GrowingBytes(128, MAX_BYTES);
    protocol.encode(message, out);
    return out.toByteArray();
  }
}
