package io.conexor.access;

import static io.conexor.access.Fixture.secret;
import static org.assertj.core.api.Assertions.assertThat;

import java.security.SecureRandom;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PasswordsTest {

  private final Passwords passwords = new Passwords(new SecureRandom());

  @Test
  void a_password_matches_its_own_hash_only() {
    String hash = passwords.hash(secret("correct horse battery"));

    assertThat(hash).startsWith("$argon2id$v=19$m=19456,t=2,p=1$").doesNotContain("horse");
    assertThat(passwords.matches(secret("correct horse battery"), Optional.of(hash))).isTrue();
    assertThat(passwords.matches(secret("correct horse batterY"), Optional.of(hash))).isFalse();
    assertThat(passwords.matches(secret(""), Optional.of(hash))).isFalse();
  }

  @Test
  void equal_passwords_have_different_hashes() {
    assertThat(passwords.hash(secret("correct horse battery")))
        .isNotEqualTo(passwords.hash(secret("correct horse battery")));
  }

  // From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
  @Test
  void the_reference_implementations_hash_is_understood() {
    String reference =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    assertThat(passwords.matches(secret("password"), Optional.of(reference))).isTrue();
    assertThat(Passwords.isOutdated(reference)).isTrue();
    assertThat(Passwords.isOutdated(passwords.hash(secret("x")))).isFalse();
  }

  @Test
  void a_hash_that_would_eat_the_memory_is_not_computed() {
    String greedy =
        "$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    assertThat(passwords.matches(secret("password"), Optional.of(greedy))).isFalse();
    assertThat(passwords.matches(secret("password"), Optional.of("garbage"))).isFalse();
  }

  @Test
  void an_unknown_account_costs_as_much_as_a_wrong_password() {
    Optional<String> somebody = Optional.of(passwords.hash(secret("correct horse battery")));
    long known = median(somebody);
    long unknown = median(Optional.empty());

    assertThat((double) unknown / known).isBetween(0.5, 2.0);
  }

  private long median(Optional<String> hash) {
    long[] nanos = new long[9];
    for (int i = 0; i < nanos.length; i++) {
      long start = System.nanoTime();
      passwords.matches(secret("wrong"), hash);
      nanos[i] = System.nanoTime() - start;
    }
    java.util.Arrays.sort(nanos);
    return nanos[nanos.length / 2];
  }
}
