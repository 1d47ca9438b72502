package io.conexor.access;

import io.conexor.api.Secret;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/**
 * Argon2id in the PHC string format. New hashes use OWASP's recommendation (Password Storage Cheat
 * Sheet): 19 MiB, 2 passes, 1 lane. Old ones are checked with their own parameters and replaced at
 * the next log-in.
 */
final class Passwords {

  static final int MEMORY_KIB = 19 * 1024;
  static final int PASSES = 2;
  static final int LANES = 1;

  /** More is refused before it is hashed. */
  static final int MAX_BYTES = 1_024;

  private static final int SALT_BYTES = 16;
  private static final int HASH_BYTES = 32;

  // The bounds keep a hash that got into the table from elsewhere from taking the machine down.
  private static final int MAX_MEMORY_KIB = 256 * 1024;
  private static final int MAX_PASSES = 16;

  private static final Pattern PHC =
      Pattern.compile(
          "\\$argon2id\\$v=19\\$m=(\\d{1,7}),t=(\\d{1,3}),p=(\\d{1,2})"
              + "\\$([A-Za-z0-9+/]{11,86})\\$([A-Za-z0-9+/]{16,86})");

  private final SecureRandom random;

  /** Checked in the place of an unknown account's, to take the same time. */
  private final String nobodys;

  Passwords(SecureRandom random) {
    this.random = random;
    byte[] salt = new byte[SALT_BYTES];
    byte[] hash = new byte[HASH_BYTES];
    random.nextBytes(salt);
    random.nextBytes(hash);
    this.nobodys = format(salt, hash);
  }

  String hash(Secret password) {
    byte[] salt = new byte[SALT_BYTES];
    random.nextBytes(salt);
    byte[] bytes = password.reveal().getBytes(StandardCharsets.UTF_8);
    try {
      return format(salt, argon2id(bytes, salt, MEMORY_KIB, PASSES, LANES, HASH_BYTES));
    } finally {
      Arrays.fill(bytes, (byte) 0);
    }
  }

  private static boolean matches(Secret password, String phc) {
    Matcher parts = PHC.matcher(phc);
    if (!parts.matches()) {
      return false;
    }
    int memory = Integer.parseInt(parts.group(1));
    int passes = Integer.parseInt(parts.group(2));
    int lanes = Integer.parseInt(parts.group(3));
    if (memory < 8 * Math.max(1, lanes)
        || memory > MAX_MEMORY_KIB
        || passes < 1
        || passes > MAX_PASSES
        || lanes < 1) {
      return false;
    }
    byte[] bytes = password.reveal().getBytes(StandardCharsets.UTF_8);
    try {
      byte[] salt = Base64.getDecoder().decode(parts.group(4));
      byte[] expected = Base64.getDecoder().decode(parts.group(5));
      return MessageDigest.isEqual(
          expected, argon2id(bytes, salt, memory, passes, lanes, expected.length));
    } catch (IllegalArgumentException notBase64) {
      return false;
    } finally {
      Arrays.fill(bytes, (byte) 0);
    }
  }

  /** Checks a password; an unknown account takes as long as a wrong password and never matches. */
  boolean matches(Secret password, Optional<String> phc) {
    boolean matches = matches(password, phc.orElse(nobodys));
    return matches && phc.isPresent();
  }

  /** Whether a hash was made with other parameters than those of today. */
  static boolean isOutdated(String phc) {
    return !phc.startsWith(parameters());
  }

  private static byte[] argon2id(
      byte[] password, byte[] salt, int memory, int passes, int lanes, int length) {
    Argon2BytesGenerator generator = new Argon2BytesGenerator();
    generator.init(
        new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
            .withVersion(Argon2Parameters.ARGON2_VERSION_13)
            .withMemoryAsKB(memory)
            .withIterations(passes)
            .withParallelism(lanes)
            .withSalt(salt)
            .build());
    byte[] hash = new byte[length];
    generator.generateBytes(password, hash);
    return hash;
  }

  private static String parameters() {
    return "$argon2id$v=19$m=" + MEMORY_KIB + ",t=" + PASSES + ",p=" + LANES + "$";
  }

  private static String format(byte[] salt, byte[] hash) {
    Base64.Encoder base64 = Base64.getEncoder().withoutPadding();
    return parameters() + base64.encodeToString(salt) + "$" + base64.encodeToString(hash);
  }
}
