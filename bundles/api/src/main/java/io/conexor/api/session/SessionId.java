package io.conexor.api.session;

import java.util.regex.Pattern;

/**
 * The secret that a browser holds for a login: at least 128 bits of randomness as 22 to 86
 * characters of base64url. It prints shortened.
 */
public record SessionId(String value) {

  private static final Pattern FORM = Pattern.compile("[A-Za-z0-9_-]{22,86}");

  public SessionId {
    if (!FORM.matcher(value).matches()) {
      throw new IllegalArgumentException("a session id is 22..86 characters of base64url");
    }
  }

  @Override
  public String toString() {
    return value.substring(0, 4) + "…";
  }
}
