package io.conexor.backplane.redis;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MailboxTest {
  private final ExecutorService pool = Executors.newFixedThreadPool(2);
  private final Mailbox box = new Mailbox(pool, 1_000);
  private final List<Thread> threads = new ArrayList<>();

  @AfterEach
  void stop() {
    pool.shutdownNow();
  }

  private void settle() throws InterruptedException {
    CountDownLatch done = new CountDownLatch(1);
    box.offer(done::countDown, 0);
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
  }

  private void note() {
    threads.add(Thread.currentThread());
  }

  @Test
  void a_task_runs_where_it_comes_from_when_nothing_waits() {
    assertThat(box.offerHere(this::note, 10)).isTrue();

    assertThat(threads).containsExactly(Thread.currentThread());
  }

  @Test
  void a_task_that_comes_from_within_a_task_runs_after_it() throws Exception {
    List<String> order = new ArrayList<>();

    box.offerHere(
        () -> {
          box.offerHere(() -> order.add("inner"), 10);
          order.add("outer");
        },
        10);

    settle();
    assertThat(order).containsExactly("outer", "inner");
  }

  @Test
  void order_is_kept_behind_a_task_that_takes_long() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    box.offer(
        () -> {
          begun.countDown();
          try {
            go.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        },
        10);
    assertThat(begun.await(10, TimeUnit.SECONDS)).isTrue();
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      int number = i;
      box.offerHere(() -> order.add(number), 10);
    }
    go.countDown();

    settle();
    assertThat(order).hasSize(50).isSorted();
  }

  @Test
  void what_takes_long_is_left_to_the_pool_and_holds_nobody_else_up() throws Exception {
    box.offerHere(() -> LockSupport.parkNanos(5_000_000), 10);

    box.offerHere(this::note, 10);

    settle();
    assertThat(threads).hasSize(1).doesNotContain(Thread.currentThread());
  }

  @Test
  void what_is_too_much_is_refused_while_something_runs() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    box.offer(
        () -> {
          try {
            go.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        },
        900);

    assertThat(box.offerHere(this::note, 200)).isTrue();
    assertThat(box.offerHere(this::note, 1)).isFalse();
    go.countDown();
  }

  @Test
  void a_task_that_fails_does_not_stop_those_after_it() throws Exception {
    box.offerHere(
        () -> {
          throw new IllegalStateException("as it should");
        },
        10);

    box.offerHere(this::note, 10);

    settle();
    assertThat(threads).hasSize(1);
  }
}
