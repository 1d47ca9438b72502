package io.conexor.api.session;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** What every {@link SessionStore} promises. */
public abstract class SessionStoreContract {

  private static final Duration HOUR = Duration.ofHours(1);

  /** The store as the first backend sees it; the same one within a test. */
  protected abstract SessionStore store();

  /** The same sessions as another backend sees them. */
  protected SessionStore elsewhere() {
    return store();
  }

  /** Lets time go by for the store. */
  protected void pass(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    await()
        .atMost(time.plusSeconds(5))
        .pollInterval(Duration.ofMillis(10))
        .until(() -> System.nanoTime() - end >= 0);
  }

  /** A subject that no other test uses. */
  protected String subject() {
    return "user-" + System.nanoTime();
  }

  @Test
  void created_session_is_found_on_every_backend() {
    String subject = subject();
    Session made = store().create(subject, Map.of("role", "admin", "empty", ""), HOUR);

    for (SessionStore store : List.of(store(), elsewhere())) {
      Session found = store.find(made.id()).orElseThrow();
      assertThat(found.id()).isEqualTo(made.id());
      assertThat(found.subject()).isEqualTo(subject);
      assertThat(found.attributes()).isEqualTo(Map.of("role", "admin", "empty", ""));
      assertThat(found.createdAt()).isEqualTo(made.createdAt());
    }
  }

  @Test
  void session_says_when_it_was_created_and_when_it_expires() {
    Instant before = Instant.now().minusMillis(1_500);
    Session made = store().create(subject(), Map.of(), HOUR);
    Instant after = Instant.now().plusMillis(1_500);

    assertThat(made.createdAt()).isBetween(before, after);
    assertThat(made.expiresAt()).isBetween(before.plus(HOUR), after.plus(HOUR));
    assertThat(store().find(made.id()).orElseThrow().expiresAt())
        .isBetween(before.plus(HOUR), after.plus(HOUR));
  }

  @Test
  void ids_of_a_subject_start_alike_so_that_any_store_can_take_a_session_over() {
    // base64url of the SHA-256 of "someone", as docs/adr/0017 says.
    SessionId first = store().create("someone", Map.of(), HOUR).id();
    SessionId second = store().create("someone", Map.of(), HOUR).id();

    assertThat(first.value()).startsWith(second.value().substring(0, 3)).startsWith("Kln");
    assertThat(store().rotate(first).orElseThrow().id().value()).startsWith("Kln");
    store().removeAll("someone", Optional.empty());
  }

  @Test
  void ids_are_long_random_and_never_repeat() {
    String subject = subject();
    Set<SessionId> ids = new HashSet<>();
    for (int i = 0; i < 50; i++) {
      ids.add(store().create(subject, Map.of(), HOUR).id());
    }

    assertThat(ids).hasSize(50);
    assertThat(ids).allSatisfy(id -> assertThat(id.value()).hasSizeGreaterThanOrEqualTo(22));
  }

