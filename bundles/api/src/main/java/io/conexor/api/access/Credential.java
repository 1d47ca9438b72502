package io.conexor.api.access;

import io.conexor.api.Secret;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.session.SessionId;
import java.util.Optional;

/** What a request shows to prove who it is. */
public sealed interface Credential {

  /** The session cookie's name. Over HTTPS it carries the prefix {@code __Host-}. */
  String COOKIE = "conexor_session";

  /** From {@code X-API-Key} or {@code Authorization: Bearer}. */
  record ApiKey(Secret key) implements Credential {}

  /** From the session cookie. */
  record Login(SessionId session) implements Credential {}

  /** The first credential a request shows: {@code X-API-Key}, bearer, cookie. */
  static Optional<Credential> of(HttpExchange request) {
    Optional<String> key = request.header("X-API-Key");
    if (key.isPresent()) {
      return Optional.of(new ApiKey(new Secret(key.get().strip())));
    }
    Optional<String> authorization = request.header("Authorization");
    if (authorization.isPresent() && authorization.get().regionMatches(true, 0, "Bearer ", 0, 7)) {
      return Optional.of(new ApiKey(new Secret(authorization.get().substring(7).strip())));
    }
    String name = request.isSecure() ? "__Host-" + COOKIE : COOKIE;
    for (String header : request.headers("Cookie")) {
      for (String pair : header.split(";")) {
        int equals = pair.indexOf('=');
        if (equals > 0 && pair.substring(0, equals).strip().equals(name)) {
          try {
            return Optional.of(new Login(new SessionId(pair.substring(equals + 1).strip())));
          } catch (IllegalArgumentException notOurs) {
            return Optional.empty();
          }
        }
      }
    }
    return Optional.empty();
  }
}
