package io.conexor.access;

import io.conexor.api.Secret;
import io.conexor.api.access.ApiKey;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.zip.CRC32;

/**
 * The text of an API key: the prefix of its kind, 43 random characters of base62 (256 bits) and 6
 * characters that are a CRC-32 of what precedes them, so that a mistyped key is told apart without
 * asking anybody. The checksum is no protection: who makes keys up can make it up too.
 */
final class KeyText {

  static final int RANDOM_CHARACTERS = 43;
  static final int CHECK_CHARACTERS = 6;

  /** The longest prefix is {@code mcp_} or {@code adm_}. */
  static final int LENGTH_MAX = 4 + RANDOM_CHARACTERS + CHECK_CHARACTERS;

  /** Characters of a key that are stored and listed for recognition. */
  static final int RECOGNISABLE = 12;

  private static final String BASE62 =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

  private KeyText() {}

  static Secret random(ApiKey.Kind kind, SecureRandom random) {
    StringBuilder text = new StringBuilder(kind.prefix());
    for (int i = 0; i < RANDOM_CHARACTERS; i++) {
      text.append(BASE62.charAt(random.nextInt(BASE62.length())));
    }
    return new Secret(text.append(check(text.toString())).toString());
  }

  /** Whether this can be a key at all: prefix, length, alphabet and checksum are right. */
  static boolean isWellFormed(String text) {
    int prefix = prefixLength(text);
    if (prefix == 0 || text.length() != prefix + RANDOM_CHARACTERS + CHECK_CHARACTERS) {
      return false;
    }
    for (int i = prefix; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean isBase62 = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      if (!isBase62) {
        return false;
      }
    }
    int body = prefix + RANDOM_CHARACTERS;
    return text.regionMatches(body, check(text.substring(0, body)), 0, CHECK_CHARACTERS);
  }

  private static int prefixLength(String text) {
    for (ApiKey.Kind kind : KINDS) {
      if (text.startsWith(kind.prefix())) {
        return kind.prefix().length();
      }
    }
    return 0;
  }

  private static final ApiKey.Kind[] KINDS = ApiKey.Kind.values();

  private static String check(String body) {
    CRC32 crc = new CRC32();
    crc.update(body.getBytes(StandardCharsets.ISO_8859_1));
    long rest = crc.getValue();
    char[] check = new char[CHECK_CHARACTERS];
    for (int i = CHECK_CHARACTERS - 1; i >= 0; i--) {
      check[i] = BASE62.charAt((int) (rest % BASE62.length()));
      rest /= BASE62.length();
    }
    return new String(check);
  }
}
