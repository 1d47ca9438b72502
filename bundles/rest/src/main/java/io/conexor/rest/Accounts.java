package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Secret;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.access.UserId;
import io.conexor.api.access.Users;
import io.conexor.api.audit.AuditRecord.Outcome;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import tools.jackson.databind.node.ObjectNode;

/** Signing in and out, the first-run set-up, and people. */
final class Accounts {

  private static final Pattern SLUG = Pattern.compile("[a-z0-9-]{1,63}");
  private static final int MAX_PASSWORD = 1_024;
  private static final Pattern ATTRIBUTE = Pattern.compile("[A-Za-z0-9._-]{1,48}");
  private static final int MAX_ATTRIBUTES = 32;
  private static final int MAX_VALUE = 4_096;

  /** What pages keep in a session does not meet what the server keeps there. */
  private static final String KEPT = "page.";

  private final Access access;
  private final Users users;
  private final Supplier<SessionStore> sessions;

  Accounts(Access access, Users users, Supplier<SessionStore> sessions) {
    this.access = access;
    this.users = users;
    this.sessions = sessions;
  }

  void login(Call call) {
    Json.Body body = Json.Body.of(call.exchange);
    String email = body.text("email", 320);
    Secret password = new Secret(body.text("password", MAX_PASSWORD));
    body.done();
    var unused =
        access
            .signIn(email, password, call.exchange.remoteAddress())
            .whenComplete(
                (outcome, failure) -> {
                  if (failure != null) {
                    Problem problem = RestApi.problem(failure).problem;
                    call.audited("session.create", Outcome.FAILED, null, problem.code());
                    call.problem(problem);
                  } else if (outcome instanceof Access.SignIn.Welcome welcome) {
                    call.is(welcome.user());
                    call.audited("session.create", Outcome.OK, null, null);
                    cookie(call.exchange, Optional.of(welcome.session().id()));
                    RestApi.respond(call, Answer.ok(session(welcome.user())));
                  } else if (outcome instanceof Access.SignIn.TooMany wait) {
                    call.audited("auth.refuse", Outcome.REFUSED, null, "too many attempts");
                    call.problem(
                        new Problem(
                            429,
                            "login_throttled",
                            "too many attempts to sign in; wait before the next",
                            io.conexor.api.ConexorException.Applied.NO,
                            Optional.of(wait.retryAfter()),
                            List.of()));
                  } else if (outcome instanceof Access.SignIn.Refused refused) {
                    call.audited("auth.refuse", Outcome.REFUSED, null, refused.reason());
                    call.problem(Problem.of(401, "login_refused", refused.reason()));
                  }
                });
  }

  Answer logout(Call call) {
    if (call.principal() instanceof Principal.User user) {
      sessions.get().remove(user.session());
      call.audited("session.remove", Outcome.OK, null, null);
      cookie(call.exchange, Optional.empty());
    }
    return Answer.noContent();
  }

  static Answer session(Call call) {
    return Answer.ok(session(call.principal()));
  }

  /** What a page keeps for this login: the same on all backends, gone with the session. */
  Answer attributes(Call call) {
    return Answer.ok(kept(sessions.get().find(ownSession(call))));
  }

  /** Sets and, where null is given, removes single attributes, as in a JSON merge patch. */
  Answer changeAttributes(Call call) {
    SessionId login = ownSession(call);
    Json.Body body = Json.Body.of(call.exchange);
    Map<String, String> set = new HashMap<>();
    List<String> removed = new ArrayList<>();
    for (String name : body.fields(MAX_ATTRIBUTES)) {
      if (!ATTRIBUTE.matcher(name).matches()) {
        body.wrong(name, "is not a name of 1 to 48 letters, digits, '.', '_' or '-'");
        continue;
      }
      body.optionalText(name, MAX_VALUE)
          .ifPresentOrElse(value -> set.put(KEPT + name, value), () -> removed.add(KEPT + name));
    }
    body.done();
    return Answer.ok(kept(sessions.get().update(login, set, removed)));
  }

  private static SessionId ownSession(Call call) {
    if (call.principal() instanceof Principal.User user) {
      return user.session();
    }
    throw Problem.raise(403, "no_session", "only a login has attributes, not a key");
  }

  private static ObjectNode kept(Optional<Session> session) {
    ObjectNode json = Json.object();
    session
        .orElseThrow(() -> Problem.raise(401, "session_ended", "the session has ended; sign in"))
        .attributes()
        .forEach(
            (name, value) -> {
              if (name.startsWith(KEPT)) {
                json.put(name.substring(KEPT.length()), value);
              }
            });
    return json;
  }

