package io.conexor.access;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.access.ApiKey.Kind;
import java.security.SecureRandom;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class KeyTextTest {

  private final SecureRandom random = new SecureRandom();

  @Test
  void a_new_key_of_each_kind_is_well_formed_and_begins_with_its_prefix() {
    for (Kind kind : Kind.values()) {
      String text = KeyText.random(kind, random).reveal();

      assertThat(text).startsWith(kind.prefix()).hasSize(kind.prefix().length() + 49);
      assertThat(KeyText.isWellFormed(text)).isTrue();
    }
  }

  @Test
  void keys_do_not_repeat() {
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < 10_000; i++) {
      assertThat(seen.add(KeyText.random(Kind.AGENT, random).reveal())).isTrue();
    }
  }

  @Test
  void every_single_mistyped_character_is_noticed() {
    String text = KeyText.random(Kind.SERVER, random).reveal();
    for (int i = 4; i < text.length(); i++) {
      char other = text.charAt(i) == 'x' ? 'y' : 'x';
      String mistyped = text.substring(0, i) + other + text.substring(i + 1);

      assertThat(KeyText.isWellFormed(mistyped)).as("character %s", i).isFalse();
    }
  }

  @Test
  void garbage_is_not_well_formed() {
    for (String garbage :
        new String[] {
          "",
          "pk_",
          "mcp_",
          "x",
          "\u0000",
          "pk_" + "a".repeat(49),
          "pk_" + "ü".repeat(49),
          "a".repeat(1_000_000),
          "adm_ " + "0".repeat(48)
        }) {
      assertThat(KeyText.isWellFormed(garbage)).isFalse();
    }
  }
}
