package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.itests.lab.Binaries;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.opentest4j.TestAbortedException;

/** A Node.js process with the unmodified SignalR client, installed below {@code target}. */
final class JavaScript implements AutoCloseable {
  private static final Path HOME = Path.of("target", "signalr").toAbsolutePath();
  private static final List<String> FILES = List.of("package.json", "clients.js", "resume.js");

  private final Process process;
  private final List<String> lines = new CopyOnWriteArrayList<>();
  private final Thread reader;

  private JavaScript(List<String> command) throws IOException {
    process =
        new ProcessBuilder(command).directory(HOME.toFile()).redirectErrorStream(true).start();
    reader = new Thread(this::read, "javascript-output");
    reader.setDaemon(true);
    reader.start();
  }

  /** Installs the client once. */
  static void install() throws Exception {
    Binaries.require("node");
    Path npm = Binaries.require("npm");
    Files.createDirectories(HOME);
    for (String file : FILES) {
      try (var in = JavaScript.class.getResourceAsStream("/signalr/" + file)) {
        Files.write(HOME.resolve(file), in.readAllBytes());
      }
    }
    if (Files.exists(HOME.resolve("node_modules/@microsoft/signalr-protocol-msgpack"))) {
      return;
    }
    try (JavaScript install =
        new JavaScript(
            List.of(npm.toString(), "install", "--no-audit", "--no-fund", "--no-package-lock"))) {
      if (install.await(120) != 0) {
        String why = "npm could not install the SignalR client: " + install.output();
        if (System.getenv("CI") != null) {
          throw new IllegalStateException(why);
        }
        throw new TestAbortedException(why);
      }
    }
  }

  static JavaScript run(String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(Binaries.require("node").toString()));
    command.addAll(Arrays.asList(arguments));
    return new JavaScript(command);
  }

  private void read() {
    try (BufferedReader in =
        new BufferedReader(new InputStreamReader(process.getInputStream(), UTF_8))) {
      String line = in.readLine();
      while (line != null) {
        lines.add(line);
        line = in.readLine();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  List<String> lines() {
    return lines;
  }

  String output() {
    return String.join("\n", lines);
  }

  /**
   * @return its exit code
   */
  int await(int seconds) throws InterruptedException {
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      throw new AssertionError("not done within " + seconds + " s: " + output());
    }
    reader.join(5_000);
    return process.exitValue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
