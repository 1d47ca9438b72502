package io.conexor.api.access;

import io.conexor.api.catalog.OrgId;
import java.time.Instant;
import java.util.Optional;

/**
 * A key as it is listed: everything but its secret.
 *
 * @param owner the id of the agent or MCP server it belongs to; empty for an administrator's token
 * @param prefix its first characters, for recognition
 * @param lastUsedAt to within a minute
 */
public record ApiKey(
    KeyId id,
    OrgId org,
    Kind kind,
    Optional<String> owner,
    String name,
    String prefix,
    Instant createdAt,
    Optional<Instant> expiresAt,
    Optional<Instant> revokedAt,
    Optional<Instant> lastUsedAt) {

  /** What a key is for, and how its text begins. */
  public enum Kind {
    AGENT("pk_"),
    SERVER("mcp_"),
    ADMIN("adm_");

    private final String prefix;

    Kind(String prefix) {
      this.prefix = prefix;
    }

    public String prefix() {
      return prefix;
    }
  }
}
