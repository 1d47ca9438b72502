package io.conexor.access;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.access.ApiKey;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Keys.NewKey;
import io.conexor.api.access.Principal;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The table {@code api_keys}. Methods block. */
final class KeyTable {

  private static final Duration LOOKUP = Duration.ofMillis(1_500);
  private static final Duration CHANGE = Duration.ofSeconds(5);

  /** How old an answer may be when the primary does not give one. */
  private static final Duration MAX_LAG = Duration.ofSeconds(30);

  private static final String COLUMNS =
      "id, org, kind, owner, name, prefix, created_at, expires_at, revoked_at, last_used_at";

  /** A key that may be used (but may have expired). */
  record Found(KeyId id, Principal principal, Optional<Instant> expiresAt) {}

  private final Database database;

  /** For what is not known to belong to an organisation yet. */
  private final Database fleet;

  KeyTable(Database database) {
    this.database = database;
    this.fleet = database.forFleet();
  }

  /**
   * Asks the primary, for a replica may not have heard of a revocation; a replica only if the
   * primary does not answer.
   */
  Optional<Found> find(byte[] hash) {
    Database.SqlWork<Optional<Found>> work = connection -> find(connection, hash);
    try {
      return fleet.read(Consistency.strong(), Deadline.in(LOOKUP), work);
    } catch (ConexorException e) {
      if (e.blame() != Blame.DEPENDENCY) {
        throw e;
      }
      try {
        return fleet.read(Consistency.eventual(MAX_LAG), Deadline.in(LOOKUP), work);
      } catch (ConexorException second) {
        second.addSuppressed(e);
        throw second;
      }
    }
  }

