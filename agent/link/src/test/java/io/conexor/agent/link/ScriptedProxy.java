package io.conexor.agent.link;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** A proxy that opens tunnels to whoever knows the login. */
final class ScriptedProxy implements AutoCloseable {
  private final ServerSocket listener = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final AtomicInteger tunnels = new AtomicInteger();
  private final String expected;

  ScriptedProxy(String user, String password) throws IOException {
    byte[] login = (user + ":" + password).getBytes(UTF_8);
    expected = "proxy-authorization: basic " + Base64.getEncoder().encodeToString(login);
    run(this::accept);
  }

  InetSocketAddress address() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), listener.getLocalPort());
  }

  int tunnels() {
    return tunnels.get();
  }

  private interface Action {
    void run() throws IOException;
  }

  private static void run(Action action) {
    Thread thread =
        new Thread(
            () -> {
              try {
                action.run();
              } catch (IOException e) {
                // the end of a connection
              }
            });
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() throws IOException {
    while (true) {
      Socket client = listener.accept();
      sockets.add(client);
      run(() -> serve(client));
    }
  }

  private void serve(Socket client) throws IOException {
    List<String> head = head(client.getInputStream());
    boolean isLoggedIn = head.stream().anyMatch(line -> line.equalsIgnoreCase(expected));
    if (!head.get(0).startsWith("CONNECT ") || !isLoggedIn) {
      client
          .getOutputStream()
          .write(
              ("HTTP/1.1 407 Proxy Authentication Required\r\n"
                      + "Proxy-Authenticate: Basic realm=\"lab\"\r\nContent-Length: 0\r\n\r\n")
                  .getBytes(ISO_8859_1));
      client.close();
      return;
    }
    String[] target = head.get(0).split(" ")[1].split(":");
    Socket server = new Socket(target[0], Integer.parseInt(target[1]));
    sockets.add(server);
    tunnels.incrementAndGet();
    client.getOutputStream().write("HTTP/1.1 200 OK\r\n\r\n".getBytes(ISO_8859_1));
    run(() -> server.getInputStream().transferTo(client.getOutputStream()));
    client.getInputStream().transferTo(server.getOutputStream());
  }

  private static List<String> head(InputStream in) throws IOException {
    StringBuilder text = new StringBuilder();
    while (text.indexOf("\r\n\r\n") < 0) {
      int next = in.read();
      if (next < 0) {
        throw new IOException("no request");
      }
      text.append((char) next);
    }
    return text.toString().lines().toList();
  }

  @Override
  public void close() throws IOException {
    listener.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
