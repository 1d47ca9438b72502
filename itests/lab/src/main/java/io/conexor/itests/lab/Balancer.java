package io.conexor.itests.lab;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** HAProxy with the configuration that the server's archive ships, addresses replaced. */
public final class Balancer implements AutoCloseable {

  private static final String SHIPPED = "distributions/server/src/dist/etc/haproxy.cfg";

  private final Path folder;
  private final int port;
  private final LabProcess process;

  private Balancer(Path folder, int port) {
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

  /** Starts it and returns when it accepts connections. */
  public static Balancer before(List<Backend> backends) {
    try {
      Path folder = Files.createTempDirectory("conexor-lab-haproxy-");
      int port = freePort();
      List<String> lines = new ArrayList<>();
      for (String line : Files.readAllLines(Distribution.tree().resolve(SHIPPED))) {
        if (line.startsWith("  bind ")) {
          lines.add("  bind 127.0.0.1:" + port);
        } else if (!line.startsWith("  server ")) {
          lines.add(line);
        }
      }
      for (Backend backend : backends) {
        lines.add("  server on-" + backend.port() + " 127.0.0.1:" + backend.port());
      }
      Files.write(folder.resolve("haproxy.cfg"), lines);
      Balancer balancer = new Balancer(folder, port);
      balancer.process.start();
      RedisLab.await("haproxy", Duration.ofSeconds(10), balancer::accepts);
      return balancer;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
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
