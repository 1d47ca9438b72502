package io.conexor.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.conexor.api.http.HttpExchange;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.eclipse.jetty.io.ArrayByteBufferPool;
import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.io.RetainableByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class BuffersTest {

  private static final int REQUESTS = Integer.getInteger("buffers.requests", 300);
  private static final int AWAY = 64;
  private static final byte UNUSED = (byte) 0xdb;

  /** Notices who gives back twice, and who writes into what was given back. */
  private static final class Strict implements ByteBufferPool {
    private final Deque<byte[]> away = new ArrayDeque<>(); // guarded by this
    final Queue<String> faults = new ConcurrentLinkedQueue<>();

    @Override
    public RetainableByteBuffer.Mutable acquire(int size, boolean isDirect) {
      byte[] bytes = take(size);
      ByteBuffer buffer = ByteBuffer.wrap(bytes).limit(0);
      return new RetainableByteBuffer.FixedCapacity(buffer) {
        @Override
        public boolean release() {
          boolean isLast;
          try {
            isLast = super.release();
          } catch (IllegalStateException e) {
            faults.add("given back twice");
            throw e;
          }
          if (isLast) {
            give(bytes);
          }
          return isLast;
        }
      };
    }

    private synchronized byte[] take(int size) {
      if (away.size() < AWAY) {
        return new byte[size];
      }
      byte[] bytes = away.remove();
      for (byte each : bytes) {
        if (each != UNUSED) {
          faults.add("written to after it was given back");
          break;
        }
      }
      return bytes.length >= size ? bytes : new byte[size];
    }

    private synchronized void give(byte[] bytes) {
      Arrays.fill(bytes, UNUSED);
      away.add(bytes);
    }

    @Override
    public void clear() {}
  }

  /** Takes its time when something is given back, so that who is in a connection stays there. */
  private static final class Slow implements ByteBufferPool {
    final Queue<String> faults = new ConcurrentLinkedQueue<>();
    final AtomicInteger lent = new AtomicInteger();
    private final AtomicReference<Thread> giving = new AtomicReference<>();

    boolean isGiving() {
      return giving.get() != null;
    }

    @Override
    public RetainableByteBuffer.Mutable acquire(int size, boolean isDirect) {
      lent.incrementAndGet();
      Thread other = giving.get();
      if (other != null && other != Thread.currentThread()) {
        faults.add(Thread.currentThread() + " is in a connection together with " + other);
      }
      return new RetainableByteBuffer.FixedCapacity(ByteBuffer.allocate(size).limit(0)) {
        @Override
        public boolean release() {
          giving.set(Thread.currentThread());
          LockSupport.parkNanos(2_000_000);
          giving.set(null);
          boolean isLast = super.release();
          if (isLast) {
            lent.decrementAndGet();
          }
          return isLast;
        }
      };
    }

    @Override
    public void clear() {}
  }

  @Test
  @Timeout(60)
  void bytes_that_are_no_request_occupy_one_thread_at_a_time() throws Exception {
    Slow pool = new Slow();
    JettyServer server = new JettyServer(new ThisNode(), JettyServerTest.settings(), pool);
    Random random = new Random(1);
    try {
      for (int i = 0; i < 50; i++) {
        junk(server.port(), random);
        // It is read once more after its answer; the next one must not be taken for it.
        await()
            .pollInterval(Duration.ofMillis(2))
            .during(Duration.ofMillis(20))
            .until(() -> pool.lent.get() == 0 && !pool.isGiving());
      }
    } finally {
      server.close();
    }
    assertThat(pool.faults).isEmpty();
  }

  @Test
  @Timeout(60)
  void requests_beside_bytes_that_are_none_get_their_own_answers() throws Exception {
    Strict pool = new Strict();
    JettyServer server = new JettyServer(new ThisNode(), JettyServerTest.settings(), pool);
    server.addRoute(new JettyServerTest.Route("/echo", 1_000, BuffersTest::echo), Map.of());
    ExecutorService clients = Executors.newFixedThreadPool(4);
    AtomicInteger right = new AtomicInteger();
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int client = 0; client < 2; client++) {
        Random random = new Random(client);
        running.add(
            clients.submit(
                () -> {
                  for (int i = 0; i < REQUESTS; i++) {
                    junk(server.port(), random);
                  }
                  return null;
                }));
        running.add(
            clients.submit(
                () -> {
                  try (Socket socket = new Socket("127.0.0.1", server.port())) {
                    socket.setSoTimeout(10_000);
                    for (int i = 0; i < REQUESTS; i++) {
                      assertThat(ask(socket, random.nextLong())).isTrue();
                      right.incrementAndGet();
                    }
                  }
                  return null;
                }));
      }
      for (Future<?> each : running) {
        each.get(50, TimeUnit.SECONDS);
      }
    } finally {
      clients.shutdownNow();
      server.close();
    }
    assertThat(pool.faults).isEmpty();
    assertThat(right).hasValue(2 * REQUESTS);
  }

  @Test
  void who_gives_back_twice_takes_nothing_from_the_next() {
    Buffers buffers = new Buffers(new ArrayByteBufferPool());
    RetainableByteBuffer first = buffers.acquire(1_024, false);
    ByteBuffer bytes = first.getByteBuffer();
    first.release();
    RetainableByteBuffer second = buffers.acquire(1_024, false);
    assertThat(second.getByteBuffer().array()).isSameAs(bytes.array());

    assertThatThrownBy(first::release).isInstanceOf(IllegalStateException.class);

    assertThat(buffers.acquire(1_024, false).getByteBuffer().array()).isNotSameAs(bytes.array());
  }

  private static void echo(HttpExchange exchange) {
    exchange.respond(200, "text/plain", exchange.body());
  }

  private static boolean ask(Socket socket, long number) throws IOException {
    String body = Long.toHexString(number);
    String request =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
    socket.getOutputStream().write(request.getBytes(ISO_8859_1));
    InputStream in = socket.getInputStream();
    StringBuilder text = new StringBuilder();
    while (text.indexOf("\r\n\r\n") < 0) {
      int b = in.read();
      if (b < 0) {
        return false;
      }
      text.append((char) b);
    }
    return text.toString().startsWith("HTTP/1.1 200 ")
        && new String(in.readNBytes(body.length()), ISO_8859_1).equals(body);
  }

  private static void junk(int port, Random random) throws IOException {
    byte[] bytes = new byte[1 + random.nextInt(600)];
    random.nextBytes(bytes);
    try (Socket socket = new Socket("127.0.0.1", port)) {
      socket.setSoTimeout(10_000);
      socket.getOutputStream().write(bytes);
      socket.shutdownOutput();
      socket.getInputStream().readAllBytes();
    } catch (SocketException e) {
      // Cut off, which is an answer, too.
    }
  }
}
