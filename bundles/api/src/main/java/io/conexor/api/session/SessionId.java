package io.conexor.api.session;

/**
 * The secret that a browser holds for a login: at least 128 bits of randomness as 22 to 86
 * characters of base64url. It prints shortened.
 */
public record SessionId(String value) {

  public SessionId {
    if (!value.matches("[A-Za-z0-9_-]{22,86}")) {
      throw new IllegalArgumentException("a session id is 22..86 characters of base64url");
    }
  }

  @Override
  public String toString() {
    return value.substring(0, 4) + "…";
  }
}
