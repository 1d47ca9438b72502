package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Deadline;
import io.conexor.api.database.Database;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Repeated creates get the first answer again for a day.
 *
 * <p>An answer may hold a new API key, which is shown to its maker and stored nowhere: so the table
 * holds a hash of the Idempotency-Key, and answers encrypted under the key itself. Who reads the
 * table reads no secret, as long as the client's keys are random.
 */
final class Idempotency {

  private static final Duration DATABASE = Duration.ofSeconds(5);

  /** A first request that has not answered after this time is taken for dead. */
  private static final String TAKE_OVER = "interval '1 minute'";

  private static final int MAX_KEY = 255;

  /** What became of a query is known by its agent alone, so nothing takes the place of one. */
  private static final String QUERY = "POST /query";

  private final Database database;

  Idempotency(Database database) {
    this.database = database;
  }

  /** What the table says about a key. */
  private record Found(String operation, byte[] hash, int status, byte @Nullable [] body) {}

  /**
   * Runs a create, once per key.
   *
   * @param create is given the id of what it creates: the same for every repetition, so that
   *     repeating one whose outcome is unknown is safe too
   */
  Answer once(Call call, Function<UUID, Answer> create) {
    Optional<String> shown = call.exchange.header("Idempotency-Key");
    if (shown.isEmpty()) {
      return create.apply(UUID.randomUUID());
    }
    String key = checked(shown.get());
    byte[] request = sha256(call.operation.getBytes(UTF_8), call.exchange.body());
    String name = HexFormat.of().formatHex(derived(call, key, "name"));
    Optional<Found> found = reserve(call, name, request);
    if (found.isPresent()) {
      return again(call, key, found.get(), request);
    }
    ByteBuffer id = ByteBuffer.wrap(derived(call, key, "id"));
    try {
      // Version 4 and variant bits, as every UUID here has.
      UUID made =
          new UUID(
              (id.getLong() & ~0xf000L) | 0x4000L,
              (id.getLong() & 0x3fffffffffffffffL) | 0x8000000000000000L);
      Answer answer = create.apply(made);
      JsonNode body = answer.body();
      byte[] bytes = body == null ? new byte[0] : Json.bytes(body);
      store(call, name, answer.status(), crypt(Cipher.ENCRYPT_MODE, call, key, bytes));
      return answer;
    } catch (RuntimeException e) {
      forget(call, name);
      throw e;
    }
  }

  private static String checked(String key) {
    if (key.isBlank() || key.length() > MAX_KEY) {
      throw Problem.raise(
          400, "idempotency_key_invalid", "Idempotency-Key has 1 to " + MAX_KEY + " characters");
    }
    return key;
  }

  /** Whether nobody came with this key in the last day; 409 when it was for another request. */
  boolean isFirst(Call call, String key) {
    byte[] request = sha256(call.operation.getBytes(UTF_8), call.exchange.body());
    String name = HexFormat.of().formatHex(derived(call, checked(key), "name"));
    Optional<Found> found = reserve(call, name, request);
    if (found.isPresent()
        && (!found.get().operation().equals(call.operation)
            || !MessageDigest.isEqual(found.get().hash(), request))) {
      throw taken();
    }
    return found.isEmpty();
  }

  /** It certainly did not happen: the key may be used again. */
  void wasNot(Call call, String key) {
    forget(call, HexFormat.of().formatHex(derived(call, key, "name")));
  }

  private static Problem.Raised taken() {
    return Problem.raise(
        409,
        "idempotency_key_taken",
        "this Idempotency-Key was used for another request; use a new one");
  }

  private static Answer again(Call call, String key, Found found, byte[] request) {
    if (!found.operation().equals(call.operation)
        || !MessageDigest.isEqual(found.hash(), request)) {
      throw taken();
    }
    byte[] body = found.body();
    if (body == null) {
      throw new Problem.Raised(
          new Problem(
              409,
              "idempotency_in_progress",
              "the first request with this Idempotency-Key is still at work",
              io.conexor.api.ConexorException.Applied.UNKNOWN,
              Optional.of(Duration.ofSeconds(1)),
              java.util.List.of()));
    }
    byte[] bytes = crypt(Cipher.DECRYPT_MODE, call, key, body);
    return new Answer(
        found.status(),
        bytes.length == 0 ? null : Json.parse(bytes),
        java.util.Map.of("Idempotency-Replayed", "true"));
  }

