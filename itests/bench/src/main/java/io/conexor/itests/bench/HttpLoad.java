package io.conexor.itests.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntFunction;

/**
 * Sends one request after the other on each of some connections, from one thread, and checks every
 * answer. It costs little itself, as it shares the processors with what it measures.
 */
final class HttpLoad {

  /**
   * What is asked.
   *
   * @param request the whole request for an id, header and body
   * @param expected bytes that the answer must hold
   */
  record Target(int port, IntFunction<byte[]> request, IntFunction<byte[]> expected) {}

  /**
   * What one run measured.
   *
   * @param operations that were answered rightly; the others are in no figure
   */
  record Result(double rps, double p50Ms, double p99Ms, int operations, int failures) {

    static Result of(long[] nanos, int count, int failures, double seconds) {
      long[] sorted = Arrays.copyOf(nanos, count);
      Arrays.sort(sorted);
      return new Result(
          count / seconds, at(sorted, 0.5) / 1e6, at(sorted, 0.99) / 1e6, count, failures);
    }

    private static double at(long[] sorted, double part) {
      return sorted.length == 0
          ? 0
          : sorted[Math.min(sorted.length - 1, (int) (part * sorted.length))];
    }
  }

  /** Wrong answers, besides one in a hundred, after which a run is given up. */
  private static final int FAILURES = 5;

  private static final byte[] HEADER_END = {'\r', '\n', '\r', '\n'};
  private static final byte[] LENGTH = "content-length:".getBytes(StandardCharsets.US_ASCII);

  private final Target target;
  private long[] nanos = new long[1 << 20];
  private int count;
  private int failures;

  private HttpLoad(Target target) {
    this.target = target;
  }

  static Result run(Target target, int connections, double seconds) throws IOException {
    return new HttpLoad(target).run(connections, seconds);
  }

  private Result run(int connections, double seconds) throws IOException {
    try (Selector selector = Selector.open()) {
      for (int i = 0; i < connections; i++) {
        new Connection(selector);
      }
      long start = System.nanoTime();
      long end = start + (long) (seconds * 1e9);
      for (SelectionKey key : selector.keys()) {
        ((Connection) key.attachment()).send();
      }
      while (System.nanoTime() - end < 0) {
        selector.select(HttpLoad::ready, 100);
      }
      double took = (System.nanoTime() - start) / 1e9;
      for (SelectionKey key : selector.keys()) {
        key.channel().close();
      }
      return Result.of(nanos, count, failures, took);
    }
  }

  private static void ready(SelectionKey key) {
    try {
      ((Connection) key.attachment()).receive();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void took(long time) {
    if (count == nanos.length) {
      nanos = Arrays.copyOf(nanos, count * 2);
    }
    nanos[count++] = time;
  }

  /** One connection with at most one request under way. */
  private final class Connection {
    private final SocketChannel channel;
    private final ByteBuffer received = ByteBuffer.allocateDirect(1 << 16);
    private final ByteBuffer sent = ByteBuffer.allocateDirect(1 << 12);
    private final byte[] answer = new byte[1 << 16];
    private int length;
    private int id;
    private long since;

    Connection(Selector selector) throws IOException {
      channel =
          SocketChannel.open(
              new InetSocketAddress(InetAddress.getLoopbackAddress(), target.port()));
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.configureBlocking(false);
      channel.register(selector, SelectionKey.OP_READ, this);
    }

    void send() throws IOException {
      id = 1 + ThreadLocalRandom.current().nextInt(AccountsDatabase.ROWS);
      sent.clear().put(target.request().apply(id)).flip();
      length = 0;
      since = System.nanoTime();
      while (sent.hasRemaining()) {
        channel.write(sent); // a small request into an empty socket buffer: goes at once
      }
    }

    void receive() throws IOException {
      received.clear();
      int read = channel.read(received);
      if (read < 0) {
        throw new IOException("the server closed a connection");
      }
      received.flip().get(answer, length, read);
      length += read;
      int header = indexOf(answer, 0, length, HEADER_END);
      if (header < 0) {
        return;
      }
      int body = header + HEADER_END.length;
      if (length - body < contentLength(header)) {
        return;
      }
      long time = System.nanoTime() - since;
      if (indexOf(answer, body, length, target.expected().apply(id)) >= 0) {
        took(time);
      } else if (++failures > FAILURES + count / 100) {
        throw new IOException(
            "wrong answer for id "
                + id
                + ":\n"
                + new String(answer, 0, length, StandardCharsets.UTF_8));
      }
      send();
    }

    private int contentLength(int end) throws IOException {
      for (int at = 0; at < end; at++) {
        if (answer[at] == '\n' && isLength(at + 1)) {
          int value = 0;
          for (int i = at + 1 + LENGTH.length; answer[i] != '\r'; i++) {
            if (answer[i] != ' ') {
              value = value * 10 + answer[i] - '0';
            }
          }
          return value;
        }
      }
      throw new IOException("no length:\n" + new String(answer, 0, end, StandardCharsets.UTF_8));
    }

    private boolean isLength(int at) {
      for (int i = 0; i < LENGTH.length; i++) {
        byte c = answer[at + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != LENGTH[i]) {
          return false;
        }
      }
      return true;
    }
  }

  private static int indexOf(byte[] bytes, int from, int to, byte[] wanted) {
    for (int at = from; at <= to - wanted.length; at++) {
      if (bytes[at] == wanted[0]
          && Arrays.equals(bytes, at, at + wanted.length, wanted, 0, wanted.length)) {
        return at;
      }
    }
    return -1;
  }
}
