package io.conexor.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.audit.AuditRecord;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpoolTest {

  @TempDir Path folder;

  private static void append(Spool spool, long from, long to) throws IOException {
    for (long i = from; i < to; i++) {
      ByteBuffer frame = ByteBuffer.allocate(Frames.MAX_FRAME);
      Frames.encode(Fixture.record(i), frame);
      spool.append(frame.flip());
    }
  }

  private static List<Long> drain(Spool spool) throws IOException {
    List<Long> numbers = new ArrayList<>();
    while (true) {
      Spool.Batch batch = spool.read(37);
      batch.records().stream().map(AuditRecord::rowCount).forEach(numbers::add);
      if (batch.records().isEmpty()) {
        return numbers;
      }
      spool.delivered(batch.end());
    }
  }

  private static List<Long> range(long from, long to) {
    return java.util.stream.LongStream.range(from, to).boxed().toList();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(f -> f.toString().endsWith(".spool")).sorted().toList();
    }
  }

  @Test
  void records_come_out_in_order_over_many_files_and_their_files_go() throws IOException {
    try (Spool spool = new Spool(folder, 4_096)) {
      append(spool, 0, 1_000);
      assertThat(files()).hasSizeGreaterThan(10);

      assertThat(drain(spool)).isEqualTo(range(0, 1_000));

      assertThat(spool.pendingBytes()).isZero();
      assertThat(files()).hasSize(1);
    }
  }

  @Test
  void what_was_not_delivered_comes_after_a_restart() throws IOException {
    try (Spool spool = new Spool(folder, 4_096)) {
      append(spool, 0, 100);
      Spool.Batch batch = spool.read(40);
      spool.delivered(batch.end());
    }
    try (Spool spool = new Spool(folder, 4_096)) {
      append(spool, 100, 110);

      assertThat(drain(spool)).isEqualTo(range(40, 110));
    }
  }

  @Test
  void a_torn_last_record_is_skipped_at_every_length() throws IOException {
    for (int cut = 1; cut < 60; cut += 7) {
      Files.createDirectories(folder);
      for (Path file : files()) {
        Files.delete(file);
      }
      Files.deleteIfExists(folder.resolve("position"));
      try (Spool spool = new Spool(folder, 1 << 20)) {
        append(spool, 0, 10);
      }
      try (FileChannel torn = FileChannel.open(files().get(0), StandardOpenOption.WRITE)) {
        torn.truncate(torn.size() - cut);
      }
      try (Spool spool = new Spool(folder, 1 << 20)) {
        append(spool, 10, 12);

        assertThat(drain(spool)).containsExactly(0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 10L, 11L);
      }
    }
  }

  @Test
  void a_damaged_record_costs_itself_only() throws IOException {
    try (Spool spool = new Spool(folder, 1 << 20)) {
      append(spool, 0, 10);
    }
    try (FileChannel damaged = FileChannel.open(files().get(0), StandardOpenOption.WRITE)) {
      damaged.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4}), damaged.size() / 2);
    }
    try (Spool spool = new Spool(folder, 1 << 20)) {
      assertThat(drain(spool)).hasSizeBetween(8, 9).startsWith(0L).endsWith(9L);
    }
  }

  @Test
  void a_lost_position_delivers_again_rather_than_not_at_all() throws IOException {
    try (Spool spool = new Spool(folder, 1 << 20)) {
      append(spool, 0, 10);
      drain(spool);
      Files.writeString(folder.resolve("position"), "garbage");
    }
    try (Spool spool = new Spool(folder, 1 << 20)) {
      assertThat(drain(spool)).isEqualTo(range(0, 10));
    }
  }

  @Test
  void a_second_owner_is_kept_out() throws IOException {
    try (Spool spool = new Spool(folder, 1 << 20)) {
      assertThatThrownBy(() -> new Spool(folder, 1 << 20))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("in use");
    }
    new Spool(folder, 1 << 20).close();
  }
}
