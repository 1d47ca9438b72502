package io.conexor.hub.clients;

import io.conexor.protocol.send.OutboundQueue.Sent;

/**
 * What carries bytes to one client: a WebSocket, or a mailbox emptied by polls. Methods may be
 * called from any thread and do not block.
 */
interface Leg {
  int NORMAL = 1000;
  int GOING_AWAY = 1001;
  int PROTOCOL_ERROR = 1002;
  int POLICY = 1008;
  int BUG = 1011;
  int RESTART = 1012;

  /** Whether it carries binary protocols. */
  boolean takesBinary();

  /** Says what is spoken from now on; before the first {@link #send}. */
  void speak(boolean binary);

  /**
   * @param bytes whole hub messages; not changed any more
   */
  Sent send(byte[] bytes);

  /** Bytes that wait to be sent. */
  long queuedBytes();

  /** Ends it once what waits has been sent, after a short while in any case. Idempotent. */
  void close(int code, String reason);

  String remoteAddress();
}
