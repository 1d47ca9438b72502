package io.conexor.protocol.rows;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.protocol.Fuzz;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import java.util.List;
import org.junit.jupiter.api.Test;

class RowsTest {
  private final GrowingBytes bytes = new GrowingBytes(0, 1 << 20);
  private final RowWriter writer = new RowWriter(bytes);

  @Test
  void values_of_every_kind_come_back() {
    writer.row(8);
    writer.nil();
    writer.bool(true);
    writer.integer(Long.MIN_VALUE);
    writer.float64(Double.NaN);
    writer.text("größe");
    writer.bytes(new byte[] {1, 2});
    writer.array(2);
    writer.integer(1);
    writer.array(0);
    writer.text((String) null);

    RowReader reader = reader();
    assertThat(reader.nextRow()).isTrue();
    assertThat(reader.values()).isEqualTo(8);
    assertThat(reader.nextNil()).isTrue();
    assertThat(reader.nextNil()).isFalse();
    assertThat(reader.bool()).isTrue();
    assertThat(reader.integer()).isEqualTo(Long.MIN_VALUE);
    assertThat(reader.float64()).isNaN();
    assertThat(reader.peek()).isEqualTo(ValueKind.TEXT);
    assertThat(reader.text()).isEqualTo("größe");
    assertThat(reader.bytes()).containsExactly(1, 2);
    assertThat(reader.value()).isEqualTo(List.of(1L, List.of()));
    assertThat(reader.value()).isNull();
    assertThat(reader.valuesLeft()).isZero();
    assertThatThrownBy(reader::value).isInstanceOf(IllegalStateException.class);
    assertThat(reader.nextRow()).isFalse();
  }

  @Test
  void values_not_read_are_passed_over_by_the_next_row() {
    for (int i = 0; i < 3; i++) {
      writer.row(2);
      writer.integer(i);
      writer.text("x");
    }

    RowReader reader = reader();
    long sum = 0;
    while (reader.nextRow()) {
      sum += reader.integer();
    }
    assertThat(sum).isEqualTo(3);
  }

  @Test
  void rows_become_json_by_the_rules_of_the_edges() {
    writer.row(11);
    writer.nil();
    writer.bool(false);
    writer.integer((1L << 53) - 1);
    writer.integer(1L << 53);
    writer.float64(0.5);
    writer.float64(Double.NEGATIVE_INFINITY);
    writer.text("12345678901234567890.10");
    writer.text("line\nbreak \"quoted\" \u0001 é");
    writer.bytes(new byte[] {(byte) 0xff, 0});
    writer.text(" { \"a\" : [ 1 ,\n 2 ] } ");
    writer.array(2);
    writer.text("x");
    writer.nil();

    boolean[] isJson = new boolean[11];
    isJson[9] = true;
    RowJson json =
        new RowJson(List.of("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"), isJson);

    assertThat(array(json))
        .isEqualTo(
            "[null,false,9007199254740991,\"9007199254740992\",0.5,\"-Infinity\","
                + "\"12345678901234567890.10\",\"line\\nbreak \\\"quoted\\\" \\u0001 é\",\"/wA=\","
                + "{\"a\":[1,2]},[\"x\",null]]");
  }

  @Test
  void text_that_is_not_json_in_a_json_column_stays_text() {
    writer.row(1);
    writer.text("{\"a\":1},\"injected\":true");

    assertThat(array(new RowJson(List.of("a"), new boolean[] {true})))
        .isEqualTo("[\"{\\\"a\\\":1},\\\"injected\\\":true\"]");
  }

  @Test
  void a_name_that_occurs_twice_gets_a_suffix_that_nobody_has() {
    assertThat(RowJson.uniqueNames(List.of("id", "id", "id_2", "id", "x")))
        .containsExactly("id", "id_3", "id_2", "id_4", "x");
  }

  @Test
  void rows_become_objects_under_their_names() {
    writer.row(2);
    writer.integer(1);
    writer.integer(2);
    GrowingBytes out = new GrowingBytes(0, 1_000);
    RowReader reader = reader();
    reader.nextRow();

    new RowJson(List.of("a \"b\"", "c"), new boolean[2]).object(reader, out);

    assertThat(text(out)).isEqualTo("{\"a \\\"b\\\"\":1,\"c\":2}");
  }

  @Test
  void a_row_that_does_not_fit_leaves_the_output_as_it_was() {
    writer.row(1);
    writer.text("x".repeat(500));
    GrowingBytes out = new GrowingBytes(0, 100);
    out.put('[');
    RowReader reader = reader();
    reader.nextRow();

    assertThatThrownBy(() -> new RowJson(List.of("a"), new boolean[1]).array(reader, out))
        .isInstanceOf(ProtocolException.class);

    assertThat(text(out)).isEqualTo("[");
  }

  @Test
  void a_row_with_another_number_of_values_is_refused() {
    writer.row(1);
    writer.nil();

    assertThatThrownBy(() -> array(new RowJson(List.of("a", "b"), new boolean[2])))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void arrays_nested_without_end_are_refused() {
    writer.row(1);
    for (int i = 0; i < 100_000; i++) {
      writer.array(1);
    }
    writer.nil();

    assertThatThrownBy(() -> array(new RowJson(List.of("a"), new boolean[1])))
        .isInstanceOf(ProtocolException.class);
    RowReader reader = reader();
    reader.nextRow();
    assertThatThrownBy(reader::value).isInstanceOf(ProtocolException.class);
  }

  @Test
  void any_bytes_give_json_or_a_protocol_exception() {
    writer.row(4);
    writer.text("é\"");
    writer.array(2);
    writer.float64(1.5);
    writer.bytes(new byte[] {1});
    writer.text("{\"a\":[1,2]}");
    writer.integer(-70_000);
    RowJson json =
        new RowJson(List.of("a", "b", "c", "d"), new boolean[] {false, false, true, false});
    GrowingBytes out = new GrowingBytes(0, 100_000);

    new Fuzz()
        .mutations(
            bytes.toByteArray(),
            b -> {
              RowReader reader = new RowReader(b, 0, b.length);
              while (reader.nextRow()) {
                out.clear();
                json.object(reader, out);
                JsonReader.value(out.array(), 0, out.size());
              }
            });
  }

  private RowReader reader() {
    return new RowReader(bytes.array(), 0, bytes.size());
  }

  private String array(RowJson json) {
    GrowingBytes out = new GrowingBytes(0, 10_000);
    RowReader reader = reader();
    reader.nextRow();
    json.array(reader, out);
    return text(out);
  }

  private static String text(GrowingBytes out) {
    return new String(out.toByteArray(), UTF_8);
  }
}
