package io.conexor.session.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.ConexorException;
import io.conexor.api.session.SessionHandover;
import io.conexor.api.session.SessionStore;
import io.conexor.api.session.SessionStoreContract;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MemorySessionStoreTest extends SessionStoreContract {

  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 1_000);
  private final Instant start = Instant.now();
  private final MemorySessionStore store =
      new MemorySessionStore(1_500, nanos::get, Clock.fixed(start, ZoneOffset.UTC));

  @Override
  protected SessionStore store() {
    return store;
  }

  @Override
  protected void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  @AfterEach
  void stop() {
    store.close();
  }

  @Test
  void subject_has_at_most_1000_sessions_the_oldest_ends() {
    var first = store.create("u", Map.of(), Duration.ofHours(1));
    for (int i = 0; i < 1_000; i++) {
      store.create("u", Map.of(), Duration.ofHours(1));
    }

    assertThat(store.list("u")).hasSize(1_000);
    assertThat(store.find(first.id())).isEmpty();
  }

  @Test
  void full_store_makes_room_of_expired_sessions_and_then_refuses() {
    for (int i = 0; i < 1_500; i++) {
      store.create("u" + i, Map.of(), Duration.ofSeconds(i < 10 ? 1 : 3_600));
    }
    assertThatThrownBy(() -> store.create("one more", Map.of(), Duration.ofHours(1)))
        .isInstanceOfSatisfying(ConexorException.class, e -> assertThat(e.safeToRetry()).isTrue())
        .hasMessageContaining("session.memory.max.sessions");

    pass(Duration.ofSeconds(2));

    assertThat(store.create("one more", Map.of(), Duration.ofHours(1))).isNotNull();
  }

  @Test
  void what_was_handed_over_is_asked_of_the_successor() {
    var kept = store.create("u", Map.of("a", "1"), Duration.ofHours(1));
    var second = store.create("u", Map.of(), Duration.ofHours(2));
    MemorySessionStore next = new MemorySessionStore();
    List<SessionHandover.Held> taken = new ArrayList<>();

    assertThat(store.handOver(next, taken::addAll)).isEqualTo(2);

    assertThat(taken).extracting(h -> h.session().id()).containsExactly(kept.id(), second.id());
    assertThat(taken.get(1).timeToLive()).isEqualTo(Duration.ofHours(2));
    assertThat(taken.get(0).session().attributes()).isEqualTo(Map.of("a", "1"));
    assertThat(store.find(kept.id())).isEmpty();
    var late = store.create("u", Map.of(), Duration.ofHours(1));
    assertThat(next.list("u")).extracting(s -> s.id()).containsExactly(late.id());
    store.remove(late.id());
    assertThat(next.list("u")).isEmpty();
    next.close();
  }

  @Test
  void a_handover_that_fails_changes_nothing() {
    var kept = store.create("u", Map.of(), Duration.ofHours(1));

    assertThatThrownBy(
            () ->
                store.handOver(
                    store,
                    all -> {
                      throw new IllegalStateException("no room");
                    }))
        .hasMessage("no room");

    assertThat(store.find(kept.id())).isPresent();
  }
}
