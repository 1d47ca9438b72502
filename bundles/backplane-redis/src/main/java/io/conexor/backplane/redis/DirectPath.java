package io.conexor.backplane.redis;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Backplane.MessageListener;
import io.conexor.api.backplane.Backplane.Responder;
import io.conexor.api.backplane.BackplaneException;
import io.conexor.api.backplane.Channel;
import io.conexor.api.node.NodeId;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Direct messages: one inbox channel per node. For each other node there is an outbox with one
 * publication in flight; what comes meanwhile goes along with the next. Publications are numbered,
 * so that one that the client repeated is received once. A message to this node itself does not
 * leave it, and so works without Redis.
 */
final class DirectPath {

  private static final Logger log = LoggerFactory.getLogger(DirectPath.class);
  private static final int PUBLICATION_BYTES = 64 << 10;
  private static final int PUBLICATION_FRAMES = 512;
  private static final int MOST_CALLS = 100_000;
  private static final int SENDERS_REMEMBERED = 4_096;
  private static final long IDLE_NANOS = Duration.ofMinutes(1).toNanos();
  private static final long ABSENT_NANOS = Duration.ofMillis(150).toNanos();
  private static final long ABSENT_AFTER_TROUBLE_NANOS = Duration.ofSeconds(2).toNanos();
  private static final long TROUBLE_LASTS_NANOS = Duration.ofSeconds(5).toNanos();

  private static final byte MESSAGE = 1;
  private static final byte REQUEST = 2;
  private static final byte ANSWER = 3;
  private static final byte REFUSAL = 4;
  private static final byte NOT_TAKEN = 5;

  /** One message on its way. {@code published} is written by the sender and read at the timeout. */
  private static final class Frame {
    final byte type;
    final long call;
    final byte[] channel;
    final byte[] payload;
    final long deadline;
    final CompletableFuture<?> outcome;
    volatile boolean published;

    Frame(
        byte type,
        long call,
        byte[] channel,
        byte[] payload,
        long deadline,
        CompletableFuture<?> outcome) {
      this.type = type;
      this.call = call;
      this.channel = channel;
      this.payload = payload;
      this.deadline = deadline;
      this.outcome = outcome;
    }

    int size() {
      return 14 + channel.length + payload.length;
    }
  }

  private static final class Outbox {
    final NodeId to;
    final Deque<Frame> queue = new ArrayDeque<>();
    long bytes;
    boolean inFlight;
    long usedAt;

    Outbox(NodeId to) {
      this.to = to;
    }
  }

  private record Endpoint<T>(T listener, Mailbox box) {}

