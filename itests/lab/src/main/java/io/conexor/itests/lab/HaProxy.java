package io.conexor.itests.lab;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;

/**
 * HAProxy in front of some backends: round robin, request by request, without stickiness. A backend
 * that does not say 200 at {@code /health} gets nothing.
 */
public final class HaProxy implements AutoCloseable {

  private final Path folder;
  private final int port;
  private final LabProcess process;

  /** What the archive of the server ships. */
  private static final String SHIPPED = "distributions/server/src/dist/etc/haproxy.cfg";

  private HaProxy(Path folder, int port) {
    this.folder = folder;
    this.port = port;
    this.process =
        new LabProcess(
            "haproxy",
            folder,
            List.of(
                Binaries.require("haproxy").toString(),
                "-db",
                "-f",
                folder.resolve("haproxy.cfg").toString()));
  }

  /**
   * Starts it and returns when it accepts connections.
   *
   * @param extra further lines of the section that names the servers, such as rules for retries
   */
  public static HaProxy before(List<Integer> ports, String... extra) {
    return start(port -> configuration(port, ports, extra));
  }

  /**
   * The same with the configuration that the archive ships, with these addresses in it.
   *
   * @param change what a test changes in it, to see what the changed line is good for
   */
  public static HaProxy shipped(List<Integer> ports, UnaryOperator<String> change) {
    return start(port -> change.apply(shipped(port, ports)));
  }

  private static HaProxy start(IntFunction<String> configuration) {
    try {
      Path folder = Files.createTempDirectory("conexor-lab-haproxy-");
      int port = freePort();
      Files.writeString(folder.resolve("haproxy.cfg"), configuration.apply(port));
      HaProxy proxy = new HaProxy(folder, port);
      proxy.process.start();
      RedisLab.await("haproxy", Duration.ofSeconds(10), proxy::accepts);
      return proxy;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String shipped(int port, List<Integer> ports) {
    try {
      StringBuilder text = new StringBuilder();
      for (String line : Files.readAllLines(Distribution.tree().resolve(SHIPPED))) {
        if (line.startsWith("  bind ")) {
          text.append("  bind 127.0.0.1:").append(port).append('\n');
        } else if (!line.startsWith("  server ")) {
          text.append(line).append('\n');
        }
      }
      for (int i = 0; i < ports.size(); i++) {
        text.append("  server backend-%d 127.0.0.1:%d%n".formatted(i, ports.get(i)));
      }
      return text.toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String configuration(int port, List<Integer> ports, String... extra) {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        global
          maxconn 4000
        defaults
          mode http
          timeout connect 1s
          timeout client 120s
          timeout server 120s
          timeout tunnel 1h
          timeout http-keep-alive 30s
        listen conexor
          bind 127.0.0.1:%d
          balance roundrobin
          option httpchk GET /health
          http-check expect status 200
          option redispatch 1
          retries 3
        """
            .formatted(port));
    for (String line : extra) {
      text.append("  ").append(line).append('\n');
    }
    for (int i = 0; i < ports.size(); i++) {
      text.append(
          "  server backend-%d 127.0.0.1:%d check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions%n"
              .formatted(i, ports.get(i)));
    }
    return text.toString();
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private boolean accepts() {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  public int port() {
    return port;
  }

  /** {@code http://127.0.0.1:PORT}. */
  public String url() {
    return "http://127.0.0.1:" + port;
  }

  @Override
  public void close() {
    process.close();
    try {
      Files.deleteIfExists(folder.resolve("haproxy.cfg"));
      Files.deleteIfExists(folder.resolve("haproxy.log"));
      Files.deleteIfExists(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
