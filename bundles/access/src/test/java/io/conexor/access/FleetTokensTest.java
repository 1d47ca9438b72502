package io.conexor.access;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.Secret;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class FleetTokensTest {

  private static final byte[] CLAIMS = "who=me".getBytes(UTF_8);
  private static final Duration HOUR = Duration.ofHours(1);

  private final LocalPostgres server = Fixture.Server.SHARED;
  private final DirectDatabase database = Fixture.database();
  private final Fixture.ManualTime time = new Fixture.ManualTime();
  private FleetTokens tokens;

  @BeforeEach
  void start() {
    server.execute("delete from fleet_secrets");
    tokens = tokens();
  }

  private FleetTokens tokens() {
    return new FleetTokens(database, Fixture.settings(Path.of("target")), time);
  }

  @AfterEach
  void stop() {
    tokens.close();
    database.close();
  }

  @Test
  void a_token_gives_its_claims_back() {
    String token = tokens.issue("mcp.session", CLAIMS, HOUR);

    assertThat(tokens.verify("mcp.session", token)).contains(CLAIMS);
    assertThat(tokens.verify("mcp.session", tokens.issue("mcp.session", new byte[0], HOUR)))
        .contains(new byte[0]);
  }

  @Test
  void a_token_of_another_purpose_or_past_its_time_does_not_verify() {
    String token = tokens.issue("mcp.session", CLAIMS, HOUR);

    assertThat(tokens.verify("mcp.sessio", token)).isEmpty();
    assertThat(tokens.verify("hub.connection", token)).isEmpty();
    time.pass(HOUR);
    assertThat(tokens.verify("mcp.session", token)).isEmpty();
  }

  @Test
  void every_changed_bit_is_noticed() {
    byte[] token = Base64.getUrlDecoder().decode(tokens.issue("p", CLAIMS, HOUR));
    for (int bit = 0; bit < token.length * 8; bit++) {
      byte[] forged = token.clone();
      forged[bit / 8] ^= (byte) (1 << (bit % 8));

      assertThat(tokens.verify("p", Base64.getUrlEncoder().encodeToString(forged))).isEmpty();
    }
  }

  @Test
  void garbage_is_not_a_token_and_does_not_throw() {
    Random random = new Random(1);
    for (int i = 0; i < 10_000; i++) {
      byte[] garbage = new byte[random.nextInt(200)];
      random.nextBytes(garbage);

      assertThat(tokens.verify("p", Base64.getUrlEncoder().encodeToString(garbage))).isEmpty();
      assertThat(tokens.verify("p", new String(garbage, UTF_8))).isEmpty();
    }
    assertThat(tokens.verify("p", "A".repeat(1_000_000))).isEmpty();
  }

  @Test
  void too_many_claims_are_refused_when_issued() {
    assertThatThrownBy(() -> tokens.issue("p", new byte[1_025], HOUR))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(tokens.verify("p", tokens.issue("p", new byte[1_024], HOUR))).isPresent();
  }

  @Test
  void every_backend_accepts_what_one_issued() {
    FleetTokens elsewhere = tokens();

    assertThat(elsewhere.verify("p", tokens.issue("p", CLAIMS, HOUR))).contains(CLAIMS);
    elsewhere.close();
  }

  @Test
  void a_rotation_loses_no_token() {
    String before = tokens.issue("p", CLAIMS, HOUR);
    server.execute("update fleet_secrets set created_at = now() - interval '91 days'");

    FleetTokens rotating = tokens();
    String fresh = rotating.issue("p", CLAIMS, HOUR);
    assertThat(tokens.verify("p", fresh))
        .as("a backend that has not read the new secret yet")
        .contains(CLAIMS);

    server.execute("update fleet_secrets set created_at = created_at - interval '3 minutes'");
    FleetTokens settled = tokens();
    assertThat(settled.verify("p", before)).contains(CLAIMS);
    assertThat(settled.issue("p", CLAIMS, HOUR).substring(0, 6))
        .as("now the new one signs")
        .isNotEqualTo(before.substring(0, 6));
    rotating.close();
    settled.close();
  }

  @Test
  void a_configured_secret_needs_no_database_and_overlaps_with_the_one_before() {
    FleetTokens old = configured("an old secret of thirty-two chars");
    FleetTokens both =
        configured("a new secret, also of 32 characters", "an old secret of thirty-two chars");

    assertThat(both.verify("p", old.issue("p", CLAIMS, HOUR))).contains(CLAIMS);
    assertThat(old.verify("p", both.issue("p", CLAIMS, HOUR))).isEmpty();
    old.close();
    both.close();
  }

  private FleetTokens configured(String... secrets) {
    Settings settings = Fixture.settings(Path.of("target"));
    return new FleetTokens(
        database,
        new Settings(
            settings.dataFolder(),
            List.of(secrets).stream().map(Secret::new).toList(),
            settings.fleetSecretRotation(),
            settings.fleetSecretOverlap(),
            settings.keyCacheSize(),
            settings.keyRefresh(),
            settings.keyMaxAge(),
            settings.keyUnknown(),
            settings.passwordConcurrency(),
            settings.passwordQueue(),
            settings.passwordLengthMin(),
            settings.accountBurst(),
            settings.accountInterval(),
            settings.addressBurst(),
            settings.addressInterval(),
            settings.sessionTimeToLive(),
            settings.threads(),
            settings.queue()),
        time);
  }
}