  private Optional<Found> reserve(Call call, String name, byte[] request) {
    return database
        .forOrganisation(call.org())
        .write(Deadline.in(DATABASE), connection -> reserve(connection, call, name, request))
        .value();
  }

  private static Optional<Found> reserve(
      Connection connection, Call call, String name, byte[] request) throws SQLException {
    try (PreparedStatement old =
        connection.prepareStatement(
            "DELETE FROM idempotency_keys WHERE org = ? AND (created_at < now() - interval '1 day'"
                + " OR (key = ? AND operation <> '"
                + QUERY
                + "' AND status IS NULL AND created_at < now() - "
                + TAKE_OVER
                + "))")) {
      old.setObject(1, call.org().value());
      old.setString(2, name);
      old.executeUpdate();
    }
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO idempotency_keys (org, key, operation, request_hash) VALUES (?, ?, ?, ?)"
                + " ON CONFLICT (org, key) DO NOTHING")) {
      insert.setObject(1, call.org().value());
      insert.setString(2, name);
      insert.setString(3, call.operation);
      insert.setBytes(4, request);
      if (insert.executeUpdate() == 1) {
        return Optional.empty();
      }
    }
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT operation, request_hash, coalesce(status, 0), response_body"
                + " FROM idempotency_keys WHERE org = ? AND key = ?")) {
      select.setObject(1, call.org().value());
      select.setString(2, name);
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          throw new SQLException("an idempotency key vanished between two statements", "40001");
        }
        return Optional.of(
            new Found(row.getString(1), row.getBytes(2), row.getInt(3), row.getBytes(4)));
      }
    }
  }

  private void store(Call call, String name, int status, byte[] body) {
    var unused =
        database
            .forOrganisation(call.org())
            .write(
                Deadline.in(DATABASE),
                connection -> {
                  try (PreparedStatement update =
                      connection.prepareStatement(
                          "UPDATE idempotency_keys SET status = ?, response_body = ?"
                              + " WHERE org = ? AND key = ?")) {
                    update.setInt(1, status);
                    update.setBytes(2, body);
                    update.setObject(3, call.org().value());
                    update.setString(4, name);
                    return update.executeUpdate();
                  }
                });
  }

  private void forget(Call call, String name) {
    try {
      var unused =
          database
              .forOrganisation(call.org())
              .write(
                  Deadline.in(DATABASE),
                  connection -> {
                    try (PreparedStatement delete =
                        connection.prepareStatement(
                            "DELETE FROM idempotency_keys WHERE org = ? AND key = ?"
                                + " AND status IS NULL")) {
                      delete.setObject(1, call.org().value());
                      delete.setString(2, name);
                      return delete.executeUpdate();
                    }
                  });
    } catch (RuntimeException e) {
      // The reservation is taken over after a minute.
    }
  }

  private static byte[] derived(Call call, String key, String purpose) {
    return sha256(
        ("conexor idempotency " + purpose + "\n" + call.org() + "\n").getBytes(UTF_8),
        key.getBytes(UTF_8));
  }

  private static byte[] crypt(int mode, Call call, String key, byte[] bytes) {
    try {
      byte[] secret = derived(call, key, "body");
      Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
      // The key serves for one answer and is derived anew for each, so the nonce may be constant.
      cipher.init(
          mode,
          new SecretKeySpec(secret, "AES"),
          new GCMParameterSpec(128, Arrays.copyOf(derived(call, key, "nonce"), 12)));
      return cipher.doFinal(bytes);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("a stored answer can't be read", e);
    }
  }

  private static byte[] sha256(byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (byte[] part : parts) {
        digest.update(part);
      }
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
