package io.conexor.shell;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.felix.service.command.CommandProcessor;
import org.apache.felix.service.command.CommandSession;
import org.apache.felix.service.command.Converter;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets the owner of the process in, from this host only. Whoever can read the file {@code shell} in
 * the data directory, which is its owner's alone, knows the port and the token of this run.
 *
 * <p>A client sends the token on a line, then {@code run COMMAND} (answered by the output, a NUL,
 * and the exit code) or {@code open} (the connection becomes a session). Anything else closes the
 * connection.
 */
@Component(
    service = Door.class,
    immediate = true, // an entry point: nobody asks for it
    configurationPid = Door.PID,
    configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = Door.Config.class)
public final class Door {

  static final String PID = "io.conexor.shell";

  @ObjectClassDefinition(
      name = "Shell",
      description = "The management shell on the loopback interface")
  @interface Config {
    @AttributeDefinition(
        name = "Data directory",
        description = "Where the file with port and token is written")
    String data_dir();
  }

  private static final Logger log = LoggerFactory.getLogger(Door.class);
  private static final int MAX_SESSIONS = 8;
  private static final int MAX_LINE = 65_536;
  private static final int GREETING_MILLIS = 5_000;

  private final CommandProcessor processor;
  private final Path file;
  private final byte[] token;
  private final ServerSocket server;
  private final ExecutorService sessions;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();

  @Activate
  public Door(@Reference(name = "processor") CommandProcessor processor, Config config)
      throws IOException {
    this(processor, Path.of(config.data_dir()));
  }

  Door(CommandProcessor processor, Path directory) throws IOException {
    this.processor = processor;
    byte[] random = new byte[32];
    new SecureRandom().nextBytes(random);
    token = HexFormat.of().formatHex(random).getBytes(StandardCharsets.US_ASCII);
    file = directory.resolve("shell");
    server = new ServerSocket(0, MAX_SESSIONS, InetAddress.getLoopbackAddress());
    try {
      publish(directory);
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
    sessions =
        new ThreadPoolExecutor(
            0,
            MAX_SESSIONS,
            10,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> daemon(task, "conexor-shell-session"));
    daemon(this::accept, "conexor-shell-door").start();
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  private void publish(Path directory) throws IOException {
    Files.createDirectories(directory);
    // Created with its final permissions and moved into place: at no moment can another user read
    // it.
    Path fresh =
        Files.createTempFile(
            directory,
            "shell",
            ".tmp",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(
        fresh, server.getLocalPort() + " " + new String(token, StandardCharsets.US_ASCII) + "\n");
    Files.move(fresh, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        open.add(socket);
        try {
          sessions.execute(() -> serve(socket));
        } catch (RejectedExecutionException e) {
          log.warn("refused a shell: {} are open", MAX_SESSIONS);
          close(socket);
        }
      } catch (IOException e) {
        if (!server.isClosed()) {
          log.warn("the shell's door cannot accept", e);
        }
      }
    }
  }

  private void close(Socket socket) {
    open.remove(socket);
    try {
      socket.close();
    } catch (IOException e) {
      log.debug("a shell's connection was already gone", e);
    }
  }

  private void serve(Socket socket) {
    try {
      socket.setSoTimeout(GREETING_MILLIS);
      socket.setTcpNoDelay(true);
      InputStream in = socket.getInputStream();
      if (!MessageDigest.isEqual(token, line(in).getBytes(StandardCharsets.UTF_8))) {
        log.warn("refused a shell: wrong token");
        return;
      }
      String request = line(in);
      socket.setSoTimeout(0);
      if (request.startsWith("run ")) {
        run(request.substring("run ".length()), socket.getOutputStream());
      } else if (request.equals("open")) {
        converse(in, socket.getOutputStream());
      }
    } catch (InterruptedIOException e) {
      log.debug("a shell said nothing in time", e);
    } catch (IOException e) {
      log.debug("a shell's connection broke", e);
    } finally {
      close(socket);
    }
  }

  private void run(String command, OutputStream out) throws IOException {
    PrintStream printer = new PrintStream(out, true, StandardCharsets.UTF_8);
    int code;
    try (CommandSession session =
        processor.createSession(InputStream.nullInputStream(), printer, printer)) {
      code = execute(session, command, printer);
    }
    printer.flush();
    out.write(0);
    out.write(Integer.toString(code).getBytes(StandardCharsets.US_ASCII));
    out.flush();
  }

  private void converse(InputStream in, OutputStream out) throws IOException {
    PrintStream printer = new PrintStream(out, true, StandardCharsets.UTF_8);
    try (CommandSession session =
        processor.createSession(InputStream.nullInputStream(), printer, printer)) {
      printer.println(
          "Conexor shell: 'help' lists the commands, 'exit' ends it, the server goes on");
      while (true) {
        printer.print("conexor> ");
        printer.flush();
        String command = line(in).trim();
        if (command.equals("exit") || command.equals("quit")) {
          return;
        }
        if (!command.isEmpty()) {
          execute(session, command, printer);
        }
      }
    }
  }

  /** The exit code: 0 if the command ended, 1 if it failed or does not exist. */
  private static int execute(CommandSession session, String command, PrintStream printer) {
    log.info("shell: {}", command);
    try {
      Object result = session.execute(command);
      if (result != null) {
        printer.println(session.format(result, Converter.INSPECT));
      }
      return 0;
    } catch (Exception e) {
      // Whatever a command throws is its answer to the person who typed it.
      printer.println(e.getMessage() == null ? e.toString() : e.getMessage());
      log.debug("the shell command failed", e);
      return 1;
    }
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("the client left");
      }
      if (bytes.size() == MAX_LINE) {
        throw new IOException("a line of more than " + MAX_LINE + " bytes");
      }
      bytes.write(b);
    }
    return bytes.toString(StandardCharsets.UTF_8).stripTrailing();
  }

  @Deactivate
  void close() {
    try {
      server.close();
      Files.deleteIfExists(file);
    } catch (IOException e) {
      log.warn("the shell's door does not close", e);
    }
    open.forEach(this::close);
    sessions.shutdownNow();
  }
}
