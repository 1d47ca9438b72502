package io.conexor.protocol.send;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class CallGateTest {
  @Test
  void who_ends_it_idle_makes_the_last_call_and_nobody_enters_any_more() {
    CallGate gate = new CallGate();
    assertThat(gate.enter()).isTrue();
    assertThat(gate.leave()).isFalse();

    assertThat(gate.end()).isTrue();

    assertThat(gate.end()).isFalse();
    assertThat(gate.enter()).isFalse();
  }

  @Test
  void who_is_busy_makes_the_last_call() {
    CallGate gate = new CallGate();
    gate.enter();

    assertThat(gate.end()).isFalse();
    assertThat(gate.end()).isFalse();

    assertThat(gate.leave()).isTrue();
    assertThat(gate.enter()).isFalse();
  }

  @Test
  void the_last_call_is_made_once_and_after_all_others() throws Exception {
    for (int round = 0; round < 2_000; round++) {
      CallGate gate = new CallGate();
      AtomicInteger lastCalls = new AtomicInteger();
      AtomicInteger after = new AtomicInteger();
      CountDownLatch ready = new CountDownLatch(1);
      Runnable ender =
          () -> {
            ready.countDown();
            if (gate.end()) {
              lastCalls.incrementAndGet();
            }
          };
      Thread one = new Thread(ender);
      Thread other = new Thread(ender);
      one.start();
      other.start();
      ready.await();
      for (int i = 0; i < 50 && gate.enter(); i++) {
        after.addAndGet(lastCalls.get());
        if (gate.leave()) {
          lastCalls.incrementAndGet();
        }
      }
      one.join();
      other.join();
      assertThat(lastCalls).hasValue(1);
      assertThat(after).hasValue(0);
    }
  }
}
