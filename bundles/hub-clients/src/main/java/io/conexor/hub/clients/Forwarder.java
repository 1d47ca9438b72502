package io.conexor.hub.clients;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Channel;
import io.conexor.api.node.NodeId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.msgpack.PackReader;
import io.conexor.protocol.msgpack.PackWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/**
 * Brings requests to the backend that owns their connection, and answers those of other backends. A
 * request is a MessagePack array that starts with what is wanted, an answer one that starts with an
 * HTTP status:
 *
 * <pre>
 *   poll connection isEventStream pollId millis  ->  200 bytes | 202 nothing | 409 replaced | 204 ended | other
 *   post connection postId bytes                 ->  status
 *   end connection reason                        ->  status
 *   release connection                           ->  200 | 404
 *   claim connection                             ->  200 | 404
 * </pre>
 *
 * A single byte 0 asks whether the node is alive.
 */
final class Forwarder {
  static final Channel CHANNEL = new Channel("hub.clients");

  private static final Duration SEGMENT = Duration.ofSeconds(10);
  private static final Duration MARGIN = Duration.ofSeconds(3);
  private static final Duration POSTING = Duration.ofSeconds(10);
  private static final Duration RELEASING = Duration.ofMillis(1_500);
  private static final Duration PAUSE = Duration.ofMillis(100);
  private static final int REPLACED = 409;

  private record Line(Backplane backplane, Subscription subscription) {}

  private final ClientHub home;

  // Written by declarative services, one at a time; read by anyone.
  private volatile List<Line> lines = List.of();

  Forwarder(ClientHub home) {
    this.home = home;
  }

  synchronized void bind(Backplane backplane) {
    List<Line> next = new ArrayList<>(lines);
    next.add(new Line(backplane, backplane.answer(CHANNEL, (from, payload) -> answer(payload))));
    lines = List.copyOf(next);
  }

  synchronized void unbind(Backplane backplane) {
    List<Line> next = new ArrayList<>(lines);
    for (Line line : lines) {
      if (line.backplane() == backplane) {
        line.subscription().close();
        next.remove(line);
      }
    }
    lines = List.copyOf(next);
  }

  synchronized void close() {
    lines.forEach(line -> line.subscription().close());
    lines = List.of();
  }

  // Answering

  private CompletionStage<byte[]> answer(byte[] payload) {
    if (payload.length == 1) {
      return CompletableFuture.completedFuture(payload);
    }
    List<?> parts = (List<?>) new PackReader(payload).value();
    if (parts == null) {
      return CompletableFuture.completedFuture(pack(400L));
    }
    String id = (String) parts.get(1);
    return switch ((String) parts.get(0)) {
      case "poll" ->
          home.localMail(id, (Boolean) parts.get(2))
              .poll((String) parts.get(3), Duration.ofMillis((Long) parts.get(4)))
              .thenApply(polled -> answer(id, polled));
      case "post" ->
          home.localMail(id, false)
              .post((String) parts.get(2), (byte[]) parts.get(3))
              .thenApply(status -> pack((long) status));
      case "end" ->
          home.localMail(id, false)
              .end((String) parts.get(2))
              .thenApply(status -> pack((long) status));
      case "release" -> {
        ClientSession session = home.session(id);
        yield session == null
            ? CompletableFuture.completedFuture(pack(404L))
            : session
                .release("its client came back at another backend")
                .thenApply(mayBeTaken -> pack(mayBeTaken ? 200L : 404L));
      }
      case "claim" -> CompletableFuture.completedFuture(pack(home.giveAway(id) ? 200L : 404L));
      default -> CompletableFuture.completedFuture(pack(400L));
    };
  }

  private byte[] answer(String id, Mail.Polled polled) {
    if (polled instanceof Mail.Polled.Data data) {
      if (data.bytes().length > Backplane.MAX_PAYLOAD - 64) {
        ClientSession session = home.session(id);
        if (session != null) {
          session.end(Leg.POLICY, "a message is too large to be forwarded", null);
        }
        return pack(404L);
      }
      return pack(200L, data.bytes());
    } else if (polled instanceof Mail.Polled.Nothing) {
      return pack(202L);
    } else if (polled instanceof Mail.Polled.Replaced) {
      return pack((long) REPLACED);
    } else if (polled instanceof Mail.Polled.Refused refused) {
      // 409 says "replaced" here; a refusal of that kind is told as another conflict.
      return pack(refused.status() == REPLACED ? 423L : refused.status());
    }
    return pack(204L);
  }

  // Asking

