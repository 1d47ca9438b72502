package io.conexor.backplane.redis;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.redisson.api.RScript;
import org.redisson.api.RTopic;
import org.redisson.api.RedissonClient;
import org.redisson.api.listener.MessageListener;
import org.redisson.api.listener.StatusListener;
import org.redisson.client.codec.ByteArrayCodec;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the backplane needs of one Redisson client: scripts, and channels that are sharded on a
 * cluster and plain elsewhere. Redisson subscribes again after a failover; each time it has, {@code
 * resubscribed} runs, so that what was missed is read from the streams.
 */
final class Link {

  private static final Logger log = LoggerFactory.getLogger(Link.class);
  private static final ByteArrayCodec CODEC = ByteArrayCodec.INSTANCE;

  private final RedissonClient client;
  private final boolean sharded;
  private final RScript scripts;
  private final List<RTopic> topics = new ArrayList<>();
  private final AtomicLong subscriptions = new AtomicLong();
  private volatile boolean closed;

  Link(RedissonClient client, boolean sharded) {
    this.client = client;
    this.sharded = sharded;
    this.scripts = client.getScript(CODEC);
  }

  boolean isOf(RedissonClient other) {
    return client == other;
  }

  String ringCommand() {
    return sharded ? "SPUBLISH" : "PUBLISH";
  }

  /** How often a channel was subscribed, the first times included. */
  long subscriptions() {
    return subscriptions.get();
  }

  CompletionStage<List<Object>> eval(String script, List<Object> keys, Object... args) {
    if (closed) {
      return CompletableFuture.failedFuture(new IllegalStateException("the link is closed"));
    }
    try {
      return scripts.evalAsync(
          RScript.Mode.READ_WRITE, script, RScript.ReturnType.LIST, keys, args);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e); // the client was shut down
    }
  }

  /** Completes with the number of subscribers that got it. */
  CompletionStage<Long> publish(String channel, byte[] message) {
    if (closed) {
      return CompletableFuture.failedFuture(new IllegalStateException("the link is closed"));
    }
    try {
      return topic(channel).publishAsync(message);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /** Subscribes in the background and for good; tries again until it is closed. */
  void subscribe(String channel, Consumer<byte[]> messages, Runnable resubscribed, Retry retry) {
    if (closed) {
      return;
    }
    RTopic topic = topic(channel);
    MessageListener<byte[]> listener = (name, message) -> messages.accept(message);
    StatusListener status =
        new StatusListener() {
          @Override
          public void onSubscribe(String name) {
            subscriptions.incrementAndGet();
            resubscribed.run();
          }

          @Override
          public void onUnsubscribe(String name) {
            log.debug("channel {} is unsubscribed", name);
          }
        };
    BiConsumer<Object, Throwable> outcome =
        (id, failure) -> {
          if (failure != null) {
            log.debug("channel {} cannot be subscribed: {}", channel, failure.toString());
            retry.later(() -> subscribe(channel, messages, resubscribed, retry));
          } else {
            resubscribed.run();
          }
        };
    try {
      synchronized (topics) {
        topics.add(topic);
      }
      var unused =
          topic
              .addListenerAsync(status)
              .thenCompose(id -> topic.addListenerAsync(byte[].class, listener))
              .whenComplete(outcome);
    } catch (RuntimeException e) {
      outcome.accept(null, e);
    }
  }

  /** Runs something a little later. */
  interface Retry {
    void later(Runnable what);
  }

  void close() {
    closed = true;
    List<RTopic> all;
    synchronized (topics) {
      all = List.copyOf(topics);
    }
    for (RTopic each : all) {
      try {
        var unused = each.removeAllListenersAsync();
      } catch (RuntimeException e) {
        log.debug("a channel was gone with its client: {}", e.toString());
      }
    }
  }

  private RTopic topic(String channel) {
    return sharded ? client.getShardedTopic(channel, CODEC) : client.getTopic(channel, CODEC);
  }
}
