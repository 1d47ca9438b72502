package io.conexor.protocol.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.protocol.Fuzz;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.AgentMessage.FromAgent;
import io.conexor.protocol.agent.AgentMessage.FromBackend;
import io.conexor.protocol.agent.AgentMessage.RowBatch;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.FrameWriter;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.hub.HubProtocol;
import io.conexor.protocol.msgpack.PackWriter;
import io.conexor.protocol.rows.RowReader;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class AgentMessagesTest {
  private static final List<FromAgent> FROM_AGENT =
      List.of(
          new AgentMessage.Hello(
              1,
              "0.1.0",
              "7b0b6a5e-0000-4000-8000-000000000000",
              "berlin-3",
              List.of(
                  new AgentMessage.Source(
                      "sales", "postgresql", "15.18", true, 1000, 0, 4, "UP", null),
                  new AgentMessage.Source(
                      "größe", "sqlite", "3", false, 0, 1L << 40, 1, "DOWN", "no file")),
              9),
          new AgentMessage.Heartbeat(
              3, 0, List.of(new AgentMessage.SourceState("sales", "DOWN", "refused")), 1L << 33),
          new AgentMessage.Heartbeat(0, 0, List.of(), 7, List.of("q-1", "q-2")),
          new AgentMessage.Closing("draining"),
          new CallEnd(Integer.MAX_VALUE, CallStatus.DONE, 5, true, 1234, null),
          new CallEnd(0, CallStatus.CANCELLED, 0, false, 1, error(null)),
          new CallEnd(1, CallStatus.FAILED, 0, false, 1, error("42P01")),
          AgentMessage.Ping.INSTANCE,
          new AgentMessage.Close("key revoked", false));

  private static final List<FromBackend> FROM_BACKEND =
      List.of(
          new AgentMessage.Welcome(1, "node-1", "17", 3, 1000, "agent"),
          new AgentMessage.Query(
              42,
              "sales",
              "SELECT ?",
              Arrays.asList(null, true, 5L, 1.5, "é", new BigDecimal("1.10"), List.of(1L, 2L)),
              100,
              1 << 20,
              5000,
              4,
              "q-1",
              null),
          new AgentMessage.Query(43, "s", "", List.of(), 1, 1, 0, 1, "q", "00-trace"),
          new AgentMessage.Query(
              44, "s", "", List.of(), 1, 1, 0, 1, "q", null, AgentMessage.Life.ONCE, 60_000, ""),
          new AgentMessage.Query(
              45, "s", "", List.of(), 1, 1, 0, 1, "q", null, AgentMessage.Life.REQUEST, 0, "me"),
          new AgentMessage.Detach(44, "q-2", 5_000),
          new AgentMessage.Schema(44, "sales", 5000, 4),
          new AgentMessage.Credit(42, 3),
          new AgentMessage.Cancel(42),
          new AgentMessage.Closing("drain"),
          AgentMessage.Ping.INSTANCE,
          new AgentMessage.Close(null, true));

  @Test
  void every_message_survives_and_is_a_hub_message() {
    for (FromAgent message : FROM_AGENT) {
      assertThat(AgentDecoder.fromAgent(frame(encode(message)))).isEqualTo(message);
    }
    for (FromBackend message : FROM_BACKEND) {
      assertThat(AgentDecoder.fromBackend(frame(encode(message)))).isEqualTo(message);
    }
    for (AgentMessage message : FROM_AGENT) {
      byte[] bytes = encode(message);
      assertThat(HubProtocol.MESSAGE_PACK.decode(bytes, 0, bytes.length)).hasSize(1);
    }
  }

  @Test
  void a_message_without_its_length_prefix_is_read_too() {
    byte[] bytes = encode(new AgentMessage.Credit(42, 3));
    FrameReader withPrefix = frame(bytes);
    ByteBuffer without =
        ByteBuffer.wrap(bytes, withPrefix.start(), withPrefix.end() - withPrefix.start()).slice();

    assertThat(AgentDecoder.fromBackend(new FrameReader().message(without)))
        .isEqualTo(new AgentMessage.Credit(42, 3));
  }

  @Test
  void items_added_by_a_newer_version_are_ignored() {
    GrowingBytes out = new GrowingBytes(0, 1_000);
    HubProtocol.MESSAGE_PACK.encode(
        new HubMessage.Invocation(null, "closing", List.of("drain", "new", List.of(1L))), out);

    assertThat(AgentDecoder.fromAgent(frame(out.toByteArray())))
        .isEqualTo(new AgentMessage.Closing("drain"));
  }

  @Test
  void targets_of_a_newer_version_are_ignored() {
    GrowingBytes out = new GrowingBytes(0, 1_000);
    HubProtocol.MESSAGE_PACK.encode(new HubMessage.Invocation(null, "sing", List.of(1L)), out);

    assertThat(AgentDecoder.fromAgent(frame(out.toByteArray()))).isNull();
    assertThat(AgentDecoder.fromBackend(frame(out.toByteArray()))).isNull();
  }

  @Test
  void a_small_result_is_one_transport_message() {
    ResultWriter writer = new ResultWriter(7, 1 << 20);
    writer.columns(columns());
    row(writer, 1, "one");
    row(writer, 2, null);

    ByteBuffer message =
        writer.finish(new CallEnd(7, CallStatus.DONE, writer.rowCount(), false, 99, null));

    FrameReader frames = frames(message);
    assertThat(frames.next()).isTrue();
    RowBatch batch = AgentDecoder.rowBatch(frames);
    assertThat(batch.callId()).isEqualTo(7);
    assertThat(batch.columns()).isEqualTo(columns());
    assertThat(rows(batch)).containsExactly(Arrays.asList(1L, "one"), Arrays.asList(2L, null));
    assertThat(frames.next()).isTrue();
    assertThat(AgentDecoder.callEnd(frames))
        .isEqualTo(new CallEnd(7, CallStatus.DONE, 2, false, 99, null));
    assertThat(frames.next()).isFalse();
  }

  @Test
  void a_large_result_comes_in_batches_of_which_the_first_has_the_columns() {
    ResultWriter writer = new ResultWriter(1_234_567, 1 << 20);
    writer.columns(columns());
    List<Object> read = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      row(writer, i, "row number " + i);
      if (writer.batchBytes() > 16_000) {
        FrameReader frames = frames(writer.takeBatch());
        assertThat(frames.next()).isTrue();
        RowBatch batch = AgentDecoder.rowBatch(frames);
        assertThat(batch.columns() != null).isEqualTo(read.isEmpty());
        assertThat(batch.callId()).isEqualTo(1_234_567);
        read.addAll(rows(batch));
        assertThat(frames.next()).isFalse();
      }
    }
    assertThat(read).isNotEmpty();
    assertThat(writer.rowCount()).isEqualTo(5_000);

    FrameReader last =
        frames(writer.finish(new CallEnd(1_234_567, CallStatus.DONE, 5_000, false, 1, null)));
    assertThat(last.next()).isTrue();
    RowBatch batch = AgentDecoder.rowBatch(last);
    assertThat(batch.columns()).isNull();
    read.addAll(rows(batch));
    assertThat(last.next()).isTrue();
    assertThat(read).hasSize(5_000);
    assertThat(read.get(4_999)).isEqualTo(List.of(4_999L, "row number 4999"));
  }

  @Test
  void an_empty_result_still_names_its_columns() {
    ResultWriter writer = new ResultWriter(0, 1 << 20);
    writer.columns(columns());

    FrameReader frames = frames(writer.finish(new CallEnd(0, CallStatus.DONE, 0, false, 1, null)));

    assertThat(frames.next()).isTrue();
    assertThat(AgentDecoder.rowBatch(frames).columns()).isEqualTo(columns());
    assertThat(frames.next()).isTrue();
  }

  @Test
  void a_failure_before_the_columns_is_a_completion_alone() {
    ResultWriter writer = new ResultWriter(9, 1 << 20);

    FrameReader frames =
        frames(writer.finish(new CallEnd(9, CallStatus.FAILED, 0, false, 1, error("42P01"))));

    assertThat(frames.next()).isTrue();
    assertThat(frames.type()).isEqualTo(HubMessage.COMPLETION);
    assertThat(frames.next()).isFalse();
  }

  @Test
  void a_row_that_does_not_fit_can_be_taken_back() {
    ResultWriter writer = new ResultWriter(9, 2_000);
    writer.columns(columns());
    row(writer, 1, "fits");

    assertThatThrownBy(() -> row(writer, 2, "x".repeat(5_000)))
        .isInstanceOf(ProtocolException.class);
    writer.rows().undoRow();

    FrameReader frames = frames(writer.takeBatch());
    frames.next();
    assertThat(rows(AgentDecoder.rowBatch(frames))).containsExactly(List.of(1L, "fits"));
  }

  @Test
  void more_rows_than_bytes_are_refused() {
    ResultWriter writer = new ResultWriter(9, 2_000);
    writer.columns(columns());
    row(writer, 1, "x");
    ByteBuffer batch = writer.takeBatch();
    int rowsAt = batch.limit() - writerRowBytes();
    batch.array()[rowsAt - 9] = 0x7f; // the row count's first byte

    FrameReader frames = frames(batch);
    frames.next();
    assertThatThrownBy(() -> AgentDecoder.rowBatch(frames)).isInstanceOf(ProtocolException.class);
  }

  private static int writerRowBytes() {
    return 4; // [1, "x"]
  }

  @Test
  void a_completion_without_a_result_is_a_failure_of_the_agent() {
    GrowingBytes out = new GrowingBytes(0, 1_000);
    HubProtocol.MESSAGE_PACK.encode(HubMessage.Completion.failure("5", "boom"), out);

    CallEnd end = AgentDecoder.callEnd(frame(out.toByteArray()));

    assertThat(end.status()).isEqualTo(CallStatus.FAILED);
    assertThat(end.error()).isNotNull();
  }

  @Test
  void any_bytes_give_a_message_or_a_protocol_exception() {
    Fuzz fuzz = new Fuzz();
    fuzz.randomBytes(AgentMessagesTest::decodeBothWays);
    GrowingBytes all = new GrowingBytes(0, 100_000);
    AgentEncoder encoder = new AgentEncoder(all);
    FROM_AGENT.forEach(encoder::message);
    fuzz.mutations(all.toByteArray(), AgentMessagesTest::decodeBothWays);
    all.clear();
    FROM_BACKEND.forEach(encoder::message);
    fuzz.mutations(all.toByteArray(), AgentMessagesTest::decodeBothWays);
    ResultWriter writer = new ResultWriter(7, 1 << 20);
    writer.columns(columns());
    row(writer, 1, "one");
    ByteBuffer result = writer.finish(new CallEnd(7, CallStatus.DONE, 1, false, 99, null));
    byte[] bytes = new byte[result.remaining()];
    result.get(bytes);
    fuzz.mutations(bytes, AgentMessagesTest::decodeBothWays);
  }

  private static void decodeBothWays(byte[] bytes) {
    ProtocolException first = null;
    try {
      FrameReader frames = new FrameReader().reset(bytes, 0, bytes.length);
      while (frames.next()) {
        if (AgentDecoder.fromAgent(frames) instanceof RowBatch batch) {
          rows(batch);
        }
      }
    } catch (ProtocolException e) {
      first = e;
    }
    FrameReader frames = new FrameReader().reset(bytes, 0, bytes.length);
    while (frames.next()) {
      AgentDecoder.fromBackend(frames);
    }
    if (first != null) {
      throw first;
    }
  }

  private static CallError error(String sqlState) {
    return new CallError("no_such_table", "CALLER", "NO", "no table 'x'", sqlState);
  }

  private static List<Column> columns() {
    return List.of(
        new Column("id", "INTEGER", false, null, "int4"),
        new Column("name", "TEXT", true, null, "varchar"));
  }

  private static void row(ResultWriter writer, long id, String name) {
    writer.rows().row(2);
    writer.rows().integer(id);
    writer.rows().text(name);
  }

  private static List<Object> rows(RowBatch batch) {
    RowReader reader = new RowReader(batch.bytes(), batch.rowsOffset(), batch.rowsLength());
    List<Object> rows = new ArrayList<>();
    while (reader.nextRow()) {
      List<Object> row = new ArrayList<>();
      while (reader.valuesLeft() > 0) {
        row.add(reader.value());
      }
      rows.add(row);
    }
    return rows;
  }

  private static byte[] encode(AgentMessage message) {
    GrowingBytes out = new GrowingBytes(0, 1 << 20);
    new AgentEncoder(out).message(message);
    return out.toByteArray();
  }

  private static FrameReader frames(ByteBuffer message) {
    return new FrameReader().reset(message.array(), message.position(), message.remaining());
  }

  private static FrameReader frame(byte[] bytes) {
    FrameReader frames = new FrameReader().reset(bytes, 0, bytes.length);
    assertThat(frames.next()).isTrue();
    return frames;
  }

  @Test
  void what_a_newer_minor_version_says_besides_is_passed_over() {
    AgentMessage.Hello hello =
        new AgentMessage.Hello(AgentWire.VERSION, "0.9", "p", "berlin", List.of(), 4);
    FrameReader known =
        raw(HubMessage.INVOCATION, null, "hello", 1, "0.9", "p", "berlin", List.of(), 4, "more");
    FrameReader beat =
        raw(HubMessage.INVOCATION, null, "heartbeat", 3, 0, List.of(), 9, List.of("q"), 1, 2);
    FrameReader query =
        raw(
            HubMessage.STREAM_INVOCATION,
            "7",
            "query",
            "s",
            "q",
            List.of(),
            5,
            9,
            1_000,
            2,
            "q",
            "trace",
            1,
            0,
            "me",
            "more",
            8);

    assertThat(AgentDecoder.fromAgent(known)).isEqualTo(hello);
    assertThat(AgentDecoder.fromAgent(beat))
        .isEqualTo(new AgentMessage.Heartbeat(3, 0, List.of(), 9, List.of("q")));
    assertThat(((AgentMessage.Query) AgentDecoder.fromBackend(query)).asker()).isEqualTo("me");
    assertThat(AgentDecoder.fromAgent(raw(HubMessage.INVOCATION, null, "news", 1))).isNull();
    assertThat(AgentDecoder.fromBackend(raw(HubMessage.INVOCATION, null, "news", 1))).isNull();
  }

  @Test
  void what_an_older_minor_version_does_not_say_has_its_old_meaning() {
    FrameReader beat = raw(HubMessage.INVOCATION, null, "heartbeat", 3, 0, List.of(), 9);
    FrameReader query =
        raw(
            HubMessage.STREAM_INVOCATION,
            "7",
            "query",
            "s",
            "q",
            List.of(),
            5,
            9,
            1_000,
            2,
            "q",
            "trace");

    assertThat(AgentDecoder.fromAgent(beat))
        .isEqualTo(new AgentMessage.Heartbeat(3, 0, List.of(), 9));
    assertThat(((AgentMessage.Query) AgentDecoder.fromBackend(query)).life())
        .isEqualTo(AgentMessage.Life.LINK);
    // nor is more said to it than it knows
    assertThat(encode(new AgentMessage.Query(7, "s", "q", List.of(), 5, 9, 1, 2, "q", "t")))
        .isEqualTo(
            bytes(
                HubMessage.STREAM_INVOCATION,
                "7",
                "query",
                "s",
                "q",
                List.of(),
                5,
                9,
                1,
                2,
                "q",
                "t"));
  }

  private static byte[] bytes(
      int type, @Nullable String callId, String target, Object... arguments) {
    GrowingBytes out = new GrowingBytes(0, 1 << 16);
    FrameWriter frame = new FrameWriter(out);
    PackWriter pack = frame.beginWithoutHeaders(type, 6);
    pack.textOrNil(callId);
    pack.text(target);
    pack.value(Arrays.asList(arguments));
    frame.endInvocation();
    return out.toByteArray();
  }

  private static FrameReader raw(
      int type, @Nullable String callId, String target, Object... arguments) {
    return frame(bytes(type, callId, target, arguments));
  }

  @Test
  void an_answer_can_be_given_to_another_call() {
    ResultWriter writer = new ResultWriter(7, 1 << 16);
    writer.columns(List.of(new AgentMessage.Column("n", "INTEGER", false, null, "int4")));
    writer.rows().row(1);
    writer.rows().integer(5);
    java.nio.ByteBuffer answer = writer.finish(new CallEnd(7, CallStatus.DONE, 1, false, 9, null));

    java.nio.ByteBuffer other = CallIds.replaced(answer, 123_456_789);

    FrameReader frame =
        new FrameReader()
            .reset(other.array(), other.arrayOffset() + other.position(), other.remaining());
    assertThat(frame.next()).isTrue();
    AgentMessage.RowBatch batch = AgentDecoder.rowBatch(frame);
    assertThat(batch.callId()).isEqualTo(123_456_789);
    assertThat(batch.rowCount()).isEqualTo(1);
    assertThat(batch.columns()).hasSize(1);
    assertThat(frame.next()).isTrue();
    assertThat(AgentDecoder.callEnd(frame))
        .isEqualTo(new CallEnd(123_456_789, CallStatus.DONE, 1, false, 9, null));
    assertThat(frame.next()).isFalse();
  }

  @Test
  void a_request_has_the_same_id_at_both_ends_and_another_one_another() {
    List<@Nullable Object> sent =
        Arrays.asList(
            7, (short) -3, 1L << 40, 1.5f, "ä", null, true, new byte[] {1}, new BigDecimal("1.50"));
    AgentMessage.Query query =
        new AgentMessage.Query(
            1, "s", "q", sent, 5, 9, 0, 1, "id", null, AgentMessage.Life.REQUEST, 0, "me");

    AgentMessage.Query arrived =
        (AgentMessage.Query) AgentDecoder.fromBackend(frame(encode(query)));

    UUID id = QueryIds.ofRequest("me", "s", "q", sent, 5, 9);
    assertThat(QueryIds.ofRequest("me", "s", "q", arrived.parameters(), 5, 9)).isEqualTo(id);
    assertThat(QueryIds.ofRequest("you", "s", "q", sent, 5, 9)).isNotEqualTo(id);
    assertThat(QueryIds.ofRequest("me", "s", "q", sent.subList(0, 8), 5, 9)).isNotEqualTo(id);
    assertThat(QueryIds.ofRequest("me", "sq", "", sent, 5, 9)).isNotEqualTo(id);
  }

  @Test
  void the_same_parts_make_the_same_query_id_and_others_another() {
    assertThat(QueryIds.of("a", "bc")).isEqualTo(QueryIds.of("a", "bc"));
    assertThat(QueryIds.of("a", "bc")).isNotEqualTo(QueryIds.of("ab", "c"));
    assertThat(QueryIds.of("a").version()).isEqualTo(8);
  }
}
