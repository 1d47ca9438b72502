package io.conexor.protocol.hub;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.protocol.Fuzz;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.hub.HubMessage.Ack;
import io.conexor.protocol.hub.HubMessage.CancelInvocation;
import io.conexor.protocol.hub.HubMessage.Close;
import io.conexor.protocol.hub.HubMessage.Completion;
import io.conexor.protocol.hub.HubMessage.Invocation;
import io.conexor.protocol.hub.HubMessage.Ping;
import io.conexor.protocol.hub.HubMessage.Sequence;
import io.conexor.protocol.hub.HubMessage.StreamInvocation;
import io.conexor.protocol.hub.HubMessage.StreamItem;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class HubProtocolTest {
  private static final List<HubMessage> ALL =
      List.of(
          new Invocation(
              null,
              "greet",
              Arrays.asList("hello", 42L, 1.5, null, List.of(true), Map.of("k", "v"))),
          new Invocation(
              Map.of("traceparent", "00-x"),
              "7",
              "with \"quotes\" é",
              List.of(),
              List.of("s1", "s2")),
          new StreamItem("7", Map.of("row", 1L)),
          new StreamItem(Map.of("h", "v"), "7", null),
          Completion.nothing("7"),
          Completion.result("7", null),
          Completion.result("7", List.of("x")),
          Completion.failure("7", "no such method"),
          new StreamInvocation(Map.of(), "8", "stream", List.of(1L), List.of()),
          new CancelInvocation(Map.of(), "8"),
          Ping.INSTANCE,
          new Close(null, false),
          new Close("go away", true),
          new Ack(12),
          new Sequence(13));

  static List<HubProtocol> protocols() {
    return List.of(HubProtocol.JSON, HubProtocol.MESSAGE_PACK);
  }

  @ParameterizedTest
  @MethodSource("protocols")
  void every_message_survives_alone_and_in_company(HubProtocol protocol) {
    GrowingBytes all = new GrowingBytes(0, 100_000);
    for (HubMessage message : ALL) {
      byte[] alone = encode(protocol, message);
      assertThat(protocol.decode(alone, 0, alone.length)).containsExactly(message);
      protocol.encode(message, all);
    }

    assertThat(protocol.decode(all.array(), 0, all.size())).isEqualTo(ALL);
  }

  /** The examples of HubProtocol.md, section "MessagePack (MsgPack) Encoding". */
  @Test
  void the_bytes_of_the_specification_are_read() {
    assertSpecification(
        "960180a378797aa66d6574686f64912a90", new Invocation("xyz", "method", List.of(42L)));
    assertSpecification(
        "960180c0a66d6574686f64912a90", new Invocation(null, "method", List.of(42L)));
    assertSpecification("940281a178a179a378797a2a", new StreamItem(Map.of("x", "y"), "xyz", 42L));
    assertSpecification("950380a378797a01a54572726f72", Completion.failure("xyz", "Error"));
    assertSpecification("940380a378797a02", Completion.nothing("xyz"));
    assertSpecification("950380a378797a032a", Completion.result("xyz", 42L));
    assertSpecification("930580a378797a", new CancelInvocation(Map.of(), "xyz"));
    assertSpecification("9106", Ping.INSTANCE);
    assertSpecification("9207a378797a", new Close("xyz", false));
    assertSpecification("9307a378797ac3", new Close("xyz", true));
    assertSpecification("920801", new Ack(1));
    assertSpecification("920901", new Sequence(1));
  }

  /** A client of version 1 of the specification leaves the stream ids out. */
  @Test
  void an_invocation_without_stream_ids_is_read() {
    assertSpecification(
        "950180a378797aa66d6574686f64912a", new Invocation("xyz", "method", List.of(42L)));
  }

  @ParameterizedTest
  @MethodSource("protocols")
  void messages_of_an_unknown_type_are_left_out(HubProtocol protocol) {
    byte[] bytes =
        protocol == HubProtocol.JSON
            ? "{\"type\":99,\"x\":1}\u001e{\"type\":6}\u001e".getBytes(UTF_8)
            : new byte[] {4, (byte) 0x92, 99, (byte) 0x91, 1, 2, (byte) 0x91, 6};

    assertThat(protocol.decode(bytes, 0, bytes.length)).containsExactly(Ping.INSTANCE);
  }

  @ParameterizedTest
  @MethodSource("protocols")
  void any_bytes_give_messages_or_a_protocol_exception(HubProtocol protocol) {
    Fuzz fuzz = new Fuzz();
    fuzz.randomBytes(b -> protocol.decode(b, 0, b.length));
    GrowingBytes all = new GrowingBytes(0, 100_000);
    ALL.forEach(message -> protocol.encode(message, all));
    fuzz.mutations(all.toByteArray(), b -> protocol.decode(b, 0, b.length));
  }

  @ParameterizedTest
  @MethodSource("protocols")
  void a_message_that_does_not_fit_leaves_the_output_as_it_was(HubProtocol protocol) {
    GrowingBytes out = new GrowingBytes(0, 100);
    protocol.encode(Ping.INSTANCE, out);
    int before = out.size();

    assertThatThrownBy(() -> protocol.encode(new StreamItem("1", "x".repeat(200)), out))
        .isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> protocol.encode(new StreamItem("1", new Object()), out))
        .isInstanceOf(IllegalArgumentException.class);

    assertThat(out.size()).isEqualTo(before);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 126, 127, 128, 200, 16_383, 16_384, 2_097_152})
  void length_prefixes_of_every_width_frame_their_message(int size) {
    StreamItem message = new StreamItem("1", "x".repeat(size));
    byte[] bytes = encode(HubProtocol.MESSAGE_PACK, message);

    assertThat(HubProtocol.MESSAGE_PACK.decode(bytes, 0, bytes.length)).containsExactly(message);
  }

  @Test
  void a_length_prefix_of_six_bytes_is_refused() {
    byte[] bytes = {-1, -1, -1, -1, -1, 1, 0};

    assertThatThrownBy(() -> HubProtocol.MESSAGE_PACK.decode(bytes, 0, bytes.length))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("five bytes");
  }

  @Test
  void a_handshake_names_protocol_and_version_and_where_it_ends() {
    byte[] bytes =
        "{\"protocol\":\"messagepack\",\"version\":1}\u001e\u0002\u0091\u0006".getBytes(UTF_8);

    Handshake.Request request = Handshake.readRequest(bytes, 0, bytes.length);

    assertThat(request.protocol()).isSameAs(HubProtocol.MESSAGE_PACK);
    assertThat(request.version()).isEqualTo(1);
    assertThat(bytes[request.length() - 1]).isEqualTo((byte) 0x1e);
    byte[] ours = Handshake.request(HubProtocol.JSON, 2);
    assertThat(Handshake.readRequest(ours, 0, ours.length).protocol()).isSameAs(HubProtocol.JSON);
  }

  @Test
  void a_handshake_is_answered_with_nothing_or_an_error() {
    byte[] welcome = Handshake.response(null);
    byte[] refusal = Handshake.response("say \"json\"");

    assertThat(new String(welcome, UTF_8)).isEqualTo("{}\u001e");
    assertThat(Handshake.readResponse(welcome, 0, welcome.length).error()).isNull();
    assertThat(Handshake.readResponse(refusal, 0, refusal.length).error())
        .isEqualTo("say \"json\"");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{}",
        "{}\u001e",
        "[]\u001e",
        "{\"protocol\":\"xml\",\"version\":1}\u001e",
        "{\"protocol\":\"json\"}\u001e",
        "{\"protocol\":\"json\",\"version\":0}\u001e",
        "{\"protocol\":\"json\",\"version\":99}\u001e",
        "{\"protocol\":1,\"version\":1}\u001e"
      })
  void anything_else_is_no_handshake(String text) {
    byte[] bytes = text.getBytes(UTF_8);

    assertThatThrownBy(() -> Handshake.readRequest(bytes, 0, bytes.length))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void any_bytes_as_a_handshake_are_read_or_refused() {
    Fuzz fuzz = new Fuzz();
    fuzz.randomBytes(b -> Handshake.readRequest(b, 0, b.length));
    fuzz.mutations(
        Handshake.request(HubProtocol.MESSAGE_PACK, 1), b -> Handshake.readRequest(b, 0, b.length));
  }

  private static void assertSpecification(String hex, HubMessage message) {
    byte[] body = HexFormat.of().parseHex(hex);
    byte[] framed = new byte[body.length + 1];
    framed[0] = (byte) body.length;
    System.arraycopy(body, 0, framed, 1, body.length);

    assertThat(HubProtocol.MESSAGE_PACK.decode(framed, 0, framed.length)).containsExactly(message);
  }

  private static byte[] encode(HubProtocol protocol, HubMessage message) {
    GrowingBytes out = new GrowingBytes(0, 1 << 24);
    protocol.encode(message, out);
    return out.toByteArray();
  }
}