  private final NodeId node;
  private final Layout layout;
  private final Supplier<@Nullable Link> links;
  private final Executor pool;
  private final ScheduledExecutorService timer;
  private final Link.Retry retry;
  private final long bufferBytes;
  private final long timeoutNanos;
  private final Counters counters;
  private final Map<NodeId, Outbox> outboxes = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<Long, CompletableFuture<byte[]>> calls =
      new ConcurrentHashMap<>();
  private final Map<String, Endpoint<MessageListener>> receivers = new ConcurrentHashMap<>();
  private final Map<String, Endpoint<Responder>> responders = new ConcurrentHashMap<>();
  private final AtomicLong sequence = new AtomicLong();
  private final AtomicLong nextCall = new AtomicLong();
  private final Map<NodeId, Long> heard =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<NodeId, Long> eldest) {
          return size() > SENDERS_REMEMBERED;
        }
      };
  // When Redis was last in trouble. Written by senders and the link, read by senders.
  private volatile long troubleAt = System.nanoTime() - TROUBLE_LASTS_NANOS;

  DirectPath(
      NodeId node,
      Layout layout,
      Supplier<@Nullable Link> links,
      Executor pool,
      ScheduledExecutorService timer,
      Link.Retry retry,
      long bufferBytes,
      Duration timeout,
      Counters counters) {
    this.node = node;
    this.layout = layout;
    this.links = links;
    this.pool = pool;
    this.timer = timer;
    this.retry = retry;
    this.bufferBytes = bufferBytes;
    this.timeoutNanos = timeout.toNanos();
    this.counters = counters;
  }

  /** Redis was in trouble or is just back: nodes may not have subscribed again yet. */
  void trouble() {
    troubleAt = System.nanoTime();
  }

  CompletableFuture<Void> send(NodeId to, Channel channel, byte[] payload) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    long deadline = System.nanoTime() + timeoutNanos;
    post(to, new Frame(MESSAGE, 0, channel.name().getBytes(US_ASCII), payload, deadline, done));
    return done;
  }

  CompletableFuture<byte[]> request(NodeId to, Channel channel, byte[] payload, Duration timeout) {
    if (calls.size() >= MOST_CALLS) {
      return CompletableFuture.failedFuture(
          new BackplaneException(
              Applied.NO, calls.size() + " requests wait for an answer already", null));
    }
    long call = nextCall.incrementAndGet();
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    calls.put(call, answer);
    Frame frame =
        new Frame(
            REQUEST,
            call,
            channel.name().getBytes(US_ASCII),
            payload,
            System.nanoTime() + timeout.toNanos(),
            answer);
    ScheduledFuture<?> alarm =
        timer.schedule(
            () ->
                answer.completeExceptionally(
                    new BackplaneException(
                        frame.published ? Applied.UNKNOWN : Applied.NO,
                        frame.published
                            ? "node "
                                + to
                                + " did not answer on channel "
                                + channel.name()
                                + " in "
                                + timeout
                            : "Redis did not take the request to node " + to + " in " + timeout,
                        null)),
            timeout.toNanos(),
            TimeUnit.NANOSECONDS);
    var unused =
        answer.whenComplete(
            (value, failure) -> {
              calls.remove(call);
              alarm.cancel(false);
            });
    post(to, frame);
    return answer;
  }

  Subscription receive(Channel channel, MessageListener listener) {
    return register(receivers, channel, listener);
  }

  Subscription answer(Channel channel, Responder responder) {
    return register(responders, channel, responder);
  }

  private <T> Subscription register(Map<String, Endpoint<T>> at, Channel channel, T listener) {
    Endpoint<T> endpoint = new Endpoint<>(listener, new Mailbox(pool, bufferBytes));
    if (at.putIfAbsent(channel.name(), endpoint) != null) {
      throw new IllegalStateException("channel " + channel.name() + " is taken on this node");
    }
    return () -> at.remove(channel.name(), endpoint);
  }

  private void post(NodeId to, Frame frame) {
    counters.sent.increment();
    if (to.equals(node)) {
      frame.published = true;
      take(node, frame.type, frame.call, new String(frame.channel, US_ASCII), frame.payload);
      handedOver(frame);
      return;
    }
    Outbox outbox = outboxes.computeIfAbsent(to, Outbox::new);
    boolean full;
    synchronized (outbox) {
      full = outbox.bytes + frame.size() > bufferBytes;
      outbox.usedAt = System.nanoTime();
      if (!full) {
        outbox.queue.add(frame);
        outbox.bytes += frame.size();
      }
    }
    if (full) {
      fail(frame, Applied.NO, outbox.bytes + " bytes already wait for node " + to);
    } else {
      flush(outbox);
    }
  }

  private void flush(Outbox outbox) {
    List<Frame> frames = new ArrayList<>();
    List<Frame> late = new ArrayList<>();
    int bytes = 0;
    synchronized (outbox) {
      if (outbox.inFlight) {
        return;
      }
      long now = System.nanoTime();
      while (!outbox.queue.isEmpty() && frames.size() < PUBLICATION_FRAMES) {
        Frame head = outbox.queue.element();
        if (head.outcome.isDone() || now - head.deadline > 0) {
          late.add(outbox.queue.remove());
          outbox.bytes -= head.size();
          continue;
        }
        if (!frames.isEmpty() && bytes + head.size() > PUBLICATION_BYTES) {
          break;
        }
        bytes += head.size();
        frames.add(outbox.queue.remove());
      }
      outbox.inFlight = !frames.isEmpty();
    }
    late.forEach(frame -> fail(frame, Applied.NO, "it waited too long for Redis"));
    if (!frames.isEmpty()) {
      publish(outbox, frames, encode(frames, bytes), System.nanoTime());
    }
  }

  private byte[] encode(List<Frame> frames, int bytes) {
    byte[] from = node.value().getBytes(US_ASCII);
    ByteBuffer out = ByteBuffer.allocate(9 + from.length + bytes);
    out.put((byte) from.length).put(from).putLong(sequence.incrementAndGet());
    for (Frame each : frames) {
      out.put(each.type).putLong(each.call);
      out.put((byte) each.channel.length).put(each.channel);
      out.putInt(each.payload.length).put(each.payload);
    }
    return out.array();
  }

  private void publish(Outbox outbox, List<Frame> frames, byte[] message, long since) {
    Link link = links.get();
    if (link == null) {
      failed(outbox, frames, message, since, new IllegalStateException("no Redis is connected"));
      return;
    }
    frames.forEach(frame -> frame.published = true);
    var unused =
        link.publish(layout.inbox(outbox.to), message)
            .whenComplete(
                (receivedBy, failure) -> {
                  if (failure != null) {
                    trouble();
                    failed(outbox, frames, message, since, failure);
                  } else if (receivedBy == null || receivedBy > 0) {
                    frames.forEach(DirectPath::handedOver);
                    done(outbox, frames);
                  } else {
                    absent(outbox, frames, message, since);
                  }
                });
  }

  private void failed(
      Outbox outbox, List<Frame> frames, byte[] message, long since, Throwable failure) {
    long now = System.nanoTime();
    if (frames.stream().allMatch(f -> f.outcome.isDone() || now - f.deadline > 0)) {
      frames.forEach(
          f ->
              fail(
                  f,
                  f.published ? Applied.UNKNOWN : Applied.NO,
                  failure.getClass().getSimpleName()));
      done(outbox, frames);
    } else {
      retry.later(() -> publish(outbox, frames, message, since));
    }
  }

  /** Nobody got it. Right after trouble the node may just not have subscribed again. */
  private void absent(Outbox outbox, List<Frame> frames, byte[] message, long since) {
    long now = System.nanoTime();
    long patience =
        now - troubleAt < TROUBLE_LASTS_NANOS ? ABSENT_AFTER_TROUBLE_NANOS : ABSENT_NANOS;
    if (now - since < patience) {
      retry.later(() -> publish(outbox, frames, message, since));
      return;
    }
    for (Frame each : frames) {
      if (each.type == REQUEST) {
        fail(each, Applied.NO, "node " + outbox.to + " is not there");
      } else {
        counters.dropped.increment();
        handedOver(each);
      }
    }
    done(outbox, frames);
  }

  private void done(Outbox outbox, List<Frame> frames) {
    boolean idle;
    synchronized (outbox) {
      outbox.inFlight = false;
      frames.forEach(f -> outbox.bytes -= f.size());
      idle = outbox.queue.isEmpty();
    }
    if (!idle) {
      flush(outbox);
    }
  }

  private static void handedOver(Frame frame) {
    if (frame.type == MESSAGE) {
      frame.outcome.complete(null);
    }
  }

  private void fail(Frame frame, Applied applied, String why) {
    counters.dropped.increment();
    frame.outcome.completeExceptionally(
        new BackplaneException(applied, "direct message not delivered: " + why, null));
  }

  /** What came in on this node's channel. */
  void received(byte[] message) {
    ByteBuffer in = ByteBuffer.wrap(message);
    byte[] name = new byte[in.get()];
    in.get(name);
    NodeId from = new NodeId(new String(name, US_ASCII));
    long number = in.getLong();
    synchronized (heard) {
      Long last = heard.get(from);
      if (last != null && number <= last) {
        return; // the client published it again
      }
      heard.put(from, number);
    }
    while (in.hasRemaining()) {
      byte type = in.get();
      long call = in.getLong();
      byte[] channel = new byte[in.get()];
      in.get(channel);
      byte[] payload = new byte[in.getInt()];
      in.get(payload);
      take(from, type, call, new String(channel, US_ASCII), payload);
    }
  }

  private void take(NodeId from, byte type, long call, String channel, byte[] payload) {
    counters.received.increment();
    switch (type) {
      case MESSAGE -> {
        Endpoint<MessageListener> endpoint = receivers.get(channel);
        if (endpoint == null
            || !endpoint
                .box()
                .offer(
                    () -> {
                      if (endpoint.equals(receivers.get(channel))) {
                        endpoint.listener().message(from, payload);
                      }
                    },
                    payload.length + 64)) {
          counters.dropped.increment();
        }
      }
      case REQUEST -> {
        Endpoint<Responder> endpoint = responders.get(channel);
        if (endpoint == null) {
          reply(from, call, NOT_TAKEN, "node " + node + " does not answer on channel " + channel);
        } else if (!endpoint
            .box()
            .offer(() -> respond(endpoint, from, call, payload), payload.length + 64)) {
          reply(
              from, call, NOT_TAKEN, "node " + node + " does not keep up with channel " + channel);
        }
      }
      case ANSWER, REFUSAL, NOT_TAKEN -> {
        CompletableFuture<byte[]> answer = calls.get(call);
        if (answer == null) {
          return; // too late
        }
        if (type == ANSWER) {
          pool.execute(() -> answer.complete(payload));
        } else {
          Applied applied = type == NOT_TAKEN ? Applied.NO : Applied.UNKNOWN;
          String why = new String(payload, UTF_8);
          pool.execute(
              () -> answer.completeExceptionally(new BackplaneException(applied, why, null)));
        }
      }
      default -> log.warn("node {} sent a message of the unknown type {}", from, type);
    }
  }

  private void respond(Endpoint<Responder> endpoint, NodeId from, long call, byte[] payload) {
    try {
      var unused =
          endpoint
              .listener()
              .answer(from, payload)
              .whenComplete(
                  (value, failure) -> {
                    if (failure != null) {
                      reply(from, call, REFUSAL, words(failure));
                    } else if (value == null || value.length > Backplane.MAX_PAYLOAD) {
                      reply(from, call, REFUSAL, "the answer is missing or too large");
                    } else {
                      reply(from, call, ANSWER, value);
                    }
                  });
    } catch (RuntimeException e) {
      reply(from, call, REFUSAL, words(e));
    }
  }

  private static String words(Throwable failure) {
    String message = failure.getMessage();
    return message == null ? failure.toString() : message;
  }

  private void reply(NodeId to, long call, byte type, String text) {
    reply(to, call, type, text.getBytes(UTF_8));
  }

  private void reply(NodeId to, long call, byte type, byte[] payload) {
    long deadline = System.nanoTime() + timeoutNanos;
    post(to, new Frame(type, call, new byte[0], payload, deadline, new CompletableFuture<>()));
  }

  void close() {
    BackplaneException closing =
        new BackplaneException(Applied.UNKNOWN, "the backplane of this node is closing", null);
    calls.values().forEach(call -> call.completeExceptionally(closing));
    outboxes.clear();
    receivers.clear();
    responders.clear();
  }

  /** Forgets outboxes that hold nothing, of nodes that may be gone. */
  void sweep() {
    outboxes.forEach(
        (to, outbox) ->
            outboxes.computeIfPresent(
                to,
                (key, current) -> {
                  synchronized (current) {
                    boolean idle = !current.inFlight && current.queue.isEmpty();
                    return idle && System.nanoTime() - current.usedAt > IDLE_NANOS ? null : current;
                  }
                }));
  }
}
