package io.conexor.protocol.msgpack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.protocol.Fuzz;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessageUnpacker;
import org.msgpack.value.Value;

/** Reader and writer against each other and against msgpack-core. */
class PackTest {
  private static final long[] NUMBERS = {
    0,
    1,
    -1,
    31,
    32,
    -32,
    -33,
    127,
    128,
    -128,
    -129,
    255,
    256,
    32767,
    32768,
    -32768,
    -32769,
    65535,
    65536,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE,
    0xffff_ffffL,
    0x1_0000_0000L,
    Long.MAX_VALUE,
    Long.MIN_VALUE
  };

  @Test
  void every_number_is_as_short_as_the_library_writes_it_and_comes_back() throws IOException {
    for (long number : NUMBERS) {
      byte[] ours = write(w -> w.integer(number));
      MessageBufferPacker theirs = MessagePack.newDefaultBufferPacker();
      theirs.packLong(number);

      assertThat(ours).as("%d", number).isEqualTo(theirs.toByteArray());
      assertThat(new PackReader(ours).integer()).isEqualTo(number);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 15, 16, 31, 32, 255, 256, 511, 512, 513, 65_535, 65_536, 70_000})
  void texts_and_bytes_of_any_length_come_back(int length) throws IOException {
    for (String unit : List.of("a", "é", "日", "\uD83D\uDE00")) {
      String text = unit.repeat(length);
      MessageBufferPacker theirs = MessagePack.newDefaultBufferPacker();
      theirs.packString(text);
      byte[] ours = write(w -> w.text(text));

      assertThat(ours).isEqualTo(theirs.toByteArray());
      assertThat(new PackReader(ours).text(Integer.MAX_VALUE)).isEqualTo(text);
    }
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    assertThat(new PackReader(write(w -> w.bytes(bytes))).bytes(length)).isEqualTo(bytes);
  }

  @Test
  void random_trees_survive_and_the_library_reads_them_alike() throws IOException {
    Fuzz fuzz = new Fuzz();
    for (int i = 0; i < 3_000; i++) {
      Object tree = tree(fuzz.random(), 4);
      byte[] bytes = write(w -> w.value(tree));

      Object again = new PackReader(bytes).value();
      assertThat(normal(again)).as("seed %d", fuzz.seed()).isEqualTo(normal(tree));
      try (MessageUnpacker theirs = MessagePack.newDefaultUnpacker(bytes)) {
        Value value = theirs.unpackValue();
        assertThat(theirs.hasNext()).isFalse();
        MessageBufferPacker packer = MessagePack.newDefaultBufferPacker();
        packer.packValue(value);
        assertThat(Arrays.equals(packer.toByteArray(), bytes)).as("seed %d", fuzz.seed()).isTrue();
      }
      PackReader skipper = new PackReader(bytes);
      skipper.skip();
      assertThat(skipper.atEnd()).isTrue();
    }
  }

  @Test
  void exact_decimals_keep_every_digit() {
    BigDecimal decimal = new BigDecimal("-123456789012345678901234567890.12345678901234567890");

    assertThat(new PackReader(write(w -> w.value(decimal))).value()).isEqualTo(decimal);
  }

  @Test
  void a_decimal_with_a_huge_exponent_stays_small() {
    BigDecimal decimal = new BigDecimal("1E+1000000000");

    byte[] bytes = write(w -> w.value(decimal));

    assertThat(bytes.length).isLessThan(32);
    assertThat((BigDecimal) new PackReader(bytes).value()).isEqualByComparingTo(decimal);
  }

  @Test
  void lengths_beyond_the_message_are_refused_before_anything_is_allocated() {
    byte[][] liars = {
      {(byte) 0xdd, 0x7f, (byte) 0xff, (byte) 0xff, (byte) 0xff},
      {(byte) 0xdf, 0x7f, (byte) 0xff, (byte) 0xff, (byte) 0xff},
      {(byte) 0xdb, 0x7f, (byte) 0xff, (byte) 0xff, (byte) 0xff},
      {(byte) 0xc6, (byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff},
      {(byte) 0xc9, (byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff, 1}
    };
    for (byte[] liar : liars) {
      assertThatThrownBy(() -> new PackReader(liar).value()).isInstanceOf(ProtocolException.class);
      assertThatThrownBy(() -> new PackReader(liar).skip()).isInstanceOf(ProtocolException.class);
    }
  }

  @Test
  void a_value_nested_too_deep_is_refused_but_can_be_skipped() {
    byte[] deep = new byte[100_000];
    Arrays.fill(deep, (byte) 0x91);
    deep[deep.length - 1] = (byte) 0xc0;

    assertThatThrownBy(() -> new PackReader(deep).value())
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("deeper");
    PackReader skipper = new PackReader(deep);
    skipper.skip();
    assertThat(skipper.atEnd()).isTrue();
  }

  @Test
  void a_number_beyond_64_bits_with_sign_is_refused() {
    byte[] big = new byte[9];
    Arrays.fill(big, (byte) 0xff);
    big[0] = (byte) 0xcf;

    assertThatThrownBy(() -> new PackReader(big).integer()).isInstanceOf(ProtocolException.class);
  }

  @Test
  void any_bytes_give_a_value_or_a_protocol_exception() {
    Fuzz fuzz = new Fuzz();
    fuzz.randomBytes(bytes -> new PackReader(bytes).value());
    fuzz.randomBytes(bytes -> new PackReader(bytes).skip());
    byte[] valid = write(w -> w.value(tree(new Random(3), 4)));
    fuzz.mutations(valid, bytes -> new PackReader(bytes).value());
    fuzz.mutations(valid, bytes -> new PackReader(bytes).skip());
  }

  private interface Writing {
    void to(PackWriter writer);
  }

  private static byte[] write(Writing writing) {
    GrowingBytes out = new GrowingBytes(0, 1 << 20);
    writing.to(new PackWriter(out));
    return out.toByteArray();
  }

  private static Object tree(Random random, int depth) {
    switch (random.nextInt(depth == 0 ? 7 : 9)) {
      case 0:
        return null;
      case 1:
        return random.nextBoolean();
      case 2:
        return random.nextLong() >> random.nextInt(64);
      case 3:
        return random.nextDouble();
      case 4:
        return new BigDecimal(random.nextInt()).movePointLeft(random.nextInt(10));
      case 5:
        return "é".repeat(random.nextInt(40));
      case 6:
        byte[] bytes = new byte[random.nextInt(300)];
        random.nextBytes(bytes);
        return bytes;
      case 7:
        List<Object> list = new ArrayList<>();
        for (int i = random.nextInt(20); i > 0; i--) {
          list.add(tree(random, depth - 1));
        }
        return list;
      default:
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = random.nextInt(20); i > 0; i--) {
          map.put("k" + i, tree(random, depth - 1));
        }
        return map;
    }
  }

  /** Arrays of bytes compare by identity: make them lists. */
  private static Object normal(Object tree) {
    if (tree instanceof byte[] bytes) {
      return Arrays.toString(bytes);
    }
    if (tree instanceof List<?> list) {
      return list.stream().map(PackTest::normal).map(String::valueOf).toList();
    }
    if (tree instanceof Map<?, ?> map) {
      Map<Object, Object> normal = new LinkedHashMap<>();
      map.forEach((k, v) -> normal.put(k, normal(v)));
      return normal;
    }
    return tree;
  }
}
