package io.conexor.itests.lab;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The net between two processes: it can be cut, delayed, swallow everything, and forget connections
 * that rest, as middleboxes do.
 *
 * <pre>{@code
 * try (TcpRelay net = TcpRelay.to(balancer.port())) {
 *   AgentProcess agent = AgentProcess.of(net.url(), key).start();
 *   net.cutAll();
 * }
 * }</pre>
 */
public final class TcpRelay implements AutoCloseable {

  private static final int CHUNKS = 4_096;

  private final ServerSocket entrance;
  private final int target;
  private final Set<Way> ways = ConcurrentHashMap.newKeySet();

  // Written by the test, read by the threads of the connections.
  private volatile long delayNanos;
  private volatile long idleNanos = Long.MAX_VALUE;
  private volatile boolean isClosed;
  private volatile boolean swallows;
  private volatile boolean refuses;

  private TcpRelay(int target) {
    this.target = target;
    try {
      entrance = new ServerSocket(0, 1_024, InetAddress.getLoopbackAddress());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    thread("accept", this::accept);
    thread("idle", this::forget);
  }

  /** Everything that connects to it reaches this port of the loopback interface. */
  public static TcpRelay to(int port) {
    return new TcpRelay(port);
  }

  public int port() {
    return entrance.getLocalPort();
  }

  /** {@code http://127.0.0.1:PORT}. */
  public String url() {
    return "http://127.0.0.1:" + port();
  }

  /** How long each byte is under way, in either direction; for what is sent from now on. */
  public void delay(Duration oneWay) {
    delayNanos = oneWay.toNanos();
  }

  /** Cuts connections on which nothing went either way for so long. */
  public void forgetAfter(Duration idle) {
    idleNanos = idle.toNanos();
  }

  /** While true, bytes vanish, and nobody is told. */
  public void swallow(boolean now) {
    swallows = now;
  }

  /** While true, new connections are cut at once. */
  public void refuse(boolean now) {
    refuses = now;
  }

  /** Cuts the oldest connection, if there is one. */
  public void cutOne() {
    ways.stream().min(java.util.Comparator.comparingLong(way -> way.since)).ifPresent(Way::cut);
  }

  /** Cuts all connections; new ones come through. */
  public void cutAll() {
    ways.forEach(Way::cut);
  }

  public int connections() {
    return ways.size();
  }

  @Override
  public void close() {
    isClosed = true;
    try {
      entrance.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    cutAll();
  }

  private void accept() {
    while (!isClosed) {
      try {
        Socket near = entrance.accept();
        if (refuses) {
          cut(near);
        } else {
          thread("connect", () -> connect(near));
        }
      } catch (IOException e) {
        if (!isClosed) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  private void connect(Socket near) {
    Socket far = new Socket();
    try {
      far.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target), 5_000);
      near.setTcpNoDelay(true);
      far.setTcpNoDelay(true);
      new Way(near, far).begin();
    } catch (IOException e) {
      cut(near);
      cut(far);
    }
  }

  private void forget() {
    while (!isClosed) {
      LockSupport.parkNanos(20_000_000);
      long now = System.nanoTime();
      for (Way way : ways) {
        if (now - way.lastUsed > idleNanos) {
          way.cut();
        }
      }
    }
  }

  private record Chunk(byte[] bytes, long due) {}

  /** One connection. */
  private final class Way {
    private final Socket near;
    private final Socket far;
    private final long since = System.nanoTime();
    // Written by its threads without order; read by the one that looks for idle ones.
    private volatile long lastUsed = since;

    Way(Socket near, Socket far) {
      this.near = near;
      this.far = far;
    }

    void begin() {
      ways.add(this);
      direction(near, far);
      direction(far, near);
    }

    private void direction(Socket from, Socket to) {
      BlockingQueue<Chunk> underWay = new LinkedBlockingQueue<>(CHUNKS);
      thread("read", () -> read(from, underWay));
      thread("write", () -> write(underWay, to));
    }

    private void read(Socket from, BlockingQueue<Chunk> underWay) {
      byte[] buffer = new byte[65_536];
      try {
        InputStream in = from.getInputStream();
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          lastUsed = System.nanoTime();
          if (!swallows) {
            underWay.put(
                new Chunk(java.util.Arrays.copyOf(buffer, n), System.nanoTime() + delayNanos));
          }
        }
        underWay.put(new Chunk(new byte[0], System.nanoTime() + delayNanos));
      } catch (IOException e) {
        cut();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private void write(BlockingQueue<Chunk> underWay, Socket to) {
      try {
        OutputStream out = to.getOutputStream();
        while (ways.contains(this)) {
          Chunk next = underWay.poll(1, TimeUnit.SECONDS);
          if (next == null) {
            continue;
          }
          for (long left = next.due() - System.nanoTime(); left > 0; ) {
            LockSupport.parkNanos(left);
            left = next.due() - System.nanoTime();
          }
          if (next.bytes().length == 0) {
            to.shutdownOutput();
            if (near.isOutputShutdown() && far.isOutputShutdown()) {
              cut();
            }
            return;
          }
          out.write(next.bytes());
        }
      } catch (IOException e) {
        cut();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    void cut() {
      if (ways.remove(this)) {
        TcpRelay.cut(near);
        TcpRelay.cut(far);
      }
    }
  }

  /** With a reset, as when the way is gone rather than the other side. */
  private static void cut(Socket socket) {
    try {
      socket.setSoLinger(true, 0);
      socket.close();
    } catch (IOException e) {
      // It is gone already.
    }
  }

  private static void thread(String role, Runnable task) {
    Thread thread = new Thread(task, "lab-relay-" + role);
    thread.setDaemon(true);
    thread.start();
  }
}