  /** The mailbox of a connection that another backend owns. */
  Mail mail(NodeId owner, String id, boolean isEventStream) {
    return new Mail() {
      @Override
      public CompletionStage<Polled> poll(String pollId, Duration wait) {
        CompletableFuture<Polled> polled = new CompletableFuture<>();
        poll(polled, pollId, home.now(), wait.toNanos());
        home.nodes().whenGone(owner, polled, new Polled.Refused(404));
        return polled;
      }

      private void poll(
          CompletableFuture<Polled> polled, String pollId, long since, long waitNanos) {
        long left = waitNanos - (home.now() - since);
        if (polled.isDone()) {
          return;
        }
        long segment = Math.max(0, Math.min(left, SEGMENT.toNanos())) / 1_000_000;
        Duration timeout = Duration.ofMillis(segment).plus(MARGIN);
        var unused =
            ask(owner, timeout, "poll", id, isEventStream, pollId, segment)
                .whenComplete(
                    (answer, failure) -> {
                      if (failure != null) {
                        if (home.now() - since > waitNanos + POSTING.toNanos()) {
                          polled.complete(new Polled.Refused(503));
                        } else {
                          home.later(() -> poll(polled, pollId, since, waitNanos), PAUSE);
                        }
                        return;
                      }
                      int status = ((Long) answer.get(0)).intValue();
                      long spent = home.now() - since;
                      if (status == 202 && spent < waitNanos && spent > segment * 900_000) {
                        poll(polled, pollId, since, waitNanos);
                      } else {
                        polled.complete(polled(status, answer));
                      }
                    });
      }

      @Override
      public CompletionStage<Integer> post(String postId, byte[] body) {
        CompletableFuture<Integer> posted = new CompletableFuture<>();
        post(posted, postId, body, home.now());
        home.nodes().whenGone(owner, posted, 404);
        return posted;
      }

      private void post(CompletableFuture<Integer> posted, String postId, byte[] body, long since) {
        if (posted.isDone()) {
          return;
        }
        var unused =
            ask(owner, MARGIN, "post", id, postId, body)
                .whenComplete(
                    (answer, failure) -> {
                      if (failure == null) {
                        posted.complete(((Long) answer.get(0)).intValue());
                      } else if (home.now() - since > POSTING.toNanos()) {
                        posted.complete(503);
                      } else {
                        home.later(() -> post(posted, postId, body, since), PAUSE);
                      }
                    });
      }

      @Override
      public CompletionStage<Integer> end(String reason) {
        return ask(owner, MARGIN, "end", id, reason)
            .handle((answer, failure) -> failure == null ? ((Long) answer.get(0)).intValue() : 503);
      }
    };
  }

  private static Mail.Polled polled(int status, List<?> answer) {
    return switch (status) {
      case 200 -> new Mail.Polled.Data((byte[]) answer.get(1));
      case 202 -> new Mail.Polled.Nothing();
      case 204 -> new Mail.Polled.Ended();
      case REPLACED -> new Mail.Polled.Replaced();
      case 423 -> new Mail.Polled.Refused(409);
      default -> new Mail.Polled.Refused(status);
    };
  }

  /**
   * Asks the owner to let go of a connection.
   *
   * @return completes with whether it was there, or the owner can't be asked
   */
  CompletionStage<Boolean> release(NodeId owner, String id) {
    return ask(owner, RELEASING, "release", id)
        .handle((answer, failure) -> failure != null || answer.get(0).equals(200L));
  }

  /**
   * Takes the place that the backend which gave a token keeps for its connection.
   *
   * @return completes with whether it was there, or that backend can't be asked
   */
  CompletionStage<Boolean> claim(NodeId promiser, String id) {
    return ask(promiser, RELEASING, "claim", id)
        .handle((answer, failure) -> failure != null || !answer.get(0).equals(404L));
  }

  private CompletionStage<List<?>> ask(NodeId node, Duration timeout, Object... parts) {
    List<Line> current = lines;
    if (current.isEmpty()) {
      return CompletableFuture.failedFuture(new IllegalStateException("no backplane"));
    }
    try {
      return current
          .get(current.size() - 1)
          .backplane()
          .request(node, CHANNEL, pack(parts), timeout)
          .thenApply(Forwarder::unpack);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static List<?> unpack(byte[] bytes) {
    @Nullable Object value = new PackReader(bytes).value();
    if (value instanceof List<?> parts && !parts.isEmpty()) {
      return parts;
    }
    throw new IllegalStateException("an answer is not understood");
  }

  private static byte[] pack(Object... parts) {
    GrowingBytes out = new GrowingBytes(64, Backplane.MAX_PAYLOAD);
    new PackWriter(out).value(Arrays.asList(parts));
    return out.toByteArray();
  }
}
