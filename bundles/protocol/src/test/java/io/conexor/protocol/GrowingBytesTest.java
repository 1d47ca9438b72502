package io.conexor.protocol;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GrowingBytesTest {
  @Test
  void growth_past_the_limit_is_refused_and_keeps_the_content() {
    GrowingBytes bytes = new GrowingBytes(0, 100);
    bytes.put(new byte[90]);

    assertThatThrownBy(() -> bytes.put(new byte[11])).isInstanceOf(ProtocolException.class);
    assertThat(bytes.size()).isEqualTo(90);

    bytes.put(new byte[10]);
    assertThat(bytes.size()).isEqualTo(100);
    assertThatThrownBy(() -> bytes.put(1)).isInstanceOf(ProtocolException.class);
  }

  @ParameterizedTest
  @ValueSource(
      longs = {0, 1, -1, 9, 10, 99, 100, -100, Integer.MAX_VALUE, Long.MAX_VALUE, Long.MIN_VALUE})
  void decimal_digits_are_those_of_the_jdk(long value) {
    assertThat(decimal(value)).isEqualTo(Long.toString(value));
  }

  @Test
  void decimal_digits_of_any_number_are_those_of_the_jdk() {
    Random random = new Random(7);
    for (int i = 0; i < 10_000; i++) {
      long value = random.nextLong() >> random.nextInt(64);
      assertThat(decimal(value)).isEqualTo(Long.toString(value));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "plain", "naïve", "日本語 text", "a\uD83D\uDE00b", "\uD83D\uDE00"})
  void text_is_encoded_as_utf_8(String text) {
    for (String variant : new String[] {text, "x".repeat(600) + text, text + "x".repeat(600)}) {
      GrowingBytes bytes = new GrowingBytes(0, 10_000);
      int added = bytes.putUtf8(variant);

      assertThat(bytes.toByteArray()).isEqualTo(variant.getBytes(UTF_8));
      assertThat(added).isEqualTo(bytes.size());
    }
  }

  private static String decimal(long value) {
    GrowingBytes bytes = new GrowingBytes(0, 100);
    bytes.putDecimal(value);
    return new String(bytes.toByteArray(), UTF_8);
  }
}
