package io.conexor.http;

import java.time.Duration;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.ConnectionMetaData;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after what is under way, from one thread: clients that went, requests that take too long,
 * and headers that trickle in. A request that is answered at once only passes through a queue.
 */
final class Watch implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Watch.class);
  private static final long FIRST_LOOK = TimeUnit.MILLISECONDS.toNanos(100);

  /** Holds an exchange until it is complete. */
  static final class Entry extends AtomicReference<@Nullable Exchange> {
    private boolean seen; // owned by the watch

    Entry(Exchange exchange) {
      super(exchange);
    }

    void clear() {
      set(null);
    }
  }

  private record Trickle(long messages, long bytes, long since) {}

  private final ConcurrentLinkedQueue<Entry> arrivals = new ConcurrentLinkedQueue<>();
  private final Supplier<Iterable<EndPoint>> endPoints;
  private final Settings settings;
  private final Thread thread;
  private volatile boolean closed;

  Watch(Settings settings, Supplier<Iterable<EndPoint>> endPoints) {
    this.settings = settings;
    this.endPoints = endPoints;
    this.thread = new Thread(this::run, "conexor-http-watch");
    thread.setDaemon(true);
    thread.start();
  }

  void add(Exchange exchange) {
    Entry entry = new Entry(exchange);
    exchange.entry = entry;
    if (exchange.isComplete()) {
      return; // completed before it could see its entry
    }
    arrivals.add(entry);
  }

  private void run() {
    List<Entry> underWay = new ArrayList<>();
    IdentityHashMap<Connection, Trickle> trickles = new IdentityHashMap<>();
    long nextHeaders = System.nanoTime();
    while (!closed) {
      try {
        TimeUnit.MILLISECONDS.sleep(settings.goneInterval().toMillis());
        for (Entry entry = arrivals.poll(); entry != null; entry = arrivals.poll()) {
          if (entry.get() != null) {
            underWay.add(entry);
          }
        }
        lookAt(underWay);
        long now = System.nanoTime();
        if (now - nextHeaders >= 0) {
          nextHeaders = now + TimeUnit.MILLISECONDS.toNanos(500);
          closeTricklers(trickles, now);
        }
      } catch (InterruptedException e) {
        return; // the owner of this thread is closing it
      } catch (RuntimeException e) {
        log.error("the watch over requests failed in one round and goes on", e);
      }
    }
  }

  private void lookAt(List<Entry> underWay) {
    long now = System.nanoTime();
    Iterator<Entry> each = underWay.iterator();
    while (each.hasNext()) {
      Entry entry = each.next();
      Exchange exchange = entry.get();
      if (exchange == null || exchange.isComplete()) {
        each.remove();
        continue;
      }
      long age = now - exchange.since;
      if (age < FIRST_LOOK) {
        continue;
      }
      if (!entry.seen) {
        entry.seen = true;
        // This watch ends what takes too long; Jetty's idle timeout is for connections at rest.
        try {
          exchange.request.addIdleTimeoutListener(timeout -> false);
        } catch (RuntimeException e) {
          continue; // completed in this moment
        }
      }
      if (exchange.clientHasGone()) {
        each.remove();
        exchange.gone();
      } else if (age > settings.requestTimeout().toNanos() && !exchange.isAnswered()) {
        each.remove();
        exchange.gone();
        exchange
            .withHeader("Retry-After", "1")
            .respond(
                503,
                Problems.TYPE,
                Problems.json(503, "request_timeout", "no answer within the server's limit"));
      }
    }
  }

  /** Bytes come, no request is in progress, and still no header is complete: slow loris. */
  private void closeTricklers(IdentityHashMap<Connection, Trickle> trickles, long now) {
    IdentityHashMap<Connection, Trickle> next = new IdentityHashMap<>();
    for (EndPoint endPoint : endPoints.get()) {
      Connection connection = endPoint.getConnection();
      if (!(connection instanceof ConnectionMetaData)) {
        if (connection == null || connection.getMessagesIn() > 0) {
          continue;
        }
      }
      long in = connection.getMessagesIn();
      if (in > connection.getMessagesOut()) {
        continue;
      }
      Trickle before = trickles.get(connection);
      long bytes = connection.getBytesIn();

      if (before == null || before.messages() != in) {
        next.put(connection, new Trickle(in, in == 0 ? 0 : bytes, now));
      } else if (before.bytes() == bytes) {
        next.put(connection, new Trickle(in, bytes, now));
      } else if (now - before.since() > settings.headerTimeout().toNanos()) {
        endPoint.close();
      } else {
        next.put(connection, before);
      }
    }
    trickles.clear();
    trickles.putAll(next);
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join(Duration.ofSeconds(2).toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
