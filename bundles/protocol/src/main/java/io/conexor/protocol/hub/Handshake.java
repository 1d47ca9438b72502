package io.conexor.protocol.hub;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import io.conexor.protocol.json.JsonWriter;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The first message of each direction: JSON in every protocol, ended by a record separator. */
public final class Handshake {
  /** The hub protocol version with acknowledgements; version 1 is the same without them. */
  public static final int MAX_VERSION = 2;

  /** Most bytes a handshake may take. */
  public static final int MAX_BYTES = 4_096;

  static final byte RECORD_SEPARATOR = 0x1e;

  private Handshake() {}

  /** What a client asks for. {@code length} is how many bytes it took; hub messages may follow. */
  public record Request(HubProtocol protocol, int version, int length) {}

  /** What a server answers; no error means welcome. */
  public record Response(@Nullable String error, int length) {}

  public static byte[] request(HubProtocol protocol, int version) {
    return ("{\"protocol\":\"" + protocol.name() + "\",\"version\":" + version + "}\u001e")
        .getBytes(UTF_8);
  }

  public static byte[] response(@Nullable String error) {
    GrowingBytes out = new GrowingBytes(64, MAX_BYTES * 8);
    out.put('{');
    if (error != null) {
      out.putAscii("\"error\":");
      JsonWriter.text(out, error);
    }
    out.put('}');
    out.put(RECORD_SEPARATOR);
    return out.toByteArray();
  }

  /**
   * @throws ProtocolException if it is no handshake, or asks for a protocol or version that is not
   *     spoken here
   */
  public static Request readRequest(byte[] bytes, int offset, int length) {
    int end = end(bytes, offset, length);
    Map<String, @Nullable Object> json = JsonReader.object(bytes, offset, end - offset);
    if (!(json.get("protocol") instanceof String name)
        || !(json.get("version") instanceof Long version)) {
      throw new ProtocolException("a handshake needs a protocol and a version", 0);
    }
    HubProtocol protocol =
        switch (name) {
          case "json" -> HubProtocol.JSON;
          case "messagepack" -> HubProtocol.MESSAGE_PACK;
          default -> throw new ProtocolException("the protocol is neither json nor messagepack", 0);
        };
    if (version < 1 || version > MAX_VERSION) {
      throw new ProtocolException(
          "version " + version + " of the hub protocol is not spoken here", 0);
    }
    return new Request(protocol, version.intValue(), end + 1 - offset);
  }

  public static Response readResponse(byte[] bytes, int offset, int length) {
    int end = end(bytes, offset, length);
    Object error = JsonReader.object(bytes, offset, end - offset).get("error");
    if (error != null && !(error instanceof String)) {
      throw new ProtocolException("the error of a handshake is a text", 0);
    }
    return new Response((String) error, end + 1 - offset);
  }

  private static int end(byte[] bytes, int offset, int length) {
    int limit = offset + Math.min(length, MAX_BYTES);
    for (int at = offset; at < limit; at++) {
      if (bytes[at] == RECORD_SEPARATOR) {
        return at;
      }
    }
    throw new ProtocolException(
        "no handshake ends within " + Math.min(length, MAX_BYTES) + " bytes", length);
  }
}
