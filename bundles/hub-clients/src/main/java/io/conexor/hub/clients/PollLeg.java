package io.conexor.hub.clients;

import io.conexor.protocol.send.OutboundQueue.Sent;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/**
 * A mailbox that is emptied by polls: those of a long-polling client, or those made for an event
 * stream. Its state belongs to its monitor; nothing is called and nothing completes within.
 */
final class PollLeg implements Leg, Mail {
  /** Most bytes of one answer, unless a single message has more. */
  private static final int MAX_ANSWER = 256 << 10;

  /** Most posts whose messages wait, and most that are remembered. */
  private static final int MAX_POSTS = 64;

  private final ClientSession session;
  private final ClientHub home;
  private final boolean isEventStream;

  private final Deque<byte[]> waiting = new ArrayDeque<>();
  private long waitingBytes;

  /** What the last poll got, until the next one shows that it arrived. */
  private byte @Nullable [] given;

  private String lastPoll = "";
  private @Nullable CompletableFuture<Polled> open;
  private boolean ended;

  /** Posts by id, the latest ones: one that is repeated gets the answer of the first. */
  private final Map<String, CompletableFuture<Integer>> posts = new LinkedHashMap<>();

  /** Nano time of the last poll's answer; read by the clock. */
  private volatile long lastAnswered;

  PollLeg(ClientSession session, ClientHub home, boolean isEventStream) {
    this.session = session;
    this.home = home;
    this.isEventStream = isEventStream;
    this.lastAnswered = home.now();
  }

  ClientSession session() {
    return session;
  }

  boolean isEventStream() {
    return isEventStream;
  }

  /** How long nobody has been polling; 0 while somebody does. */
  long unpolledNanos(long now) {
    synchronized (this) {
      if (open != null) {
        return 0;
      }
    }
    return now - lastAnswered;
  }

  @Override
  public boolean takesBinary() {
    return !isEventStream;
  }

  @Override
  public void speak(boolean binary) {}

  @Override
  public Sent send(byte[] bytes) {
    CompletableFuture<Polled> poll;
    byte[] answer;
    synchronized (this) {
      if (ended) {
        return Sent.CLOSED;
      }
      if (queuedBytes() + bytes.length > home.settings().maxOutboundBytes()) {
        return Sent.FULL;
      }
      waiting.add(bytes);
      waitingBytes += bytes.length;
      poll = open;
      if (poll == null) {
        return Sent.QUEUED;
      }
      answer = take();
    }
    answered();
    poll.complete(new Polled.Data(answer));
    return Sent.QUEUED;
  }

  /** Gives what waits to the poll that is open, if any. */
  private byte[] take() {
    int length = 0;
    int count = 0;
    for (byte[] next : waiting) {
      if (count > 0 && length + next.length > MAX_ANSWER) {
        break;
      }
      length += next.length;
      count++;
    }
    byte[] answer = new byte[length];
    int at = 0;
    for (int i = 0; i < count; i++) {
      byte[] next = waiting.remove();
      System.arraycopy(next, 0, answer, at, next.length);
      at += next.length;
    }
    waitingBytes -= length;
    given = answer;
    open = null;
    return answer;
  }

  private void answered() {
    lastAnswered = home.now();
  }

  @Override
  public synchronized long queuedBytes() {
    return waitingBytes + (given == null ? 0 : given.length);
  }

  @Override
  public void close(int code, String reason) {
    CompletableFuture<Polled> poll;
    synchronized (this) {
      ended = true;
      poll = open;
      open = null;
    }
    if (poll != null) {
      poll.complete(new Polled.Ended());
    }
  }

  @Override
  public String remoteAddress() {
    return isEventStream ? "an event stream" : "long polling";
  }

  @Override
  public CompletionStage<Polled> poll(String pollId, Duration wait) {
    CompletableFuture<Polled> poll = new CompletableFuture<>();
    CompletableFuture<Polled> before;
    Polled at = null;
    boolean arrived = false;
    synchronized (this) {
      before = open;
      open = null;
      if (!pollId.equals(lastPoll)) {
        lastPoll = pollId;
        arrived = given != null;
        given = null;
      }
      if (given != null) {
        at = new Polled.Data(given);
      } else if (!waiting.isEmpty()) {
        at = new Polled.Data(take());
      } else if (ended) {
        at = new Polled.Ended();
      } else {
        open = poll;
      }
    }
    answered();
    if (!isEventStream) {
      session.heard();
    }
    if (before != null) {
      before.complete(new Polled.Replaced());
    }
    if (arrived) {
      session.drained(this);
    }
    if (at != null) {
      poll.complete(at);
    } else {
      home.later(() -> timeOut(poll), wait);
    }
    return poll;
  }

  private void timeOut(CompletableFuture<Polled> poll) {
    synchronized (this) {
      if (open != poll) {
        return;
      }
      open = null;
    }
    answered();
    poll.complete(new Polled.Nothing());
  }

  /** Some clients post without waiting for the answer to the post before. */
  @Override
  public CompletionStage<Integer> post(String postId, byte[] body) {
    CompletableFuture<Integer> posted = new CompletableFuture<>();
    synchronized (this) {
      CompletableFuture<Integer> before = posts.get(postId);
      if (before != null) {
        return before;
      }
      if (posts.size() >= MAX_POSTS) {
        Iterator<CompletableFuture<Integer>> oldest = posts.values().iterator();
        if (!oldest.next().isDone()) {
          return CompletableFuture.completedFuture(429);
        }
        oldest.remove();
      }
      posts.put(postId, posted);
    }
    session.received(this, body, () -> posted.complete(200));
    return posted;
  }

  @Override
  public CompletionStage<Integer> end(String reason) {
    session.end(NORMAL, reason, null);
    return CompletableFuture.completedFuture(202);
  }
}
