package io.conexor.backplane.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.backplane.Topic;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LayoutTest {

  @Test
  void slot_is_what_redis_computes() {
    assertThat(Layout.slot("123456789")).isEqualTo(0x31c3);
    assertThat(Layout.slot("foo")).isEqualTo(12182);
  }

  @Test
  void partitions_spread_evenly_over_the_masters_of_a_cluster() {
    Layout layout = new Layout("conexor:", 12);
    for (int masters : new int[] {2, 3, 4, 6}) {
      int[] each = new int[masters];
      IntStream.range(0, 12).forEach(p -> each[Layout.slot(layout.tag(p)) * masters / 16_384]++);
      assertThat(each).as("%d masters", masters).containsOnly(12 / masters);
    }
  }

  @Test
  void keys_of_a_partition_share_its_tag() {
    Layout layout = new Layout("conexor:", 12);
    String tag = "{" + layout.tag(7) + "}";

    assertThat(layout.stream(new Topic("t"), 7)).isEqualTo("conexor:" + tag + ":events:t");
    assertThat(layout.head(new Topic("t"), 7)).contains(tag);
    assertThat(layout.bell(7)).contains(tag);
  }
}
