package io.conexor.api.access;

import java.time.Duration;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Signed, self-contained tokens that every backend of the fleet can check without remembering them.
 * The signing secret rotates with overlap and never leaves the backends.
 *
 * <p><b>Threads.</b> Safe for concurrent use; does not block.
 */
@ProviderType
public interface Tokens {

  /**
   * Signs claims. They are readable by whoever holds the token: no secrets.
   *
   * @param purpose binds the token to one use, e.g. {@code mcp.session}; a token never verifies
   *     under another purpose
   * @param claims at most 1,024 bytes
   * @return base64url text
   */
  String issue(String purpose, byte[] claims, Duration timeToLive);

  /**
   * The claims of a genuine, unexpired token of this purpose; empty for anything else. Never throws
   * on garbage.
   */
  Optional<byte[]> verify(String purpose, String token);
}
