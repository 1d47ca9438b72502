package io.conexor.hub.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.microsoft.signalr.TransportEnum;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Numbered messages to a group, from a client of each backend, and a member of the group at each
 * backend, all through the balancer. What is missing, doubled or out of order for one of the
 * members, or was not confirmed to its sender, is a failure.
 */
final class Flood implements AutoCloseable {
  private static final Duration CATCH_UP = Duration.ofSeconds(40);

  private final String group;
  private final List<JavaClient> senders = new ArrayList<>();
  private final List<Member> members = new ArrayList<>();
  private final int messages;
  private final int perSecond;
  private final List<String> wrong = Collections.synchronizedList(new ArrayList<>());
  private final AtomicLong longest = new AtomicLong();
  private final AtomicInteger confirmed = new AtomicInteger();
  private final CompletableFuture<Void> sent = new CompletableFuture<>();

  /** One member; its handler is called by one thread at a time. */
  private final class Member {
    final JavaClient client;
    final int[] next = new int[senders.size()];
    final AtomicInteger count = new AtomicInteger();

    Member(JavaClient client) {
      this.client = client;
      client.hub.remove("told");
      client.hub.on("told", this::told, String.class);
    }

    private void told(String message) {
      String[] parts = message.split(" ");
      int sender = Integer.parseInt(parts[0]);
      int number = Integer.parseInt(parts[1]);
      if (number != next[sender]) {
        wrong.add("sender " + sender + ": " + number + " instead of " + next[sender]);
      }
      next[sender] = number + 1;
      long took = System.nanoTime() - Long.parseLong(parts[2]);
      longest.accumulateAndGet(took / 1_000_000, Math::max);
      count.incrementAndGet();
    }
  }

  Flood(String url, String key, String group, int backends, int messages, int perSecond) {
    this.group = group;
    this.messages = messages;
    this.perSecond = perSecond;
    try {
      List<String> nodes = new ArrayList<>();
      for (int i = 0; i < backends; i++) {
        senders.add(onAnother(url, key, nodes));
      }
      nodes.clear();
      for (int i = 0; i < backends; i++) {
        Member member = new Member(onAnother(url, key, nodes));
        members.add(member);
        member.client.invoke("Join", group);
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Connects until it is at a backend that is not among these. */
  private static JavaClient onAnother(String url, String key, List<String> nodes) {
    for (int attempt = 0; attempt < 30; attempt++) {
      JavaClient client = new JavaClient(url, key, TransportEnum.WEBSOCKETS).start();
      String node = client.node();
      if (!nodes.contains(node)) {
        nodes.add(node);
        return client;
      }
      client.close();
    }
    throw new AssertionError("the balancer leads to " + nodes + " only");
  }

  void start() {
    Thread thread = new Thread(this::send, "flood");
    thread.setDaemon(true);
    thread.start();
  }

  private void send() {
    ConcurrentLinkedQueue<CompletableFuture<Void>> open = new ConcurrentLinkedQueue<>();
    long begin = System.nanoTime();
    for (int i = 0; i < messages; i++) {
      long due = begin + i * 1_000_000_000L / perSecond;
      while (System.nanoTime() < due) {
        LockSupport.parkNanos(due - System.nanoTime());
      }
      int sender = i % senders.size();
      int number = i / senders.size();
      String text = sender + " " + number + " " + System.nanoTime();
      open.add(
          senders
              .get(sender)
              .begin("ToGroup", group, text)
              .whenComplete(
                  (done, failure) -> {
                    if (failure == null) {
                      confirmed.incrementAndGet();
                    } else {
                      wrong.add("message " + number + " of " + sender + " failed: " + failure);
                    }
                  }));
    }
    CompletableFuture.allOf(open.toArray(new CompletableFuture<?>[0]))
        .whenComplete((done, failure) -> sent.complete(null));
  }

  /** Waits until all has arrived; returns the longest way of a message in milliseconds. */
  long finish() {
    await("sent").atMost(CATCH_UP.plusSeconds(messages / perSecond)).until(sent::isDone);
    await()
        .atMost(CATCH_UP)
        .until(() -> !wrong.isEmpty() || members.stream().allMatch(m -> m.count.get() >= messages));
    // A repeat would come now.
    await().pollDelay(Duration.ofMillis(1_500)).until(() -> true);
    assertThat(wrong).isEmpty();
    assertThat(members).allMatch(member -> member.count.get() == messages);
    assertThat(members).allMatch(member -> member.client.isConnected());
    assertThat(confirmed).hasValue(messages);
    return longest.get();
  }

  @Override
  public void close() {
    senders.forEach(JavaClient::close);
    members.forEach(member -> member.client.close());
  }
}
