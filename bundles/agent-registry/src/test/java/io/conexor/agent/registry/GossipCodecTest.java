package io.conexor.agent.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.conexor.api.agent.LinkId;
import io.conexor.api.node.NodeId;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class GossipCodecTest {

  private static final NodeId NODE = new NodeId("node-1");

  static Stream<Gossip> every_kind() {
    return Stream.of(
        new Gossip.Delta(
            3, 5, List.of(Links.link(NODE, 1, "sales", "crm ü")), List.of(new LinkId(9))),
        new Gossip.Digest(5, 2, 1_000, Map.of(new LinkId(1), 4)),
        new Gossip.Ask(),
        new Gossip.Bye(),
        new Gossip.SnapshotRequest(17),
        new Gossip.Page(5, List.of(Links.link(NODE, 1, "sales"), Links.link(NODE, 2)), true));
  }

  @ParameterizedTest
  @MethodSource("every_kind")
  void what_was_encoded_is_decoded(Gossip gossip) {
    assertThat(GossipCodec.decode(NODE, GossipCodec.encode(gossip))).contains(gossip);
  }

  @ParameterizedTest
  @MethodSource("every_kind")
  void a_cut_message_is_refused(Gossip gossip) {
    byte[] bytes = GossipCodec.encode(gossip);

    for (int length = 0; length < bytes.length; length++) {
      byte[] cut = Arrays.copyOf(bytes, length);
      assertThatIllegalArgumentException().isThrownBy(() -> GossipCodec.decode(NODE, cut));
    }
  }

  @Test
  void noise_never_does_more_than_be_refused() {
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      byte[] noise = new byte[random.nextInt(60)];
      random.nextBytes(noise);
      if (noise.length > 1) {
        noise[0] = 1;
        noise[1] = (byte) random.nextInt(8);
      }
      try {
        GossipCodec.decode(NODE, noise);
      } catch (IllegalArgumentException e) {
        assertThat(e).hasMessageContaining("garbled");
      }
    }
  }

  @Test
  void a_kind_of_a_newer_version_is_ignored() {
    assertThat(GossipCodec.decode(NODE, new byte[] {1, 99, 1, 2, 3})).isEmpty();
    assertThat(GossipCodec.decode(NODE, new byte[] {2, 1})).isEmpty();
  }
}
