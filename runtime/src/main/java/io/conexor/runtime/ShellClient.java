package io.conexor.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * The other end of the {@code shell} bundle's door.
 *
 * <p>The door writes {@code <data>/shell}, readable by its owner only, with one line {@code port
 * token}. The client sends the line {@code token}, then either {@code run COMMAND} or {@code open}.
 * The answer to {@code run} is the output followed by a NUL and the exit code in decimal; {@code
 * open} turns the connection into a session.
 */
final class ShellClient {

  private ShellClient() {}

  /**
   * @param dataDirectory finds the data directory from the arguments that are not the shell's own
   */
  static int run(List<String> arguments, Function<List<String>, Path> dataDirectory) {
    List<String> others = new ArrayList<>(arguments);
    int at = others.indexOf("-c");
    String command = null;
    if (at >= 0) {
      if (at + 1 >= others.size()) {
        throw new LaunchException("shell -c needs a command");
      }
      command = others.remove(at + 1);
      others.remove(at);
    }
    Path door = dataDirectory.apply(others).resolve("shell");
    String[] address;
    try {
      address = Files.readString(door).trim().split(" ", 2);
    } catch (IOException e) {
      throw new LaunchException(
          "no shell to reach: cannot read "
              + door
              + "; is the process running, and are you its user?",
          e);
    }
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(address[0]))) {
      socket.setTcpNoDelay(true);
      OutputStream out = socket.getOutputStream();
      out.write((address[1] + "\n").getBytes(StandardCharsets.UTF_8));
      if (command == null) {
        out.write("open\n".getBytes(StandardCharsets.UTF_8));
        return interactive(socket);
      }
      // One line is one request, so a script travels with its line breaks as separators.
      out.write(("run " + command.replace("\n", ";") + "\n").getBytes(StandardCharsets.UTF_8));
      return single(socket.getInputStream());
    } catch (IOException e) {
      throw new LaunchException("the shell at " + door + " does not answer: " + e.getMessage(), e);
    }
  }

  private static int single(InputStream in) throws IOException {
    byte[] buffer = new byte[8192];
    StringBuilder code = new StringBuilder();
    boolean ended = false;
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      for (int i = 0; i < n; i++) {
        if (ended) {
          code.append((char) buffer[i]);
        } else if (buffer[i] == 0) {
          ended = true;
        } else {
          System.out.write(buffer[i]);
        }
      }
      System.out.flush();
    }
    if (!ended) {
      throw new IOException("the connection ended before the command did");
    }
    return Integer.parseInt(code.toString().trim());
  }

  private static int interactive(Socket socket) throws IOException {
    Thread keyboard =
        new Thread(
            () -> {
              try {
                System.in.transferTo(socket.getOutputStream());
                socket.shutdownOutput();
              } catch (IOException e) {
                // The session ended first; the other direction reports how.
                return;
              }
            },
            "conexor-runtime-keyboard");
    keyboard.setDaemon(true);
    keyboard.start();
    byte[] buffer = new byte[8192];
    InputStream in = socket.getInputStream();
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      System.out.write(buffer, 0, n);
      System.out.flush();
    }
    return 0;
  }
}
