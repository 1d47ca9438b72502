package io.conexor.api.access;

import io.conexor.api.Secret;
import io.conexor.api.session.SessionId;

/** What a request shows to prove who it is. */
public sealed interface Credential {

  /** From {@code X-API-Key} or {@code Authorization: Bearer}. */
  record ApiKey(Secret key) implements Credential {}

  /** From the session cookie. */
  record Login(SessionId session) implements Credential {}
}