  @Test
  void unknown_session_is_empty_everywhere_and_not_an_error() {
    SessionId unknown = new SessionId("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

    assertThat(store().find(unknown)).isEmpty();
    assertThat(store().update(unknown, Map.of("a", "1"), List.of())).isEmpty();
    assertThat(store().rotate(unknown)).isEmpty();
    store().remove(unknown);
    assertThat(store().find(unknown)).as("update must not bring it into being").isEmpty();
  }

  @Test
  void session_expires_after_its_time_to_live() {
    String subject = subject();
    Session made = store().create(subject, Map.of(), Duration.ofSeconds(1));

    pass(Duration.ofMillis(1_200));

    assertThat(store().find(made.id())).isEmpty();
    assertThat(store().update(made.id(), Map.of("a", "1"), List.of())).isEmpty();
    assertThat(store().rotate(made.id())).isEmpty();
    assertThat(store().list(subject)).isEmpty();
  }

  @Test
  void finding_renews_the_time_to_live() {
    Session made = store().create(subject(), Map.of(), Duration.ofSeconds(2));

    for (int i = 0; i < 5; i++) {
      pass(Duration.ofMillis(700));
      assertThat(store().find(made.id())).as("after %d ms", (i + 1) * 700).isPresent();
    }
    pass(Duration.ofMillis(2_300));
    assertThat(store().find(made.id())).isEmpty();
  }

  @Test
  void time_to_live_outside_1_second_to_30_days_is_refused() {
    String subject = subject();
    for (Duration ttl :
        List.of(Duration.ofMillis(999), Duration.ZERO, Duration.ofDays(30).plusMillis(1))) {
      assertThatThrownBy(() -> store().create(subject, Map.of(), ttl))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(store().create(subject, Map.of(), Duration.ofDays(30))).isNotNull();
    assertThat(store().list(subject)).hasSize(1);
  }

  @Test
  void update_sets_and_removes_single_attributes_and_leaves_the_others_alone() {
    Session made = store().create(subject(), Map.of("a", "1", "b", "2", "c", "3"), HOUR);

    Session changed =
        store().update(made.id(), Map.of("b", "two", "d", "4"), List.of("c", "x")).orElseThrow();

    Map<String, String> expected = Map.of("a", "1", "b", "two", "d", "4");
    assertThat(changed.attributes()).isEqualTo(expected);
    assertThat(elsewhere().find(made.id()).orElseThrow().attributes()).isEqualTo(expected);
    assertThat(changed.subject()).isEqualTo(made.subject());
    assertThat(changed.createdAt()).isEqualTo(made.createdAt());
  }

  @Test
  void an_attribute_that_grows_keeps_its_greatest_text() {
    Session session = store().create(subject(), Map.of("max.seen", "00a1"), HOUR);

    store().update(session.id(), Map.of("max.seen", "00b2", "seen", "b"), List.of());
    elsewhere().update(session.id(), Map.of("max.seen", "00a9", "seen", "a"), List.of());

    assertThat(store().find(session.id()).orElseThrow().attributes())
        .isEqualTo(Map.of("max.seen", "00b2", "seen", "a"));
    store().update(session.id(), Map.of(), List.of("max.seen"));
    assertThat(store().find(session.id()).orElseThrow().attributes()).containsOnlyKeys("seen");
  }

  @Test
  void concurrent_updates_of_different_attributes_all_survive() throws Exception {
    Session made = store().create(subject(), Map.of(), HOUR);
    int writers = 8;
    int rounds = 40;
    ExecutorService pool = Executors.newFixedThreadPool(writers);
    try {
      CountDownLatch start = new CountDownLatch(1);
      List<Future<?>> done = new ArrayList<>();
      for (int w = 0; w < writers; w++) {
        String name = "writer-" + w;
        SessionStore mine = w % 2 == 0 ? store() : elsewhere();
        done.add(
            pool.submit(
                () -> {
                  start.await();
                  for (int i = 1; i <= rounds; i++) {
                    String value = Integer.toString(i);
                    Session after =
                        mine.update(made.id(), Map.of(name, value), List.of()).orElseThrow();
                    assertThat(after.attributes()).containsEntry(name, value);
                  }
                  return null;
                }));
      }
      start.countDown();
      for (Future<?> each : done) {
        each.get(60, SECONDS);
      }
    } finally {
      pool.shutdownNow();
    }

    Map<String, String> expected = new HashMap<>();
    for (int w = 0; w < writers; w++) {
      expected.put("writer-" + w, Integer.toString(rounds));
    }
    assertThat(store().find(made.id()).orElseThrow().attributes()).isEqualTo(expected);
  }

  @Test
  void attributes_past_a_limit_are_refused_and_nothing_is_written() {
    String subject = subject();
    Session made = store().create(subject, Map.of("a", "1"), HOUR);
    Map<String, String> many = new HashMap<>();
    for (int i = 0; i < 64; i++) {
      many.put("n" + i, "");
    }
    List<Map<String, String>> tooMuch =
        List.of(
            many,
            Map.of("n".repeat(65), "x"),
            Map.of("", "x"),
            Map.of("big", "x".repeat(17_000)),
            Map.of("wide", "é".repeat(9_000)));

    for (Map<String, String> set : tooMuch) {
      assertThatThrownBy(() -> store().update(made.id(), set, List.of()))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(store().find(made.id()).orElseThrow().attributes()).isEqualTo(Map.of("a", "1"));
    assertThatThrownBy(() -> store().create(subject, Map.of("big", "x".repeat(17_000)), HOUR))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(store().list(subject)).hasSize(1);
  }

  @Test
  void attributes_up_to_the_limits_are_kept_whatever_their_characters() {
    Map<String, String> attributes = new HashMap<>();
    attributes.put("n".repeat(64), "x".repeat(8_000));
    attributes.put(":subject", "not me");
    attributes.put("ünïcode \u0000\r\n", "\"😀\u0000\r\n$5\r\n");
    for (int i = attributes.size(); i < 64; i++) {
      attributes.put("n" + i, "");
    }

    Session made = store().create(subject(), attributes, HOUR);

    assertThat(elsewhere().find(made.id()).orElseThrow().attributes()).isEqualTo(attributes);
    assertThat(elsewhere().find(made.id()).orElseThrow().subject()).isEqualTo(made.subject());
  }

  @Test
  void replacing_within_the_limit_is_judged_by_the_outcome() {
    Session made = store().create(subject(), Map.of("a", "x".repeat(12_000)), HOUR);

    assertThat(store().update(made.id(), Map.of("a", "y".repeat(12_000)), List.of()).orElseThrow())
        .satisfies(s -> assertThat(s.attributes().get("a")).startsWith("y"));
    assertThat(store().update(made.id(), Map.of("b", "z".repeat(12_000)), List.of("a")))
        .hasValueSatisfying(s -> assertThat(s.attributes()).containsOnlyKeys("b"));
  }

  @Test
  void rotated_session_lives_on_under_a_new_id_only() {
    String subject = subject();
    Session made = store().create(subject, Map.of("a", "1"), HOUR);

    Session moved = store().rotate(made.id()).orElseThrow();

    assertThat(moved.id()).isNotEqualTo(made.id());
    assertThat(moved.subject()).isEqualTo(subject);
    assertThat(moved.createdAt()).isEqualTo(made.createdAt());
    assertThat(moved.attributes()).isEqualTo(made.attributes());
    assertThat(elsewhere().find(made.id())).isEmpty();
    assertThat(elsewhere().find(moved.id())).isPresent();
    assertThat(store().list(subject)).extracting(Session::id).containsExactly(moved.id());
  }

  @Test
  void removed_session_is_gone_at_once_everywhere_and_stays_gone() {
    String subject = subject();
    Session made = store().create(subject, Map.of(), HOUR);
    assertThat(elsewhere().find(made.id())).isPresent();

    store().remove(made.id());

    assertThat(elsewhere().find(made.id())).isEmpty();
    assertThat(store().find(made.id())).isEmpty();
    assertThat(elsewhere().update(made.id(), Map.of("a", "1"), List.of())).isEmpty();
    assertThat(store().list(subject)).isEmpty();
    store().remove(made.id());
  }

  @Test
  void all_sessions_of_a_subject_end_together_but_the_one_excepted() {
    String subject = subject();
    String other = subject() + "-other";
    List<Session> made = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      made.add(store().create(subject, Map.of(), HOUR));
    }
    Session bystander = store().create(other, Map.of(), HOUR);
    Session kept = made.get(2);

    assertThat(store().removeAll(subject, Optional.of(kept.id()))).isEqualTo(4);

    assertThat(elsewhere().list(subject)).extracting(Session::id).containsExactly(kept.id());
    assertThat(elsewhere().find(made.get(0).id())).isEmpty();
    assertThat(store().removeAll(subject, Optional.empty())).isEqualTo(1);
    assertThat(store().removeAll(subject, Optional.empty())).isZero();
    assertThat(elsewhere().find(kept.id())).isEmpty();
    assertThat(store().find(bystander.id())).isPresent();
  }

  @Test
  void sessions_of_a_subject_are_listed_oldest_first() {
    String subject = subject();
    List<SessionId> made = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      made.add(store().create(subject, Map.of("i", Integer.toString(i)), HOUR).id());
      pass(Duration.ofMillis(3));
    }
    store().remove(made.remove(1));

    List<Session> listed = elsewhere().list(subject);

    assertThat(listed).extracting(Session::id).containsExactlyElementsOf(made);
    assertThat(listed.get(0).attributes()).isEqualTo(Map.of("i", "0"));
    assertThat(store().list(subject + "-nobody")).isEmpty();
  }
}
