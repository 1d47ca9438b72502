package io.conexor.protocol.send;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.protocol.send.OutboundQueue.Sent;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OutboundQueueTest {
  private final List<byte[]> writes = new ArrayList<>();
  private final List<Consumer<Throwable>> open = new ArrayList<>();
  private final List<Throwable> failures = new ArrayList<>();
  private final OutboundQueue queue =
      new OutboundQueue(
          (message, done) -> {
            writes.add(bytes(message));
            open.add(done);
          },
          1_000,
          failures::add);

  @Test
  void one_write_is_in_flight_and_what_comes_meanwhile_is_joined() {
    send(1);
    send(2);
    send(3);
    assertThat(writes).containsExactly(new byte[] {1});

    open.get(0).accept(null);
    assertThat(writes).containsExactly(new byte[] {1}, new byte[] {2, 3});

    open.get(1).accept(null);
    assertThat(writes).hasSize(2);
    assertThat(queue.queuedBytes()).isZero();
  }

  @Test
  void the_bound_counts_what_is_in_flight_and_frees_what_was_written() {
    assertThat(queue.send(new byte[600], 0, 600)).isEqualTo(Sent.QUEUED);
    assertThat(queue.send(new byte[401], 0, 401)).isEqualTo(Sent.FULL);
    assertThat(queue.send(new byte[400], 0, 400)).isEqualTo(Sent.QUEUED);
    assertThat(queue.send(new byte[1], 0, 1)).isEqualTo(Sent.FULL);

    open.get(0).accept(null);

    assertThat(queue.send(new byte[600], 0, 600)).isEqualTo(Sent.QUEUED);
  }

  @Test
  void a_failed_write_ends_it_and_is_told_once() {
    send(1);
    send(2);

    open.get(0).accept(new IOException("gone"));

    assertThat(failures).hasSize(1);
    assertThat(writes).hasSize(1);
    assertThat(queue.send(new byte[1], 0, 1)).isEqualTo(Sent.CLOSED);
  }

  @Test
  void after_close_nothing_more_is_written() {
    send(1);
    send(2);
    queue.close();

    open.get(0).accept(null);

    assertThat(writes).hasSize(1);
    assertThat(failures).isEmpty();
  }

  @Test
  void a_writer_that_throws_is_a_failed_write() {
    OutboundQueue broken =
        new OutboundQueue(
            (message, done) -> {
              throw new IllegalStateException("broken");
            },
            1_000,
            failures::add);

    broken.send(new byte[1], 0, 1);

    assertThat(failures).hasSize(1);
    assertThat(broken.send(new byte[1], 0, 1)).isEqualTo(Sent.CLOSED);
  }

  private enum Ends {
    AT_ONCE,
    LATER,
    EITHER
  }

  /** A lost chunk would leave the test waiting; a doubled or reordered one breaks the counting. */
  @ParameterizedTest
  @EnumSource(Ends.class)
  void many_senders_lose_double_and_reorder_nothing(Ends ends) throws Exception {
    int senders = 8;
    int each = 100_000;
    ExecutorService executor = Executors.newFixedThreadPool(senders + 1);
    AtomicInteger inFlight = new AtomicInteger();
    AtomicInteger overlaps = new AtomicInteger();
    AtomicLong received = new AtomicLong();
    int[] last = new int[senders];
    AtomicInteger disorder = new AtomicInteger();
    CountDownLatch all = new CountDownLatch(senders * each);
    try {
      OutboundQueue stressed =
          new OutboundQueue(
              (message, done) -> {
                if (inFlight.incrementAndGet() != 1) {
                  overlaps.incrementAndGet();
                }
                Runnable finish =
                    () -> {
                      while (message.hasRemaining()) {
                        int number = message.getInt();
                        int sender = number >>> 24;
                        if ((number & 0xffffff) != ++last[sender]) {
                          disorder.incrementAndGet();
                        }
                        received.incrementAndGet();
                        all.countDown();
                      }
                      inFlight.decrementAndGet();
                      done.accept(null);
                    };
                if (ends == Ends.AT_ONCE
                    || (ends == Ends.EITHER && ThreadLocalRandom.current().nextBoolean())) {
                  finish.run();
                } else {
                  executor.execute(finish);
                }
              },
              Long.MAX_VALUE,
              failures::add);
      for (int s = 0; s < senders; s++) {
        int sender = s;
        executor.execute(
            () -> {
              for (int i = 1; i <= each; i++) {
                byte[] bytes = ByteBuffer.allocate(4).putInt(sender << 24 | i).array();
                stressed.send(bytes, 0, 4);
              }
            });
      }

      assertThat(all.await(20, TimeUnit.SECONDS)).as("received %s", received).isTrue();
      assertThat(overlaps).hasValue(0);
      assertThat(disorder).hasValue(0);
      assertThat(received).hasValue(senders * (long) each);
    } finally {
      executor.shutdownNow();
    }
  }

  private void send(int b) {
    assertThat(queue.send(new byte[] {(byte) b}, 0, 1)).isEqualTo(Sent.QUEUED);
  }

  private static byte[] bytes(ByteBuffer message) {
    byte[] bytes = new byte[message.remaining()];
    message.get(bytes);
    return bytes;
  }
}
