package io.conexor.itests.lab.postgres;

import io.conexor.api.database.DatabaseEndpoints.Endpoint;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** One address behind which several servers are: each new connection goes to the next of them. */
final class Switchboard implements AutoCloseable {

  private final ServerSocket socket;
  private final Set<Closeable> open = ConcurrentHashMap.newKeySet();
  private volatile List<PgServer> targets;

  Switchboard(PgServer... targets) throws IOException {
    this.targets = List.of(targets);
    this.socket = new ServerSocket(0, 100, InetAddress.getLoopbackAddress());
    thread(this::accept);
  }

  Endpoint endpoint() {
    return new Endpoint("127.0.0.1", socket.getLocalPort());
  }

  /** For connections from now on; those that are open stay where they are. */
  void connectTo(PgServer... others) {
    targets = List.of(others);
  }

  private void accept() {
    for (int i = 0; !socket.isClosed(); i++) {
      try {
        Socket from = socket.accept();
        open.add(from);
        List<PgServer> now = targets;
        Socket to = new Socket("127.0.0.1", now.get(i % now.size()).port());
        open.add(to);
        thread(() -> pump(from, to));
        thread(() -> pump(to, from));
      } catch (IOException e) {
        // closed, or the target is down: the caller sees a connection that ends
      }
    }
  }

  private static void thread(Runnable work) {
    Thread thread = new Thread(work, "switchboard");
    thread.setDaemon(true);
    thread.start();
  }

  private void pump(Socket from, Socket to) {
    try (from;
        to;
        InputStream in = from.getInputStream()) {
      in.transferTo(to.getOutputStream());
    } catch (IOException e) {
      // one side went: both go
    } finally {
      open.remove(from);
      open.remove(to);
    }
  }

  @Override
  public void close() {
    try {
      socket.close();
      for (Closeable each : open) {
        each.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