  private static Optional<Found> find(Connection connection, byte[] hash) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT k.id, k.org, k.kind, k.owner, k.name, k.expires_at, a.name"
                + " FROM api_keys k"
                + " LEFT JOIN agents a ON k.kind = 'AGENT' AND a.org = k.org"
                + " AND a.id = k.owner::uuid"
                + " LEFT JOIN mcp_servers s ON k.kind = 'SERVER' AND s.org = k.org"
                + " AND s.id = k.owner::uuid"
                + " WHERE k.hash = ? AND k.revoked_at IS NULL"
                + " AND (k.kind = 'ADMIN' OR a.id IS NOT NULL OR s.id IS NOT NULL)")) {
      statement.setBytes(1, hash);
      try (ResultSet row = statement.executeQuery()) {
        if (!row.next()) {
          return Optional.empty();
        }
        KeyId id = new KeyId(uuid(row, 1));
        OrgId org = new OrgId(uuid(row, 2));
        String name = text(row, 5);
        Principal principal =
            switch (ApiKey.Kind.valueOf(text(row, 3))) {
              case AGENT -> new Principal.AgentKey(org, id, AgentId.of(text(row, 4)), text(row, 7));
              case SERVER -> new Principal.ServerKey(org, id, name, McpServerId.of(text(row, 4)));
              case ADMIN -> new Principal.AdminToken(org, id, name);
            };
        return Optional.of(new Found(id, principal, instant(row, 6)));
      }
    }
  }

  NewKey create(
      OrgId org,
      KeyId id,
      ApiKey.Kind kind,
      Optional<String> owner,
      String name,
      String prefix,
      byte[] hash,
      Optional<Instant> expiresAt,
      Secret secret) {
    Optional<UUID> ownerId = owner.map(KeyTable::ownerId);
    return database
        .forOrganisation(org)
        .write(
            Deadline.in(CHANGE),
            connection -> {
              if (ownerId.isPresent() && !ownerExists(connection, org, kind, ownerId.get())) {
                throw ApiKeys.invalid(
                    "key_owner_unknown",
                    (kind == ApiKey.Kind.AGENT ? "agent '" : "MCP server '")
                        + ownerId.get()
                        + "' does not exist");
              }
              try (PreparedStatement insert =
                  connection.prepareStatement(
                      "INSERT INTO api_keys (id, org, kind, owner, name, prefix, hash,"
                          + " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                          + " ON CONFLICT (id) DO NOTHING RETURNING "
                          + COLUMNS)) {
                insert.setObject(1, id.value());
                insert.setObject(2, org.value());
                insert.setString(3, kind.name());
                insert.setString(4, ownerId.map(UUID::toString).orElse(null));
                insert.setString(5, name);
                insert.setString(6, prefix);
                insert.setBytes(7, hash);
                insert.setObject(
                    8,
                    expiresAt.map(at -> OffsetDateTime.ofInstant(at, ZoneOffset.UTC)).orElse(null));
                try (ResultSet row = insert.executeQuery()) {
                  if (row.next()) {
                    return new NewKey(key(row), Optional.of(secret));
                  }
                }
              }
              return existing(connection, org, id);
            })
        .value();
  }

  private static NewKey existing(Connection connection, OrgId org, KeyId id) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT " + COLUMNS + " FROM api_keys WHERE id = ? AND org = ?")) {
      select.setObject(1, id.value());
      select.setObject(2, org.value());
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          throw ApiKeys.invalid("key_id_taken", "the key id " + id + " is taken");
        }
        return new NewKey(key(row), Optional.empty());
      }
    }
  }

  private static UUID ownerId(String owner) {
    try {
      return UUID.fromString(owner);
    } catch (IllegalArgumentException e) {
      throw ApiKeys.invalid("key_owner_unknown", "a key's owner is the id of an agent or server");
    }
  }

  private static boolean ownerExists(Connection connection, OrgId org, ApiKey.Kind kind, UUID owner)
      throws SQLException {
    String table = kind == ApiKey.Kind.AGENT ? "agents" : "mcp_servers";
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT 1 FROM " + table + " WHERE org = ? AND id = ? FOR KEY SHARE")) {
      select.setObject(1, org.value());
      select.setObject(2, owner);
      try (ResultSet row = select.executeQuery()) {
        return row.next();
      }
    }
  }

  List<ApiKey> list(OrgId org) {
    return database
        .forOrganisation(org)
        .read(
            Consistency.caller(database),
            Deadline.in(CHANGE),
            connection -> {
              try (PreparedStatement select =
                  connection.prepareStatement(
                      "SELECT "
                          + COLUMNS
                          + " FROM api_keys WHERE org = ? AND (revoked_at IS NULL"
                          + " OR revoked_at > now() - interval '30 days')"
                          + " ORDER BY created_at DESC, id")) {
                select.setObject(1, org.value());
                try (ResultSet row = select.executeQuery()) {
                  List<ApiKey> keys = new ArrayList<>();
                  while (row.next()) {
                    keys.add(key(row));
                  }
                  return keys;
                }
              }
            });
  }

  boolean revoke(OrgId org, KeyId id) {
    return database
        .forOrganisation(org)
        .write(
            Deadline.in(CHANGE),
            connection -> {
              try (PreparedStatement update =
                  connection.prepareStatement(
                      "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())"
                          + " WHERE id = ? AND org = ?")) {
                update.setObject(1, id.value());
                update.setObject(2, org.value());
                return update.executeUpdate() == 1;
              }
            })
        .value();
  }

  void recordUses(Map<KeyId, Instant> uses) {
    var unused =
        fleet.write(
            Deadline.in(CHANGE),
            connection -> {
              // Sorted, so that two backends recording the same keys can't wait for each other.
              List<Map.Entry<KeyId, Instant>> sorted =
                  uses.entrySet().stream()
                      .sorted(java.util.Comparator.comparing(entry -> entry.getKey().value()))
                      .toList();
              try (PreparedStatement update =
                  connection.prepareStatement(
                      "UPDATE api_keys SET last_used_at = greatest(last_used_at, ?)"
                          + " WHERE id = ?")) {
                for (Map.Entry<KeyId, Instant> use : sorted) {
                  update.setObject(1, OffsetDateTime.ofInstant(use.getValue(), ZoneOffset.UTC));
                  update.setObject(2, use.getKey().value());
                  update.addBatch();
                }
                return update.executeBatch().length;
              }
            });
  }

  private static ApiKey key(ResultSet row) throws SQLException {
    return new ApiKey(
        new KeyId(uuid(row, 1)),
        new OrgId(uuid(row, 2)),
        ApiKey.Kind.valueOf(text(row, 3)),
        Optional.ofNullable(row.getString(4)),
        text(row, 5),
        text(row, 6),
        instant(row, 7).orElse(Instant.EPOCH),
        instant(row, 8),
        instant(row, 9),
        instant(row, 10));
  }

  static UUID uuid(ResultSet row, int column) throws SQLException {
    return row.getObject(column, UUID.class);
  }

  static String text(ResultSet row, int column) throws SQLException {
    return present(row.getString(column));
  }

  static Optional<Instant> instant(ResultSet row, int column) throws SQLException {
    Timestamp at = row.getTimestamp(column);
    return at == null ? Optional.empty() : Optional.of(at.toInstant());
  }

  private static String present(@Nullable String text) throws SQLException {
    if (text == null) {
      throw new SQLException("a column that is NOT NULL is null");
    }
    return text;
  }
}
