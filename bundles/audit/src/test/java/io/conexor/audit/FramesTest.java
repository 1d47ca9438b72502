package io.conexor.audit;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import java.nio.ByteBuffer;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class FramesTest {

  private static ByteBuffer frame(AuditRecord record) {
    ByteBuffer bytes = ByteBuffer.allocate(Frames.MAX_FRAME);
    Frames.encode(record, bytes);
    return bytes.flip();
  }

  @Test
  void a_record_comes_back_as_it_was() {
    for (AuditRecord.Outcome outcome : AuditRecord.Outcome.values()) {
      AuditRecord bare =
          new AuditRecord(
              AuditId.random(),
              Instant.now(),
              null,
              "auth.refuse",
              outcome,
              null,
              null,
              null,
              "node-a",
              null,
              null,
              null,
              null,
              null,
              null,
              0,
              0,
              true,
              0,
              "Ünïcödé 😀");
      ByteBuffer bytes = frame(bare);

      assertThat(Frames.decode(bytes, 0)).isEqualTo(new Frames.Decoded.Whole(bare, bytes.limit()));
    }
    AuditRecord full = Fixture.record(7);
    assertThat(Frames.decode(frame(full), 0))
        .isInstanceOfSatisfying(
            Frames.Decoded.Whole.class, whole -> assertThat(whole.record()).isEqualTo(full));
  }

  @Test
  void every_changed_byte_is_noticed() {
    ByteBuffer bytes = frame(Fixture.record(7));
    for (int i = 0; i < bytes.limit(); i++) {
      ByteBuffer damaged = ByteBuffer.wrap(bytes.array().clone()).limit(bytes.limit());
      damaged.put(i, (byte) (damaged.get(i) ^ 0x10));

      assertThat(Frames.decode(damaged, 0)).isNotInstanceOf(Frames.Decoded.Whole.class);
    }
  }

  @Test
  void a_torn_frame_is_partial_at_every_length() {
    ByteBuffer bytes = frame(Fixture.record(7));
    for (int i = 0; i < bytes.limit(); i++) {
      assertThat(Frames.decode(bytes.duplicate().limit(i), 0))
          .isInstanceOf(Frames.Decoded.Partial.class);
    }
  }

  @Test
  void long_texts_are_cut_and_NUL_is_replaced() {
    AuditRecord odd =
        new AuditRecord(
            AuditId.random(),
            Instant.now(),
            null,
            "x",
            AuditRecord.Outcome.FAILED,
            "a\0b",
            null,
            null,
            "node-a",
            null,
            null,
            null,
            null,
            null,
            null,
            0,
            0,
            false,
            0,
            "€".repeat(10_000));

    Frames.Decoded.Whole whole = (Frames.Decoded.Whole) Frames.decode(frame(odd), 0);

    assertThat(whole.record().error()).hasSize(Frames.MAX_TEXT);
    assertThat(whole.record().principal()).isEqualTo("a\uFFFDb");
  }
}
