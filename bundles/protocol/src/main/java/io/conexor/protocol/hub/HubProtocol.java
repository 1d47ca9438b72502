package io.conexor.protocol.hub;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.util.List;

/** How hub messages become bytes. Implementations hold no state and may be shared by threads. */
public sealed interface HubProtocol permits JsonHubProtocol, MessagePackHubProtocol {
  HubProtocol JSON = new JsonHubProtocol();
  HubProtocol MESSAGE_PACK = new MessagePackHubProtocol();

  /** {@code json} or {@code messagepack}, as in the handshake. */
  String name();

  /** Whether transports carry it as binary. */
  boolean isBinary();

  /** Appends one framed message. On an exception {@code out} is as before. */
  void encode(HubMessage message, GrowingBytes out);

  /**
   * All messages of one transport message, which has to end where a hub message ends. Messages of a
   * type that is not known are left out, as the specification asks.
   *
   * @throws ProtocolException if the bytes are anything else
   */
  List<HubMessage> decode(byte[] bytes, int offset, int length);
}