  private static ObjectNode session(Principal principal) {
    ObjectNode json = Json.object();
    json.put("subject", principal.subject()).put("organisationId", principal.org().toString());
    if (principal instanceof Principal.User user) {
      json.put("email", user.email()).put("role", user.role().name());
      json.put("csrfToken", csrf(user.session()));
    } else if (principal instanceof Principal.AdminToken) {
      json.put("role", Role.ADMIN.name());
    }
    return json;
  }

  /** A token only a page that may read this API's answers can know: derived from the cookie. */
  static String csrf(SessionId session) {
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256")
              .digest(("conexor csrf " + session.value()).getBytes(UTF_8));
      return Base64.getUrlEncoder().withoutPadding().encodeToString(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static void cookie(HttpExchange exchange, Optional<SessionId> session) {
    String name = (exchange.isSecure() ? "__Host-" : "") + Credential.COOKIE;
    exchange.withHeader(
        "Set-Cookie",
        name
            + "="
            + session.map(SessionId::value).orElse("")
            + "; Path=/; HttpOnly; SameSite=Strict"
            + (exchange.isSecure() ? "; Secure" : "")
            + (session.isEmpty() ? "; Max-Age=0" : ""));
  }

  void needsSetup(Call call) {
    var unused =
        access
            .needsSetup()
            .whenComplete(
                (needed, failure) -> {
                  if (failure != null) {
                    call.problem(RestApi.problem(failure).problem);
                  } else {
                    RestApi.respond(call, Answer.ok(Json.object().put("needed", needed)));
                  }
                });
  }

  void setUp(Call call) {
    Json.Body body = Json.Body.of(call.exchange);
    Secret token = new Secret(body.text("token", 200));
    String slug = body.text("organisation", SLUG);
    String name = body.optionalText("name", 200).orElse(slug);
    String email = body.text("email", 320);
    Secret password = new Secret(body.text("password", MAX_PASSWORD));
    body.done();
    var unused =
        access
            .setUp(token, slug, name, email, password)
            .whenComplete(
                (org, failure) -> {
                  if (failure != null) {
                    Problem problem = RestApi.problem(failure).problem;
                    call.audited("setup.complete", Outcome.FAILED, null, problem.code());
                    call.problem(problem);
                  } else if (org.isEmpty()) {
                    call.audited("setup.complete", Outcome.REFUSED, null, "wrong token, or done");
                    call.problem(
                        Problem.of(
                            403,
                            "setup_refused",
                            "the set-up token is wrong, or set-up has been done already"));
                  } else {
                    call.audited("setup.complete", Outcome.OK, "organisation:" + org.get(), null);
                    RestApi.respond(
                        call,
                        new Answer(
                            201,
                            Json.object()
                                .put("organisationId", org.get().toString())
                                .put("organisation", slug),
                            Map.of()));
                  }
                });
  }

  Answer list(Call call) {
    return Answer.listing(call, users.list(call.org()), Users.User::email, Accounts::json);
  }

  Answer create(Call call, UserId id) {
    Json.Body body = Json.Body.of(call.exchange);
    String email = body.text("email", 320);
    Role role = body.choice("role", Role.class).orElse(Role.MEMBER);
    Secret password = new Secret(body.text("password", MAX_PASSWORD));
    body.done();
    Users.User user = users.create(call.org(), id, email, role, password);
    call.audited("user.create", Outcome.OK, "user:" + id, null);
    return Answer.created(RestApi.PATH + "/users/" + id, json(user));
  }

  Answer remove(Call call) {
    UserId id = id(call);
    users.remove(call.org(), id);
    call.audited("user.remove", Outcome.OK, "user:" + id, null);
    return Answer.noContent();
  }

  Answer changePassword(Call call) {
    UserId id = id(call);
    boolean isOwn = call.principal() instanceof Principal.User user && user.id().equals(id);
    if (!isOwn && !call.isAdmin()) {
      throw Problem.raise(403, "forbidden", "only administrators change the passwords of others");
    }
    Json.Body body = Json.Body.of(call.exchange);
    Secret password = new Secret(body.text("password", MAX_PASSWORD));
    body.done();
    users.changePassword(
        call.org(),
        id,
        password,
        isOwn && call.principal() instanceof Principal.User user
            ? Optional.of(user.session())
            : Optional.empty());
    call.audited("user.password", Outcome.OK, "user:" + id, null);
    return Answer.noContent();
  }

  private static UserId id(Call call) {
    return Resources.id(call, 0, UserId::of, "user");
  }

  private static ObjectNode json(Users.User user) {
    return Json.object()
        .put("id", user.id().toString())
        .put("email", user.email())
        .put("role", user.role().name())
        .put("createdAt", user.createdAt().toString());
  }
}
