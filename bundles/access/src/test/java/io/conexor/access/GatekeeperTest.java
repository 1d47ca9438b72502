package io.conexor.access;

import static io.conexor.access.Fixture.now;
import static io.conexor.access.Fixture.secret;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.Secret;
import io.conexor.api.access.Access.Authentication.Granted;
import io.conexor.api.access.Access.Authentication.Refused;
import io.conexor.api.access.Access.SignIn;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.access.UserId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.DirectDatabase;
import io.conexor.api.database.LocalPostgres;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionsUnavailableException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GatekeeperTest {

  private static final Secret PASSWORD = new Secret("correct horse battery");

  @TempDir Path data;

  private final LocalPostgres server = Fixture.Server.SHARED;
  private final DirectDatabase database = Fixture.database();
  private final Fixture.ManualTime time = new Fixture.ManualTime();
  private final ScriptedCatalog catalog = new ScriptedCatalog();
  private final ScriptedSessions sessions = new ScriptedSessions();
  private ApiKeys keys;
  private People people;
  private FleetTokens tokens;
  private Gatekeeper access;
  private OrgId org;

  @BeforeEach
  void start() {
    Fixture.fleet(server, "delete from organisations");
    Settings settings = Fixture.settings(data);
    keys = new ApiKeys(database, catalog, settings, time, time::nanoTime);
    keys.bindBackplane(new ScriptedBackplane());
    people = new People(database, settings);
    people.bindSessions(sessions);
    tokens = new FleetTokens(database, settings, time);
    access = new Gatekeeper(keys, people, tokens, catalog, settings, time::nanoTime);
    access.bindSessions(sessions);
    org = Fixture.organisation(server);
  }

  @AfterEach
  void stop() {
    access.close();
    tokens.close();
    people.close();
    keys.close();
    database.close();
  }

  private UserId member(String email) {
    return people.create(org, UserId.random(), email, Role.MEMBER, PASSWORD).id();
  }

  private SignIn signIn(String email, String password) {
    return now(access.signIn(email, secret(password), "192.0.2.1"));
  }

  @Test
  void the_right_password_starts_a_session_that_authenticates() {
    UserId id = member("ada@example.org");

    SignIn.Welcome welcome = (SignIn.Welcome) signIn(" Ada@Example.org ", "correct horse battery");

    Principal.User user =
        (Principal.User)
            ((Granted) now(access.authenticate(new Credential.Login(welcome.session().id()))))
                .principal();
    assertThat(user).isEqualTo(welcome.user());
    assertThat(user.id()).isEqualTo(id);
    assertThat(user.org()).isEqualTo(org);
    assertThat(user.role()).isEqualTo(Role.MEMBER);
  }

  @Test
  void a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    member("ada@example.org");

    SignIn wrong = signIn("ada@example.org", "incorrect horse battery");
    SignIn unknown = signIn("nobody@example.org", "incorrect horse battery");

    assertThat(wrong).isInstanceOf(SignIn.Refused.class).isEqualTo(unknown);
    assertThat(signIn("ada@example.org", "x".repeat(5_000))).isEqualTo(wrong);
    assertThat(sessions.sessions).isEmpty();
  }

  @Test
  void guessing_is_slowed_down_per_account_and_success_forgives() {
    member("ada@example.org");
    for (int i = 0; i < 4; i++) {
      signIn("ada@example.org", "guess number " + i);
    }
    assertThat(signIn("ada@example.org", "correct horse battery"))
        .isInstanceOf(SignIn.Welcome.class);
    for (int i = 0; i < 5; i++) {
      assertThat(signIn("ada@example.org", "guess number " + i)).isInstanceOf(SignIn.Refused.class);
    }

    assertThat(signIn("ada@example.org", "correct horse battery"))
        .isInstanceOfSatisfying(
            SignIn.TooMany.class, wait -> assertThat(wait.retryAfter()).isPositive());

    time.pass(Duration.ofSeconds(31));
    assertThat(signIn("ada@example.org", "correct horse battery"))
        .isInstanceOf(SignIn.Welcome.class);
  }

  @Test
  void one_address_cannot_try_many_accounts() {
    List<SignIn> answers = new ArrayList<>();
    for (int i = 0; i < 22; i++) {
      answers.add(
          now(
              access.signIn(
                  "user" + i + "@example.org", secret("some password"), "2001:db8::" + i)));
    }

    assertThat(answers).filteredOn(SignIn.TooMany.class::isInstance).isNotEmpty();
  }

  @Test
  void an_ipv6_neighbourhood_is_one_address() {
    assertThat(Gatekeeper.network("2001:db8:1:2::1"))
        .isEqualTo(Gatekeeper.network("2001:db8:1:2:ffff::9"));
    assertThat(Gatekeeper.network("2001:db8:1:3::1"))
        .isNotEqualTo(Gatekeeper.network("2001:db8:1:2::1"));
    assertThat(Gatekeeper.network("192.0.2.1")).isEqualTo("192.0.2.1");
  }

  @Test
  void a_flood_of_log_ins_is_bounded_and_told_to_come_back() {
    List<CompletionStage<SignIn>> flood = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      flood.add(
          access.signIn("user" + i + "@example.org", secret("some password"), "192.0.2." + i));
    }

    List<SignIn> answers = flood.stream().map(Fixture::now).toList();
    assertThat(answers).hasAtLeastOneElementOfType(SignIn.Refused.class);
    assertThat(answers).hasAtLeastOneElementOfType(SignIn.TooMany.class);
  }

  @Test
  void when_the_session_store_is_away_nobody_is_logged_out() {
    member("ada@example.org");
    SignIn.Welcome welcome = (SignIn.Welcome) signIn("ada@example.org", "correct horse battery");
    Credential login = new Credential.Login(welcome.session().id());

    sessions.isAway = true;
    assertThatThrownBy(() -> now(access.authenticate(login)))
        .isInstanceOf(SessionsUnavailableException.class);

    sessions.isAway = false;
    assertThat(now(access.authenticate(login))).isInstanceOf(Granted.class);
  }

  @Test
  void an_unknown_session_is_refused() {
    assertThat(now(access.authenticate(new Credential.Login(new SessionId("a".repeat(30))))))
        .isInstanceOf(Refused.class);
  }

  @Test
  void a_changed_password_and_a_removed_account_end_sessions() {
    UserId id = member("ada@example.org");
    member("bob@example.org");
    signIn("ada@example.org", "correct horse battery");
    people.changePassword(org, id, secret("another horse battery"), Optional.empty());
    assertThat(sessions.sessions).isEmpty();
    assertThat(signIn("ada@example.org", "correct horse battery"))
        .isInstanceOf(SignIn.Refused.class);
    assertThat(signIn("ada@example.org", "another horse battery"))
        .isInstanceOf(SignIn.Welcome.class);

    people.remove(org, id);

    assertThat(sessions.sessions).isEmpty();
    assertThat(people.list(org)).extracting(u -> u.email()).containsExactly("bob@example.org");
  }

  @Test
  void whoever_changes_the_own_password_stays_signed_in_there_and_nowhere_else() {
    UserId id = member("ada@example.org");
    SessionId here =
        ((SignIn.Welcome) signIn("ada@example.org", "correct horse battery")).session().id();
    signIn("ada@example.org", "correct horse battery");

    people.changePassword(org, id, secret("another horse battery"), Optional.of(here));

    assertThat(sessions.sessions).containsOnlyKeys(here);
  }

  @Test
  void the_last_administrator_stays() {
    UserId ada = people.create(org, UserId.random(), "ada@example.org", Role.ADMIN, PASSWORD).id();
    UserId bob = people.create(org, UserId.random(), "bob@example.org", Role.ADMIN, PASSWORD).id();
    people.remove(org, bob);

    assertThatThrownBy(() -> people.remove(org, ada))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("last_administrator"));
    assertThat(people.list(org)).hasSize(1);
  }

  @Test
  void accounts_of_another_organisation_are_out_of_reach() {
    UserId id = member("ada@example.org");
    OrgId stranger = Fixture.organisation(server);

    assertThat(people.list(stranger)).isEmpty();
    assertThatThrownBy(
            () ->
                people.changePassword(
                    stranger, id, secret("another horse battery"), Optional.empty()))
        .isInstanceOf(ConexorException.class);
    people.remove(stranger, id);
    assertThat(people.list(org)).hasSize(1);
  }

  @Test
  void an_address_is_taken_once_whatever_its_case_and_the_same_id_is_safe() {
    UserId id = member("ada@example.org");

    assertThat(people.create(org, id, "ADA@example.org", Role.MEMBER, PASSWORD).id()).isEqualTo(id);
    assertThatThrownBy(() -> member("Ada@example.org"))
        .isInstanceOfSatisfying(
            ConexorException.class, e -> assertThat(e.code()).isEqualTo("email_taken"));
  }

  @Test
  void weak_passwords_and_wrong_addresses_are_refused() {
    for (String weak :
        List.of("", "short", "aaaaaaaaaaaaaaaa", "ada@example.org", "x".repeat(2_000))) {
      assertThatThrownBy(
              () ->
                  people.create(org, UserId.random(), "ada@example.org", Role.MEMBER, secret(weak)))
          .isInstanceOf(ConexorException.class)
          .hasMessageNotContaining("aaaa");
    }
    for (String wrong : List.of("", "ada", "@", "a@b c", "a\u0000@b", "a".repeat(400) + "@b")) {
      assertThatThrownBy(() -> people.create(org, UserId.random(), wrong, Role.MEMBER, PASSWORD))
          .isInstanceOf(ConexorException.class);
    }
  }

  private String setupToken() throws Exception {
    Path file = data.resolve("setup-token");
    await().atMost(Duration.ofSeconds(10)).until(() -> Files.exists(file));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-------");
    return Files.readString(file).strip();
  }

  private Optional<OrgId> setUp(String token, String slug) {
    return now(access.setUp(secret(token), slug, "Acme", slug + "@example.org", PASSWORD));
  }

  @Test
  void set_up_works_once_and_with_the_token_only() throws Exception {
    String token = setupToken();
    assertThat(now(access.needsSetup())).isTrue();
    assertThat(setUp("x" + token, "acme")).isEmpty();
    assertThat(setUp("", "acme")).isEmpty();

    Optional<OrgId> acme = setUp(token, "acme");

    assertThat(acme).isPresent();
    assertThat(catalog.put).extracting(o -> o.slug()).containsExactly("acme");
    assertThat(now(access.needsSetup())).isFalse();
    assertThat(data.resolve("setup-token")).doesNotExist();
    assertThat(setUp(token, "again")).isEmpty();
    assertThat(signIn("acme@example.org", "correct horse battery"))
        .isInstanceOfSatisfying(
            SignIn.Welcome.class,
            welcome -> assertThat(welcome.user().role()).isEqualTo(Role.ADMIN));
  }

  @Test
  void a_race_for_the_set_up_has_one_winner() throws Exception {
    String token = setupToken();
    List<CompletableFuture<Optional<OrgId>>> race = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      race.add(
          access
              .setUp(secret(token), "org-" + i, "Acme", i + "@example.org", PASSWORD)
              .toCompletableFuture());
    }

    assertThat(race.stream().map(Fixture::now).filter(Optional::isPresent)).hasSize(1);
  }
}
