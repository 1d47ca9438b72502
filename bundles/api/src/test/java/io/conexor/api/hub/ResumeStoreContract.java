package io.conexor.api.hub;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.hub.ResumeStore.Change;
import io.conexor.api.hub.ResumeStore.Kept;
import io.conexor.api.hub.ResumeStore.Saved;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every {@link ResumeStore} promises. */
public abstract class ResumeStoreContract {
  private static final NodeId A = new NodeId("node-a");
  private static final NodeId B = new NodeId("node-b");
  private static final Duration LONG = Duration.ofMinutes(1);

  private String id;

  protected abstract ResumeStore store();

  @BeforeEach
  void another_connection() {
    id = UUID.randomUUID().toString();
  }

  @Test
  void nothing_is_found_of_a_connection_nobody_saved() {
    assertThat(done(store().find(id))).isEmpty();
    assertThat(done(store().takeOver(id, B, LONG))).isEmpty();
  }

  @Test
  void what_was_saved_is_what_the_next_owner_gets() {
    assertThat(save(A, 1, whole("f1", 1, 0, "one", "two"))).isEqualTo(Saved.SAVED);
    assertThat(save(A, 1, more(Optional.of("f2"), 3, 1, "three"))).isEqualTo(Saved.SAVED);

    assertThat(done(store().find(id)).map(Kept::owner)).contains(A);
    Kept kept = done(store().takeOver(id, B, LONG)).orElseThrow();

    assertThat(kept.owner()).isEqualTo(B);
    assertThat(kept.fence()).isEqualTo(2);
    assertThat(new String(kept.facts(), UTF_8)).isEqualTo("f2");
    assertThat(kept.first()).isEqualTo(2);
    assertThat(texts(kept)).containsExactly("two", "three");
    assertThat(done(store().find(id)).map(Kept::owner)).contains(B);
  }

  @Test
  void facts_stay_when_a_change_has_none() {
    save(A, 1, whole("f1", 1, 0));
    save(A, 1, more(Optional.empty(), 1, 0, "one"));

    Kept found = done(store().find(id)).orElseThrow();
    assertThat(new String(found.facts(), UTF_8)).isEqualTo("f1");
  }

  @Test
  void the_old_owner_changes_nothing_once_it_was_taken_over() {
    save(A, 1, whole("f1", 1, 0, "one"));
    done(store().takeOver(id, B, LONG));

    assertThat(save(A, 1, more(Optional.of("late"), 2, 0, "two"))).isEqualTo(Saved.TAKEN);
    assertThat(save(A, 1, whole("late", 1, 0))).isEqualTo(Saved.TAKEN);
    done(store().remove(id, 1));

    assertThat(save(B, 2, more(Optional.empty(), 2, 0, "two"))).isEqualTo(Saved.SAVED);
    assertThat(texts(done(store().takeOver(id, A, LONG)).orElseThrow()))
        .containsExactly("one", "two");
  }

  @Test
  void a_change_that_does_not_fit_is_behind_and_a_whole_one_settles_it() {
    assertThat(save(A, 1, more(Optional.of("f"), 1, 0, "one"))).isEqualTo(Saved.BEHIND);
    save(A, 1, whole("f", 1, 0, "one"));
    assertThat(save(A, 1, more(Optional.empty(), 1, 0, "one"))).isEqualTo(Saved.BEHIND);
    assertThat(save(A, 1, more(Optional.empty(), 3, 0, "three"))).isEqualTo(Saved.BEHIND);

    assertThat(save(A, 1, whole("f", 2, 1, "two", "three"))).isEqualTo(Saved.SAVED);

    Kept kept = done(store().takeOver(id, B, LONG)).orElseThrow();
    assertThat(kept.first()).isEqualTo(2);
    assertThat(texts(kept)).containsExactly("two", "three");
  }

  @Test
  void numbers_go_on_when_everything_was_acknowledged() {
    save(A, 1, whole("f", 1, 0, "one", "two"));
    save(A, 1, more(Optional.empty(), 3, 2));
    assertThat(done(store().find(id)).orElseThrow().first()).isEqualTo(3);

    assertThat(save(A, 1, more(Optional.empty(), 3, 2, "three"))).isEqualTo(Saved.SAVED);

    Kept kept = done(store().takeOver(id, B, LONG)).orElseThrow();
    assertThat(kept.first()).isEqualTo(3);
    assertThat(texts(kept)).containsExactly("three");
  }

  @Test
  void a_removed_record_is_gone() {
    save(A, 1, whole("f", 1, 0, "one"));
    done(store().remove(id, 1));

    assertThat(done(store().find(id))).isEmpty();
    assertThat(save(A, 1, more(Optional.empty(), 2, 0, "two"))).isEqualTo(Saved.BEHIND);
  }

  @Test
  void a_record_ends_with_its_time_to_live() {
    done(store().save(id, A, 1, whole("f", 1, 0, "one"), Duration.ofSeconds(1)));

    Awaitility.await().atMost(Duration.ofSeconds(10)).until(() -> done(store().find(id)).isEmpty());
    assertThat(done(store().takeOver(id, B, LONG))).isEmpty();
  }

  @Test
  void messages_may_hold_any_bytes_and_be_many() {
    byte[] odd = new byte[70_000];
    for (int i = 0; i < odd.length; i++) {
      odd[i] = (byte) i;
    }
    save(A, 1, whole("f", 1, 0));
    for (int i = 0; i < 20; i++) {
      byte[][] batch = new byte[100][];
      Arrays.fill(batch, new byte[] {0, 13, 10, (byte) 0xff});
      batch[0] = odd;
      long first = 1 + 100L * i;
      Change change = new Change(false, Optional.empty(), first, List.of(batch), 0);
      assertThat(done(store().save(id, A, 1, change, LONG))).isEqualTo(Saved.SAVED);
    }

    Kept kept = done(store().takeOver(id, B, LONG)).orElseThrow();
    assertThat(kept.messages()).hasSize(2_000);
    assertThat(kept.messages().get(1_900)).isEqualTo(odd);
  }

  private Saved save(NodeId owner, long fence, Change change) {
    return done(store().save(id, owner, fence, change, LONG));
  }

  private static Change whole(String facts, long first, long acknowledged, String... messages) {
    return new Change(
        true, Optional.of(facts.getBytes(UTF_8)), first, bytes(messages), acknowledged);
  }

  private static Change more(
      Optional<String> facts, long first, long acknowledged, String... messages) {
    return new Change(
        false, facts.map(text -> text.getBytes(UTF_8)), first, bytes(messages), acknowledged);
  }

  private static List<byte[]> bytes(String... texts) {
    return Arrays.stream(texts).map(text -> text.getBytes(UTF_8)).toList();
  }

  private static List<String> texts(Kept kept) {
    return kept.messages().stream().map(bytes -> new String(bytes, UTF_8)).toList();
  }

  private static <T> T done(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().get(20, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
