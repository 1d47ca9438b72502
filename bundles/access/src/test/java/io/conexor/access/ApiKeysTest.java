package io.conexor.access;

import static io.conexor.access.Fixture.now;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Secret;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Access.Authentication.Granted;
import io.conexor.api.access.Access.Authentication.Refused;
import io.conexor.api.access.ApiKey;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ApiKeysTest {

  private final LocalPostgres server = Fixture.Server.SHARED;
  private final DirectDatabase database = Fixture.database();
  private final Fixture.ManualTime time = new Fixture.ManualTime();
  private final ScriptedCatalog catalog = new ScriptedCatalog();
  private final ScriptedBackplane backplane = new ScriptedBackplane();
  private final OrgId org = Fixture.organisation(server);
  private ApiKeys keys;
  private ApiKeys elsewhere;

  @BeforeEach
  void start() {
    keys = keys();
    elsewhere = keys();
  }

  private ApiKeys keys() {
    ApiKeys started =
        new ApiKeys(database, catalog, Fixture.settings(Path.of("target")), time, time::nanoTime);
    started.bindBackplane(backplane);
    return started;
  }

  @AfterEach
  void stop() {
    keys.close();
    elsewhere.close();
    database.close();
  }

  private Secret admin() {
    return create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty()).secret().orElseThrow();
  }

  private io.conexor.api.access.Keys.NewKey create(
      ApiKey.Kind kind, Optional<UUID> owner, Optional<Duration> life) {
    return keys.create(
        org,
        KeyId.random(),
        kind,
        owner.map(UUID::toString),
        "test",
        life.map(time.instant()::plus));
  }

  private static Principal principal(CompletionStage<Authentication> stage) {
    return ((Granted) now(stage)).principal();
  }

  @Test
  void a_key_of_each_kind_makes_its_principal() {
    UUID agent = Fixture.agent(server, org, "berlin");
    UUID mcp = Fixture.mcpServer(server, org, "sales");
    var agentKey = create(ApiKey.Kind.AGENT, Optional.of(agent), Optional.empty());
    var serverKey = create(ApiKey.Kind.SERVER, Optional.of(mcp), Optional.empty());
    var token = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());

    assertThat(principal(keys.authenticate(agentKey.secret().orElseThrow())))
        .isEqualTo(new Principal.AgentKey(org, agentKey.key().id(), new AgentId(agent), "berlin"));
    assertThat(principal(keys.authenticate(serverKey.secret().orElseThrow())))
        .isEqualTo(
            new Principal.ServerKey(org, serverKey.key().id(), "test", new McpServerId(mcp)));
    assertThat(principal(keys.authenticate(token.secret().orElseThrow())))
        .isEqualTo(new Principal.AdminToken(org, token.key().id(), "test"));
  }

  @Test
  void a_key_seen_before_is_answered_at_once_and_without_the_database() {
    Secret key = admin();
    now(keys.authenticate(key));
    int uses = database.uses.get();

    for (int i = 0; i < 1_000; i++) {
      assertThat(keys.authenticate(key).toCompletableFuture()).isCompleted();
    }

    assertThat(database.uses).hasValue(uses);
  }

  @Test
  void only_the_hash_is_stored() throws Exception {
    Secret key = admin();
    try (var connection = server.connect();
        var statement = connection.createStatement()) {
      statement.execute("set conexor.org = '*'");
      var row = statement.executeQuery("select string_agg(k::text, ' ') from api_keys k");
      row.next();

      assertThat(row.getString(1)).doesNotContain(key.reveal().substring(4, 30));
    }
  }

  @Test
  void a_mistyped_key_is_refused_without_the_database() {
    int uses = database.uses.get();

    assertThat(now(keys.authenticate(new Secret(admin().reveal() + "x"))))
        .isInstanceOfSatisfying(
            Refused.class, refused -> assertThat(refused.reason()).contains("mistyped"));
    assertThat(database.uses.get() - uses).isEqualTo(1); // making the key
  }

  @Test
  void an_unknown_key_asks_the_database_once_in_a_while() {
    Secret stranger = KeyText.random(ApiKey.Kind.ADMIN, new SecureRandom());
    assertThat(now(keys.authenticate(stranger))).isInstanceOf(Refused.class);
    int uses = database.uses.get();

    for (int i = 0; i < 100; i++) {
      assertThat(now(keys.authenticate(stranger))).isInstanceOf(Refused.class);
    }
    assertThat(database.uses).hasValue(uses);

    time.pass(Duration.ofSeconds(11));
    now(keys.authenticate(stranger));
    assertThat(database.uses).hasValue(uses + 1);
  }

  @Test
  void the_same_id_again_makes_no_second_key_and_shows_no_secret() {
    KeyId id = KeyId.random();
    var first = keys.create(org, id, ApiKey.Kind.ADMIN, Optional.empty(), "ci", Optional.empty());
    var second = keys.create(org, id, ApiKey.Kind.ADMIN, Optional.empty(), "ci", Optional.empty());

    assertThat(second.secret()).isEmpty();
    assertThat(second.key()).isEqualTo(first.key());
    assertThat(keys.list(org)).hasSize(1);
  }

  @Test
  void a_revoked_key_is_refused_by_every_backend_at_once() {
    var made = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());
    Secret key = made.secret().orElseThrow();
    now(keys.authenticate(key));
    now(elsewhere.authenticate(key));

    assertThat(keys.revoke(org, made.key().id())).isTrue();

    assertThat(now(keys.authenticate(key))).isInstanceOf(Refused.class);
    assertThat(now(elsewhere.authenticate(key))).isInstanceOf(Refused.class);
    assertThat(keys.list(org).get(0).revokedAt()).isPresent();
  }

  @Test
  void a_revocation_lost_by_the_backplane_is_found_out_by_the_refresh() {
    var made = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());
    Secret key = made.secret().orElseThrow();
    now(elsewhere.authenticate(key));
    backplane.isLosing = true;
    keys.revoke(org, made.key().id());
    assertThat(now(elsewhere.authenticate(key))).isInstanceOf(Granted.class);

    time.pass(Duration.ofSeconds(61));
    now(elsewhere.authenticate(key));

    await()
        .atMost(Duration.ofSeconds(5))
        .untilAsserted(
            () -> assertThat(now(elsewhere.authenticate(key))).isInstanceOf(Refused.class));
  }

  @Test
  void after_a_gap_the_next_use_asks_the_database_first() {
    var made = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());
    Secret key = made.secret().orElseThrow();
    now(elsewhere.authenticate(key));
    backplane.isLosing = true;
    keys.revoke(org, made.key().id());

    backplane.gap(ApiKeys.TOPIC);

    assertThat(now(elsewhere.authenticate(key))).isInstanceOf(Refused.class);
  }

  @Test
  void a_revocation_is_published_again_until_the_backplane_takes_it() {
    var made = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());
    Secret key = made.secret().orElseThrow();
    now(elsewhere.authenticate(key));
    backplane.isAway = true;
    keys.revoke(org, made.key().id());
    backplane.isAway = false;

    await()
        .atMost(Duration.ofSeconds(5))
        .untilAsserted(
            () -> assertThat(now(elsewhere.authenticate(key))).isInstanceOf(Refused.class));
  }

  @Test
  void a_removed_owner_takes_its_keys_with_it() {
    UUID agent = Fixture.agent(server, org, "paris");
    Secret key =
        create(ApiKey.Kind.AGENT, Optional.of(agent), Optional.empty()).secret().orElseThrow();
    now(keys.authenticate(key));
    Fixture.fleet(server, "delete from agents where id = '%s'".formatted(agent));

    catalog.change(org);

    assertThat(now(keys.authenticate(key))).isInstanceOf(Refused.class);
  }

  @Test
  void an_expired_key_is_refused_from_memory_too() {
    Secret key =
        create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.of(Duration.ofSeconds(20)))
            .secret()
            .orElseThrow();
    assertThat(now(keys.authenticate(key))).isInstanceOf(Granted.class);
    int uses = database.uses.get();

    time.pass(Duration.ofSeconds(21));

    assertThat(now(keys.authenticate(key))).isEqualTo(new Refused("the key has expired"));
    assertThat(database.uses).hasValue(uses);
  }

  @Test
  void another_organisations_key_is_neither_listed_nor_revoked() {
    var made = create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.empty());
    OrgId stranger = Fixture.organisation(server);

    assertThat(keys.list(stranger)).isEmpty();
    assertThat(keys.revoke(stranger, made.key().id())).isFalse();
    assertThat(now(keys.authenticate(made.secret().orElseThrow()))).isInstanceOf(Granted.class);
  }

  @Test
  void wrong_owners_and_names_are_the_callers_fault() {
    UUID foreign = Fixture.agent(server, Fixture.organisation(server), "rome");

    assertThatThrownBy(() -> create(ApiKey.Kind.AGENT, Optional.of(foreign), Optional.empty()))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("key_owner_unknown"));
    assertThatThrownBy(() -> create(ApiKey.Kind.SERVER, Optional.empty(), Optional.empty()))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("key_owner_invalid"));
    assertThatThrownBy(
            () -> create(ApiKey.Kind.ADMIN, Optional.empty(), Optional.of(Duration.ofSeconds(-1))))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("key_expiry_invalid"));
  }

  @Test
  void uses_are_recorded_in_one_go() {
    Secret key = admin();
    now(keys.authenticate(key));
    int uses = database.uses.get();

    keys.recordUses();
    keys.recordUses();

    assertThat(database.uses).hasValue(uses + 1);
    assertThat(keys.list(org).get(0).lastUsedAt()).isPresent();
  }

  @Test
  void a_swapped_backplane_is_listened_to_and_the_old_one_is_not() {
    ScriptedBackplane next = new ScriptedBackplane();

    keys.bindBackplane(next);
    keys.unbindBackplane(backplane);

    assertThat(next.listeners()).isEqualTo(1);
    assertThat(backplane.listeners()).isEqualTo(1); // the other backend's
    keys.unbindBackplane(next);
  }

  @Test
  void known_keys_outlive_the_database_up_to_their_maximum_age() {
    try (LocalPostgres mortal = LocalPostgres.start().migrate();
        DirectDatabase own = new DirectDatabase(mortal)) {
      OrgId here = Fixture.organisation(mortal);
      ApiKeys lonely =
          new ApiKeys(own, catalog, Fixture.settings(Path.of("target")), time, time::nanoTime);
      lonely.bindBackplane(backplane);
      Secret key =
          lonely
              .create(
                  here, KeyId.random(), ApiKey.Kind.ADMIN, Optional.empty(), "x", Optional.empty())
              .secret()
              .orElseThrow();
      now(lonely.authenticate(key));
      mortal.pause();

      time.pass(Duration.ofHours(1));
      assertThat(now(lonely.authenticate(key))).isInstanceOf(Granted.class);
      assertThat(lonely.isDatabaseAway()).isTrue();
      assertThat(lonely.authenticate(key).toCompletableFuture())
          .as("once it is known to be away nobody waits for it")
          .isCompleted();
      assertThatThrownBy(
              () -> now(lonely.authenticate(KeyText.random(ApiKey.Kind.ADMIN, new SecureRandom()))))
          .isInstanceOfSatisfying(
              ConexorException.class,
              e -> assertThat(e.blame()).isEqualTo(ConexorException.Blame.DEPENDENCY));

      time.pass(Duration.ofHours(24));
      assertThatThrownBy(() -> now(lonely.authenticate(key))).isInstanceOf(ConexorException.class);

      mortal.resume();
      assertThat(now(lonely.authenticate(key))).isInstanceOf(Granted.class);
      lonely.close();
    }
  }

  @Test
  void the_memory_is_bounded() {
    for (int i = 0; i < 12_000; i++) {
      keys.authenticate(KeyText.random(ApiKey.Kind.ADMIN, new SecureRandom()));
    }

    assertThat(Integer.parseInt(keys.facts().get("keysUnknown"))).isLessThanOrEqualTo(10_000);
    assertThat(Integer.parseInt(keys.facts().get("lookupsWaiting"))).isLessThanOrEqualTo(128);
  }

  @Test
  void a_known_key_is_cheap() {
    Secret key = admin();
    now(keys.authenticate(key));
    long best = Long.MAX_VALUE;
    for (int round = 0; round < 20; round++) {
      long start = System.nanoTime();
      for (int i = 0; i < 10_000; i++) {
        keys.authenticate(key);
      }
      best = Math.min(best, (System.nanoTime() - start) / 10_000);
    }
    System.out.println("a known key takes " + best + " ns");

    assertThat(best).isLessThan(20_000);
  }
}
