package io.conexor.protocol.agent;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.msgpack.PackWriter;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Ids of queries that follow from the request, so that the same request again has the same id. Not
 * made for every call: only where something is kept that may be found by it.
 */
public final class QueryIds {

  private QueryIds() {}

  /**
   * The id of a request, the same at the backend and at the agent.
   *
   * @param parameters before they are sent, or as they arrive
   */
  public static UUID ofRequest(
      String asker,
      String source,
      String sql,
      List<? extends @Nullable Object> parameters,
      long maxRows,
      long maxBytes) {
    PackWriter pack = new PackWriter(new GrowingBytes(512, Integer.MAX_VALUE - 64));
    pack.text(asker);
    pack.text(source);
    pack.text(sql);
    // INVARIANT: what arrives is written as what was sent.
    pack.value(parameters);
    pack.integer(maxRows);
    pack.integer(maxBytes);
    MessageDigest digest = sha256();
    digest.update(pack.out().array(), 0, pack.out().size());
    return uuid(digest);
  }

  /** The id of what these name; each part counts as it is, in this order. */
  public static UUID of(CharSequence... parts) {
    MessageDigest digest = sha256();
    for (CharSequence part : parts) {
      byte[] bytes = part.toString().getBytes(UTF_8);
      // INVARIANT: no two lists of parts give the same bytes.
      digest.update((byte) (bytes.length >>> 24));
      digest.update((byte) (bytes.length >>> 16));
      digest.update((byte) (bytes.length >>> 8));
      digest.update((byte) bytes.length);
      digest.update(bytes);
    }
    return uuid(digest);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static UUID uuid(MessageDigest digest) {
    ByteBuffer hash = ByteBuffer.wrap(digest.digest());
    // Version 8 and variant bits, RFC 9562.
    return new UUID(
        (hash.getLong() & ~0xf000L) | 0x8000L,
        (hash.getLong() & 0x3fffffffffffffffL) | 0x8000000000000000L);
  }
}
