package io.conexor.database;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PositionsTest {

  private final Positions positions = new Positions();

  private void see(long at, long lsn) {
    positions.add(at, lsn);
  }

  @Test
  void a_copy_of_some_age_needs_what_the_primary_had_then() {
    see(100, 10);
    see(200, 20);
    see(300, 30);

    assertThat(positions.needed(310, 0)).isEqualTo(30);
    assertThat(positions.needed(310, 100)).isEqualTo(20);
    assertThat(positions.needed(310, 210)).isEqualTo(10);
  }

  @Test
  void what_was_before_the_first_look_is_not_known_so_the_oldest_position_is_needed() {
    see(100, 10);
    see(200, 20);

    assertThat(positions.needed(210, 1_000)).isEqualTo(10);
  }

  @Test
  void a_replica_is_as_old_as_the_first_position_it_has_not_got() {
    see(100, 10);
    see(200, 20);
    see(300, 30);

    assertThat(positions.age(310, 30)).isZero();
    assertThat(positions.age(310, 35)).isZero();
    assertThat(positions.age(310, 25)).isEqualTo(10);
    assertThat(positions.age(310, 10)).isEqualTo(110);
    assertThat(positions.age(310, 5)).isGreaterThan(210);
  }

  @Test
  void while_nothing_is_written_nobody_lags() {
    see(100, 10);
    see(10_000, 10);

    assertThat(positions.age(10_001, 10)).isZero();
  }

  @Test
  void a_look_that_comes_late_changes_nothing() {
    see(200, 20);
    see(100, 10);

    assertThat(positions.lastLsn()).isEqualTo(20);
    assertThat(positions.lastAt()).isEqualTo(200);
  }

  @Test
  void a_replica_leaves_beyond_the_limit_and_comes_back_below_half_of_it() {
    assertThat(Positions.inRotation(true, 100, 100)).isTrue();
    assertThat(Positions.inRotation(true, 101, 100)).isFalse();
    assertThat(Positions.inRotation(false, 51, 100)).isFalse();
    assertThat(Positions.inRotation(false, 50, 100)).isTrue();
    assertThat(Positions.inRotation(false, Long.MAX_VALUE, 0)).isTrue();
  }
}
