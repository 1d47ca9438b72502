package io.conexor.hub.clients;

import io.conexor.itests.lab.Binaries;
import io.conexor.itests.lab.LabProcess;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.awaitility.Awaitility;

/** HAProxy, which gives every single request to the next backend in turn. */
final class Balancer implements AutoCloseable {
  private final Process process;
  private final int port;

  Balancer(List<Integer> backends) throws IOException {
    Path haproxy = Binaries.require("haproxy");
    port = LabProcess.freePorts(1).get(0);
    Path directory = Files.createDirectories(Path.of("target", "haproxy"));
    Path configuration = directory.resolve(port + ".cfg");
    StringBuilder text =
        new StringBuilder(
            """
            defaults
              mode http
              timeout connect 2s
              timeout client 60s
              timeout server 60s
              timeout tunnel 60s
              option http-server-close
              retries 3
              option redispatch 1
            listen backends
              bind 127.0.0.1:%d
              balance roundrobin
              default-server inter 200ms fastinter 100ms rise 1 fall 2
            """
                .formatted(port));
    for (int i = 0; i < backends.size(); i++) {
      text.append("  server b%d 127.0.0.1:%d check\n".formatted(i, backends.get(i)));
    }
    Files.writeString(configuration, text);
    process =
        new ProcessBuilder(haproxy.toString(), "-db", "-f", configuration.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve(port + ".log").toFile())
            .start();
    Awaitility.await().atMost(Duration.ofSeconds(10)).until(this::isListening);
  }

  private boolean isListening() {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  String url(String path) {
    return "http://127.0.0.1:" + port + path;
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
