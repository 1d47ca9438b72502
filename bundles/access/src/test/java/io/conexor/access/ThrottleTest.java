package io.conexor.access;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class ThrottleTest {

  private final Fixture.ManualTime time = new Fixture.ManualTime();
  private final Throttle throttle = new Throttle(3, Duration.ofSeconds(10), 100, time::nanoTime);

  @Test
  void the_burst_passes_and_the_next_attempt_waits() {
    for (int i = 0; i < 3; i++) {
      assertThat(throttle.take("a")).isEmpty();
    }

    assertThat(throttle.take("a")).contains(Duration.ofSeconds(10));
    assertThat(throttle.take("b")).isEmpty();
  }

  @Test
  void a_refused_attempt_costs_nothing() {
    for (int i = 0; i < 50; i++) {
      throttle.take("a");
    }
    time.pass(Duration.ofSeconds(10));

    assertThat(throttle.take("a")).isEmpty();
    assertThat(throttle.take("a")).isPresent();
  }

  @Test
  void the_burst_comes_back_with_time_or_forgiveness() {
    for (int i = 0; i < 4; i++) {
      throttle.take("a");
      throttle.take("b");
    }
    time.pass(Duration.ofSeconds(30));
    throttle.forgive("b");

    for (int i = 0; i < 3; i++) {
      assertThat(throttle.take("a")).isEmpty();
      assertThat(throttle.take("b")).isEmpty();
    }
  }

  @Test
  void a_spray_of_subjects_does_not_grow_it() {
    for (int i = 0; i < 100_000; i++) {
      throttle.take("subject " + i);
    }

    assertThat(throttle.subjects()).isLessThanOrEqualTo(101);
  }
}
