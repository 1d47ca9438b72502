package io.conexor.api.access;

import io.conexor.api.Secret;
import io.conexor.api.catalog.OrgId;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Makes, lists and revokes API keys. Several keys of one owner are valid side by side, so that
 * rotation overlaps.
 *
 * <p><b>Threads.</b> Safe for concurrent use. Methods block for at most the database deadline; not
 * for I/O threads.
 *
 * <p><b>Failure.</b> {@link io.conexor.api.ConexorException}; creating with the same id again is
 * safe and never shows the secret twice.
 */
@ProviderType
public interface Keys {

  /**
   * Makes a key. Its secret is returned here and nowhere else; only a hash is stored.
   *
   * @param owner the id of the agent or MCP server; empty only for {@link ApiKey.Kind#ADMIN}
   */
  NewKey create(
      OrgId org,
      KeyId id,
      ApiKey.Kind kind,
      Optional<String> owner,
      String name,
      Optional<Instant> expiresAt);

  /** All keys of the organisation, newest first, revoked ones included for 30 days. */
  List<ApiKey> list(OrgId org);

  /** Revokes at once on all backends. False when there is no such key in the organisation. */
  boolean revoke(OrgId org, KeyId id);

  /** A new key and, this once, its secret; empty when the id had been created before. */
  record NewKey(ApiKey key, Optional<Secret> secret) {}
}
