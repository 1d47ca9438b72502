package io.conexor.protocol.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.protocol.Fuzz;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
  private static final String DOCUMENT =
      """
      { "a" : [1, -2.5e3, true, false, null, "é\\n\\u00e9\\ud83d\\ude00/\\/"],
        "b" : {}, "c" : [ ], "d" : 9223372036854775807 , "e": 9223372036854775808 }
      """;

  @Test
  void a_document_becomes_a_tree() {
    Object value = read(DOCUMENT);

    assertThat(value).isInstanceOf(Map.class);
    Map<?, ?> map = (Map<?, ?>) value;
    assertThat(map.get("a"))
        .isEqualTo(Arrays.asList(1L, -2500.0, true, false, null, "é\né\uD83D\uDE00//"));
    assertThat(map.get("d")).isEqualTo(Long.MAX_VALUE);
    assertThat(map.get("e")).isEqualTo(9.223372036854775808e18);
  }

  @Test
  void compact_keeps_the_tokens_and_drops_white_space() {
    GrowingBytes out = new GrowingBytes(0, 1_000);
    byte[] bytes = DOCUMENT.getBytes(UTF_8);

    JsonReader.compact(bytes, 0, bytes.length, out);

    String compact = new String(out.toByteArray(), UTF_8);
    assertThat(compact).doesNotContain("\n").doesNotContain(" ");
    assertThat(read(compact)).isEqualTo(read(DOCUMENT));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "nul",
        "tru",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "1 2",
        "[1}",
        "'a'",
        "\"",
        "NaN",
        "{\"a\":1,}",
        "\u00a01"
      })
  void what_is_not_json_is_refused(String text) {
    assertThatThrownBy(() -> read(text)).isInstanceOf(ProtocolException.class);
    GrowingBytes out = new GrowingBytes(0, 100);
    byte[] bytes = text.getBytes(UTF_8);
    assertThatThrownBy(() -> JsonReader.compact(bytes, 0, bytes.length, out))
        .isInstanceOf(ProtocolException.class);
    assertThat(out.isEmpty()).isTrue();
  }

  @Test
  void text_that_is_not_utf_8_is_refused_when_read_and_mended_when_written() {
    byte[] overlong = {'"', (byte) 0xc0, (byte) 0xaf, '"'};
    assertThatThrownBy(() -> JsonReader.value(overlong, 0, 4))
        .isInstanceOf(ProtocolException.class);

    GrowingBytes out = new GrowingBytes(0, 100);
    JsonWriter.text(out, overlong, 1, 2);
    assertThat(new String(out.toByteArray(), UTF_8)).isEqualTo("\"\ufffd\ufffd\"");
  }

  @Test
  void nesting_is_bounded() {
    String deep = "[".repeat(100_000);

    assertThatThrownBy(() -> read(deep))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("deeper");
  }

  @Test
  void any_text_survives_writing_and_reading_from_string_and_from_bytes() {
    Fuzz fuzz = new Fuzz();
    Random random = fuzz.random();
    for (int i = 0; i < 5_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(30); n > 0; n--) {
        text.appendCodePoint(
            random.nextInt(3) == 0 ? random.nextInt(0x80) : random.nextInt(0x110000));
      }
      String original = new String(text.toString().getBytes(UTF_8), UTF_8); // mends lone surrogates

      GrowingBytes fromString = new GrowingBytes(0, 10_000);
      JsonWriter.text(fromString, original);
      byte[] utf8 = original.getBytes(UTF_8);
      GrowingBytes fromBytes = new GrowingBytes(0, 10_000);
      JsonWriter.text(fromBytes, utf8, 0, utf8.length);

      assertThat(fromBytes.toByteArray())
          .as("seed %d", fuzz.seed())
          .isEqualTo(fromString.toByteArray());
      assertThat(JsonReader.value(fromString.array(), 0, fromString.size()))
          .as("seed %d", fuzz.seed())
          .isEqualTo(original);
    }
  }

  @Test
  void base64_is_that_of_the_jdk() {
    for (int length = 0; length < 100; length++) {
      byte[] bytes = new byte[length + 1];
      new Random(length).nextBytes(bytes);
      GrowingBytes out = new GrowingBytes(0, 1_000);

      JsonWriter.base64(out, bytes, 1, length);

      String expected =
          Base64.getEncoder().encodeToString(Arrays.copyOfRange(bytes, 1, length + 1));
      assertThat(new String(out.toByteArray(), UTF_8)).isEqualTo('"' + expected + '"');
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -0.0, 1, -1, 0.1, 1e300, 4.9e-324, 1.0E10, 123456789012345680.0})
  void doubles_come_back_as_they_were(double value) {
    GrowingBytes out = new GrowingBytes(0, 100);
    JsonWriter.float64(out, value);

    assertThat(Double.parseDouble(new String(out.toByteArray(), UTF_8))).isEqualTo(value);
  }

  @Test
  void numbers_javascript_cannot_hold_become_texts() {
    assertThat(integer(JsonWriter.MAX_SAFE_INTEGER)).isEqualTo("9007199254740991");
    assertThat(integer(JsonWriter.MAX_SAFE_INTEGER + 1)).isEqualTo("\"9007199254740992\"");
    assertThat(integer(Long.MIN_VALUE)).isEqualTo("\"-9223372036854775808\"");
  }

  @Test
  void any_bytes_give_a_value_or_a_protocol_exception() {
    Fuzz fuzz = new Fuzz();
    GrowingBytes out = new GrowingBytes(0, 10_000);
    fuzz.randomBytes(b -> JsonReader.value(b, 0, b.length));
    fuzz.mutations(DOCUMENT.getBytes(UTF_8), b -> JsonReader.value(b, 0, b.length));
    fuzz.mutations(
        DOCUMENT.getBytes(UTF_8),
        b -> {
          out.clear();
          JsonReader.compact(b, 0, b.length, out);
          // What was accepted has to be readable again.
          JsonReader.value(out.array(), 0, out.size());
        });
  }

  @Test
  void trees_are_written_as_json() {
    GrowingBytes out = new GrowingBytes(0, 1_000);

    JsonWriter.value(out, List.of(Map.of("k", List.of(1, 2L, 1.5, true, "x")), new byte[] {1, 2}));

    assertThat(new String(out.toByteArray(), UTF_8))
        .isEqualTo("[{\"k\":[1,2,1.5,true,\"x\"]},\"AQI=\"]");
  }

  private static String integer(long value) {
    GrowingBytes out = new GrowingBytes(0, 100);
    JsonWriter.integer(out, value);
    return new String(out.toByteArray(), UTF_8);
  }

  private static Object read(String text) {
    byte[] bytes = text.getBytes(UTF_8);
    return JsonReader.value(bytes, 0, bytes.length);
  }
}
