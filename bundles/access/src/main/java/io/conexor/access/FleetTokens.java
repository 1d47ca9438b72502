package io.conexor.access;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.access.Tokens;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import io.conexor.api.database.Schema;
import java.nio.ByteBuffer;
import java.security.InvalidKeyException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Signed tokens. A token is base64url of
 *
 * <pre>
 *   version (1) | secret id (4) | expiry, seconds since 1970 (8) | claims | HMAC-SHA256 (32)
 * </pre>
 *
 * where the HMAC covers the purpose as well, so that a token of one purpose never verifies under
 * another.
 *
 * <p>The secret comes from the configuration, or is made once and kept in PostgreSQL. There a new
 * one is accepted at once but signs only {@link #SETTLE} later, when every backend has read it; the
 * old one is accepted for the overlap. So no token is refused because of a rotation.
 */
@Component(
    service = {Tokens.class, FleetTokens.class},
    configurationPid = AccessConfig.PID)
@Designate(ocd = AccessConfig.class)
public final class FleetTokens implements Tokens {

  /** How often secrets are read from the database. */
  static final Duration REFRESH = Duration.ofSeconds(30);

  /** A new secret signs this long after it was made; several {@link #REFRESH}. */
  static final Duration SETTLE = Duration.ofMinutes(2);

  static final int MAX_CLAIMS = 1_024;

  private static final Logger log = LoggerFactory.getLogger(FleetTokens.class);

  private static final byte VERSION = 1;
  private static final int HEADER = 1 + 4 + 8;
  private static final int MAC = 32;
  private static final int MAX_TEXT = (HEADER + MAX_CLAIMS + MAC + 2) / 3 * 4;
  private static final Duration DATABASE = Duration.ofSeconds(5);

  /** Held while a fleet makes or replaces a secret, so that it makes one. */
  private static final long ADVISORY_LOCK = 0x636f_6e65_786f_7201L;

  /** The secrets as they are known; immutable. */
  private record Ring(FleetSecret signing, List<FleetSecret> accepted) {}

  private record FleetSecret(int id, SecretKeySpec key) {
    static FleetSecret of(byte[] secret) {
      byte[] named = Arrays.copyOf(secret, secret.length + 8);
      System.arraycopy("identity".getBytes(UTF_8), 0, named, secret.length, 8);
      int id = ByteBuffer.wrap(Digest.sha256(named)).getInt();
      return new FleetSecret(id, new SecretKeySpec(secret, "HmacSHA256"));
    }
  }

  private final Database database;
  private final Settings settings;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();
  private final ScheduledExecutorService timer;

  /** Written by the timer (and the constructor), read by everybody; null until first read. */
  private volatile @org.jspecify.annotations.Nullable Ring ring;

  /** Only for the timer's logging of transitions. */
  private int failures;

  @Activate
  public FleetTokens(
      @Reference(name = "database") Database database,
      @Reference(name = "schema") Schema schema,
      AccessConfig config) {
    this(database, Settings.checked(config), Clock.systemUTC());
    log.debug("tables are of version {}", schema.version());
  }

  FleetTokens(Database database, Settings settings, Clock clock) {
    this.database = database;
    this.settings = settings;
    this.clock = clock;
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-access-secrets");
              thread.setDaemon(true);
              return thread;
            });
    if (settings.fleetSecrets().isEmpty()) {
      refresh();
    } else {
      List<FleetSecret> configured =
          settings.fleetSecrets().stream()
              .map(secret -> FleetSecret.of(secret.reveal().getBytes(UTF_8)))
              .toList();
      ring = new Ring(configured.get(0), configured);
    }
  }

  @Deactivate
  void close() {
    timer.shutdownNow();
  }

  /** False until the secrets could be read once. */
  boolean isReady() {
    return ring != null;
  }

  @Override
  public String issue(String purpose, byte[] claims, Duration timeToLive) {
    if (claims.length > MAX_CLAIMS) {
      throw new IllegalArgumentException(
          "claims have " + claims.length + " bytes, more than " + MAX_CLAIMS);
    }
    FleetSecret signing = known().signing();
    ByteBuffer token = ByteBuffer.allocate(HEADER + claims.length + MAC);
    token.put(VERSION).putInt(signing.id());
    token.putLong(clock.instant().plus(timeToLive).getEpochSecond()).put(claims);
    token.put(mac(signing, purpose, token.array(), HEADER + claims.length));
    return Base64.getUrlEncoder().withoutPadding().encodeToString(token.array());
  }

  @Override
  public Optional<byte[]> verify(String purpose, String token) {
    if (token.length() > MAX_TEXT) {
      return Optional.empty();
    }
    byte[] bytes;
    try {
      bytes = Base64.getUrlDecoder().decode(token);
    } catch (IllegalArgumentException garbage) {
      return Optional.empty();
    }
    int end = bytes.length - MAC;
    if (end < HEADER || bytes[0] != VERSION) {
      return Optional.empty();
    }
    ByteBuffer header = ByteBuffer.wrap(bytes, 1, HEADER - 1);
    int id = header.getInt();
    long expires = header.getLong();
    for (FleetSecret secret : known().accepted()) {
      if (secret.id() == id
          && MessageDigest.isEqual(
              mac(secret, purpose, bytes, end), Arrays.copyOfRange(bytes, end, bytes.length))) {
        return clock.instant().getEpochSecond() < expires
            ? Optional.of(Arrays.copyOfRange(bytes, HEADER, end))
            : Optional.empty();
      }
    }
    return Optional.empty();
  }

  /**
   * Short texts derived from the accepted secrets, the signing one's first: the same on every
   * backend without being stored anywhere.
   */
  List<Secret> derived(String purpose) {
    Ring known = known();
    List<Secret> texts = new ArrayList<>();
    texts.add(derived(known.signing(), purpose));
    known.accepted().forEach(secret -> texts.add(derived(secret, purpose)));
    return texts;
  }

  private static Secret derived(FleetSecret secret, String purpose) {
    byte[] mac = mac(secret, purpose, new byte[0], 0);
    return new Secret(
        Base64.getUrlEncoder().withoutPadding().encodeToString(Arrays.copyOf(mac, 24)));
  }

  private Ring known() {
    Ring known = ring;
    if (known == null) {
      throw new ConexorException(
          Blame.DEPENDENCY,
          Applied.NO,
          "fleet_secret_unknown",
          "the fleet secret could not be read from PostgreSQL yet",
          null,
          Duration.ofSeconds(1));
    }
    return known;
  }

  private static byte[] mac(FleetSecret secret, String purpose, byte[] bytes, int length) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(secret.key());
      byte[] name = purpose.getBytes(UTF_8);
      // The length keeps the border between purpose and token where it is.
      mac.update((byte) (name.length >>> 8));
      mac.update((byte) name.length);
      mac.update(name);
      mac.update(bytes, 0, length);
      return mac.doFinal();
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new IllegalStateException("every Java platform has HmacSHA256", e);
    }
  }

  private void refresh() {
    Duration next = REFRESH;
    try {
      Ring read = read();
      Ring before = ring;
      ring = read;
      if (before == null) {
        log.info("fleet secret is known, {} accepted", read.accepted().size());
      } else if (before.signing().id() != read.signing().id()) {
        log.info("fleet secret was replaced, {} accepted", read.accepted().size());
      }
      failures = 0;
    } catch (RuntimeException e) {
      failures++;
      if (Integer.bitCount(failures) == 1) {
        log.warn("can't read the fleet secret (attempt {}): {}", failures, e.getMessage());
      }
      if (ring == null) {
        next = Duration.ofSeconds(1);
      }
    }
    if (!timer.isShutdown()) {
      var unused = timer.schedule(this::refresh, next.toMillis(), MILLISECONDS);
    }
  }

  private record Stored(byte[] secret, Duration age) {}

  private Ring read() {
    List<Stored> stored =
        database.read(Consistency.strong(), Deadline.in(DATABASE), FleetTokens::select);
    Duration rotation = settings.fleetSecretRotation();
    boolean isDue =
        stored.isEmpty() || (!rotation.isZero() && stored.get(0).age().compareTo(rotation) > 0);
    if (isDue) {
      stored = database.write(Deadline.in(DATABASE), this::replace).value();
    }
    List<FleetSecret> accepted = new ArrayList<>();
    Optional<FleetSecret> signing = Optional.empty();
    for (Stored each : stored) {
      FleetSecret secret = FleetSecret.of(each.secret());
      accepted.add(secret);
      if (signing.isEmpty() && each.age().compareTo(SETTLE) >= 0) {
        signing = Optional.of(secret);
      }
    }
    // None is old enough on the first day: the oldest is the one everybody has had longest.
    return new Ring(
        signing.orElseGet(() -> accepted.get(accepted.size() - 1)), List.copyOf(accepted));
  }

  private static List<Stored> select(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT secret, extract(epoch FROM now() - created_at)::bigint FROM fleet_secrets"
                    + " ORDER BY created_at DESC, id DESC");
        ResultSet rows = statement.executeQuery()) {
      List<Stored> stored = new ArrayList<>();
      while (rows.next()) {
        stored.add(new Stored(rows.getBytes(1), Duration.ofSeconds(rows.getLong(2))));
      }
      return stored;
    }
  }

  private List<Stored> replace(Connection connection) throws SQLException {
    try (PreparedStatement lock = connection.prepareStatement("SELECT pg_advisory_xact_lock(?)")) {
      lock.setLong(1, ADVISORY_LOCK);
      lock.executeQuery().close();
    }
    List<Stored> stored = select(connection);
    Duration rotation = settings.fleetSecretRotation();
    if (!stored.isEmpty() && (rotation.isZero() || stored.get(0).age().compareTo(rotation) <= 0)) {
      return stored; // another backend was faster
    }
    byte[] secret = new byte[32];
    random.nextBytes(secret);
    try (PreparedStatement insert =
        connection.prepareStatement("INSERT INTO fleet_secrets (id, secret) VALUES (?, ?)")) {
      insert.setObject(1, UUID.randomUUID());
      insert.setBytes(2, secret);
      insert.executeUpdate();
    }
    try (PreparedStatement delete =
        connection.prepareStatement(
            "DELETE FROM fleet_secrets old WHERE EXISTS (SELECT 1 FROM fleet_secrets newer"
                + " WHERE newer.created_at > old.created_at"
                + " AND newer.created_at < now() - make_interval(secs => ?))")) {
      delete.setDouble(1, (double) settings.fleetSecretOverlap().toSeconds());
      delete.executeUpdate();
    }
    log.info("made a fleet secret; it signs in {} s", stored.isEmpty() ? 0 : SETTLE.toSeconds());
    return select(connection);
  }
}
