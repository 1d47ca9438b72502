package io.conexor.http;

import io.conexor.api.http.HttpRoute;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.BiConsumer;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.thread.Invocable;

/** Collects a bounded body without blocking; mostly it is there at the first read. */
final class BodyReader extends Invocable.Task.Abstract {

  private static final byte[] NOTHING = new byte[0];

  private final Exchange exchange;
  private final HttpRoute route;
  private final int limit;
  private final long deadline;
  private byte[] bytes = NOTHING;
  private int filled;
  private BiConsumer<Exchange, HttpRoute> then = (e, r) -> {};

  BodyReader(Exchange exchange, HttpRoute route, Settings settings) {
    super(InvocationType.NON_BLOCKING);
    this.exchange = exchange;
    this.route = route;
    this.limit = Math.min(route.maxBodyBytes(), settings.maxBody());
    this.deadline = exchange.since + settings.bodyTimeout().toNanos();
  }

  void read(BiConsumer<Exchange, HttpRoute> next) {
    then = next;
    long length = exchange.request.getLength();
    if (length > limit) {
      tooLarge();
      return;
    }
    if (length > 0) {
      // The claim is believed up to a page or two; beyond that the bytes have to come first.
      bytes = new byte[(int) Math.min(length, 16_384)];
    }
    run();
  }

  @Override
  public void run() {
    Request request = exchange.request;
    while (true) {
      Content.Chunk chunk = request.read();
      if (chunk == null) {
        if (System.nanoTime() - deadline > 0) {
          exchange.withHeader("Connection", "close");
          exchange.problem(408, "request_timeout", "the body came too slowly");
        } else {
          request.demand(this);
        }
        return;
      }
      if (Content.Chunk.isFailure(chunk)) {
        exchange.withHeader("Connection", "close");
        exchange.problem(400, "bad_request", "the body could not be read");
        return;
      }
      ByteBuffer part = chunk.getByteBuffer();
      int length = part.remaining();
      if (length > limit - filled) {
        chunk.release();
        tooLarge();
        return;
      }
      if (length > 0) {
        if (bytes.length < filled + length) {
          int larger = (int) Math.min(limit, Math.max(filled + length, bytes.length * 2L));
          bytes = Arrays.copyOf(bytes, larger);
        }
        part.get(bytes, filled, length);
        filled += length;
      }
      boolean last = chunk.isLast();
      chunk.release();
      if (last) {
        exchange.body(filled == bytes.length ? bytes : Arrays.copyOf(bytes, filled));
        then.accept(exchange, route);
        return;
      }
    }
  }

  private void tooLarge() {
    exchange.withHeader("Connection", "close");
    exchange.problem(413, "body_too_large", "the body is larger than " + limit + " bytes");
  }
}
