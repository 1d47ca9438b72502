package io.conexor.database;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class DecisionsTest {

  private static final Settlement.Begun BEGUN = new Settlement.Begun("100", 3, 1_000, 500L);

  @Test
  void a_stale_primary_is_never_chosen() {
    View stale = new View(View.Role.PRIMARY, 3, 9_000, 1, 1, 1, "");
    View newer = new View(View.Role.PRIMARY, 4, 10, 1, 1, 1, "");

    assertThat(View.primary(List.of(stale, newer), 4, 0)).isEqualTo(1);
    assertThat(View.primary(List.of(stale, View.down("x")), 4, 1)).isEqualTo(-1);
    assertThat(View.primary(List.of(new View(View.Role.REPLICA, 4, 1, 1, 1, 1, "")), 4, 0))
        .isEqualTo(-1);
  }

  @Test
  void what_patroni_says_is_understood_in_version_3_and_4() {
    PatroniWatch.Said three =
        PatroniWatch.Said.of(
            "{\"state\": \"running\", \"role\": \"master\", \"timeline\": 7, \"replication\": []}");
    assertThat(three.isPrimary()).isTrue();
    assertThat(three.timeline()).isEqualTo(7);
    assertThat(PatroniWatch.Said.of("{\"role\":\"primary\",\"timeline\":8}").isPrimary()).isTrue();
    assertThat(PatroniWatch.Said.of("{\"role\":\"replica\",\"timeline\":8}").isPrimary()).isFalse();
    assertThat(PatroniWatch.Said.of("<html>").timeline()).isZero();
  }

  @Test
  void in_the_same_life_of_the_server_the_status_is_the_truth() {
    assertThat(Settlement.of(BEGUN, "committed", 3, 500L)).isEqualTo(Settlement.COMMITTED);
    assertThat(Settlement.of(BEGUN, "aborted", 3, 500L)).isEqualTo(Settlement.NOT_COMMITTED);
    assertThat(Settlement.of(BEGUN, "in progress", 3, 500L)).isEqualTo(Settlement.UNDECIDED);
  }

  @Test
  void after_a_promotion_the_status_counts_only_if_the_record_was_replayed() {
    assertThat(Settlement.of(BEGUN, "committed", 4, 1_000L)).isEqualTo(Settlement.COMMITTED);
    assertThat(Settlement.of(BEGUN, "committed", 4, 999L)).isEqualTo(Settlement.NOT_COMMITTED);
    assertThat(Settlement.of(BEGUN, "in progress", 4, 999L)).isEqualTo(Settlement.NOT_COMMITTED);
    assertThat(Settlement.of(BEGUN, "future", 4, 999L)).isEqualTo(Settlement.NOT_COMMITTED);
  }

  @Test
  void what_cannot_be_proven_is_unknown() {
    assertThat(Settlement.of(BEGUN, "committed", 4, null)).isEqualTo(Settlement.UNKNOWN);
    assertThat(Settlement.of(BEGUN, "committed", 5, 2_000L)).isEqualTo(Settlement.UNKNOWN);
    assertThat(Settlement.of(BEGUN, null, 3, 500L)).isEqualTo(Settlement.UNKNOWN);
    assertThat(Settlement.of(BEGUN, "aborted", 2, 500L)).isEqualTo(Settlement.UNKNOWN);
  }
}
