package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** One redis-server or redis-sentinel, and a plain connection to ask it things. */
public final class RedisServer {

  private final LabProcess process;
  private final String host;
  private final int port;

  RedisServer(String name, Path directory, String host, int port, List<String> command) {
    this.process = new LabProcess(name, directory, command);
    this.host = host;
    this.port = port;
  }

  public LabProcess process() {
    return process;
  }

  public int port() {
    return port;
  }

  public String host() {
    return host;
  }

  public String address() {
    return host + ":" + port;
  }

  /** Runs one command on a connection of its own and returns the reply as text. */
  public String ask(String... command) throws IOException {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(host, port), 500);
      socket.setSoTimeout(2_000);
      StringBuilder request = new StringBuilder("*" + command.length + "\r\n");
      for (String part : command) {
        request.append('$').append(part.getBytes(UTF_8).length).append("\r\n");
        request.append(part).append("\r\n");
      }
      socket.getOutputStream().write(request.toString().getBytes(UTF_8));
      return String.valueOf(reply(new BufferedInputStream(socket.getInputStream())));
    }
  }

  /** True when the command is answered with a text that contains this; silence is false. */
  public boolean says(String expected, String... command) {
    try {
      return ask(command).contains(expected);
    } catch (IOException e) {
      return false;
    }
  }

  public boolean isPrimary() {
    return says("role:master", "INFO", "replication");
  }

  /** The fields of {@code INFO}; empty when it does not answer. */
  public Map<String, String> info(String section) {
    try {
      return ask("INFO", section)
          .lines()
          .filter(line -> line.contains(":"))
          .map(line -> line.split(":", 2))
          .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1], (a, b) -> b));
    } catch (IOException e) {
      return Map.of();
    }
  }

  @Override
  public String toString() {
    return process + " at " + address();
  }

  /** A missing value reads as an empty text. */
  private static Object reply(InputStream in) throws IOException {
    String line = line(in);
    String rest = line.substring(1);
    return switch (line.charAt(0)) {
      case '+', ':' -> rest;
      case '-' -> "ERROR " + rest;
      case '$' -> {
        int length = Integer.parseInt(rest);
        byte[] bytes = in.readNBytes(Math.max(0, length));
        in.readNBytes(length < 0 ? 0 : 2);
        yield new String(bytes, UTF_8);
      }
      case '*' -> {
        List<Object> items = new ArrayList<>();
        for (int i = Integer.parseInt(rest); i > 0; i--) {
          items.add(reply(in));
        }
        yield items;
      }
      default -> throw new IOException("not a reply: " + line);
    };
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int c = in.read(); c != '\r'; c = in.read()) {
      if (c < 0) {
        throw new EOFException();
      }
      text.write(c);
    }
    if (in.read() != '\n') {
      throw new IOException("a line without an end");
    }
    return text.toString(UTF_8);
  }
}
