package io.conexor.demo;

import io.conexor.database.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import tools.jackson.databind.JsonNode;

/** Starts everything, shows what it can do, and stops it again. */
public final class Main {

  private static final Duration LONGEST_START = Duration.ofMinutes(2);
  private static final Duration LONGEST_ATTACH = Duration.ofMinutes(1);
  private static final int USUAL_PORT = 8080;

  private final Progress progress = new Progress(System.out);
  private final Deque<AutoCloseable> started = new ArrayDeque<>(); // guarded by itself
  private boolean isStopping; // guarded by started
  private final Path distributions;
  private final Options options;

  private Main(Path distributions, Options options) {
    this.distributions = distributions;
    this.options = options;
  }

  /** The one property needed is where the distributions are. */
  public static void main(String[] args) throws InterruptedException {
    Path distributions =
        Path.of(System.getProperty("conexor.distributions", "distributions"))
            .toAbsolutePath()
            .normalize();
    if (List.of(args).contains("--help")) {
      System.out.print(Options.USAGE);
      return;
    }
    Options options;
    try {
      options = Options.of(args, usualData(distributions));
    } catch (DemoException e) {
      System.err.println("demo: " + e.getMessage());
      System.exit(2);
      return;
    }
    System.setProperty("conexor.demo.log", options.data().resolve("demo.log").toString());
    Main demo = new Main(distributions, options);
    // Ctrl-C, SIGTERM and our own failures all end here
    Runtime.getRuntime().addShutdownHook(new Thread(demo::stop, "conexor-demo-stop"));
    try {
      demo.run();
    } catch (DemoException | IOException | SQLException | ExecutionException e) {
      demo.giveUp(e instanceof DemoException ? String.valueOf(e.getMessage()) : e.toString());
    }
  }

  /** Says why, unless it only follows from having been told to stop. */
  private void giveUp(String why) {
    synchronized (started) {
      if (!isStopping) {
        System.err.println("demo: " + why);
      }
    }
    System.exit(1);
  }

  private static Path usualData(Path distributions) {
    return distributions.resolveSibling("target").resolve("demo");
  }

  private void run() throws IOException, SQLException, InterruptedException, ExecutionException {
    Path data = folder();
    try (FileChannel channel =
            FileChannel.open(
                data.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = lock(channel)) {
      assert lock.isValid();
      show(data);
    }
  }

  private Path folder() throws IOException {
    Path data = options.data();
    try {
      Files.createDirectories(data);
      Files.deleteIfExists(data.resolve("probe"));
      Files.createFile(data.resolve("probe"));
      Files.delete(data.resolve("probe"));
    } catch (IOException e) {
      throw new DemoException(
          "cannot write to " + data + " (" + e + "); give another folder with --data DIR", e);
    }
    Path json = options.json();
    if (json != null) {
      if (json.getParent() == null || !Files.isWritable(json.getParent())) {
        throw new DemoException("cannot write " + json + ": its folder is missing or not yours");
      }
      Files.deleteIfExists(json);
    }
    return data;
  }

  private static FileLock lock(FileChannel channel) throws IOException {
    FileLock lock = channel.tryLock();
    if (lock == null) {
      throw new DemoException(
          "a demo is running with this data already; stop it with Ctrl-C, or start another one"
              + " with --data DIR");
    }
    return lock;
  }

  private void show(Path data)
      throws IOException, SQLException, InterruptedException, ExecutionException {
    progress.say("everything is kept in " + data);
    for (String name : List.of("agent", "server")) {
      if (Program.stopLeftover(data.resolve(name))) {
        progress.say("stopped the " + name + " of a demo that was killed");
      }
    }
    Path postgres = postgres(data.resolve("postgresql"));
    progress.say("starting a sample database and a server");
    SampleDatabase database = keep(() -> new SampleDatabase(data.resolve("sample"), postgres));
    Secrets secrets = new Secrets(data.resolve("secrets.json"));
    Path portFile = data.resolve("server.port");
    Program server = keep(() -> server(data, portFile, postgres));

    long loaded = database.awaitLoaded();
    progress.say(
        "sample database ready"
            + (loaded == 0 ? "" : ": %,d rows in five tables loaded".formatted(loaded)));
    Http http =
        server.await(
            "listening",
            LONGEST_START,
            () ->
                Files.exists(portFile)
                    ? Optional.of(
                        new Http("http://127.0.0.1:" + Files.readString(portFile).strip()))
                    : Optional.empty());
    server.await("healthy", LONGEST_START, () -> healthy(http));
    progress.say("server ready at " + http.base());

    Setup setup = new Setup(http, secrets, data.resolve("server"));
    setup.run();
    progress.say("organisation, keys, data source and tools are there; starting the agent");
    Program agent = keep(() -> agent(data, database, http, secrets));
    agent.await("attached", LONGEST_ATTACH, () -> attached(setup));
    progress.say("agent attached, it serves the data source '" + Setup.NAME + "'");

    String key = secrets.get("serverKey").orElseThrow();
    String mcpPath = "/mcp/" + Setup.ORGANISATION + "/" + Setup.NAME;
    List<Call> calls = List.of(Call.largestCities(mcpPath, key), Call.largeAirports(key));
    for (Call call : calls) {
      Call.Rows rows = call.run(http);
      System.out.printf(
          "%n%s%n%n%s%n  %d rows, served by agent '%s'%n",
          call.title(), rows.table(), rows.rows().size(), rows.agent());
    }
    System.out.println();
    progress.say("ready; Ctrl-C stops everything, the data stays");

    Map<String, Long> pids = new LinkedHashMap<>();
    pids.put("demo", ProcessHandle.current().pid());
    pids.put("server", server.pid());
    pids.put("agent", agent.pid());
    pids.put("sampleDatabase", database.pid());
    String admin = secrets.get("adminKey").orElseThrow();
    Facts facts =
        new Facts(
            http.base(), mcpPath, key, admin, setup.password(), data, pids, progress.millis());
    System.out.println(facts.text(shellCommand()));
    System.out.println("Again, from any shell:\n");
    calls.forEach(call -> System.out.println(call.curl(http) + "\n"));
    if (options.json() != null) {
      Secrets.writeJson(options.json(), facts.json());
    }
    CompletableFuture.anyOf(server.onExit(), agent.onExit()).join();
    throw (server.isAlive() ? agent : server).ended();
  }

  private String shellCommand() {
    return options.data().equals(usualData(distributions))
        ? "./conexor shell"
        : "CONEXOR_RUNTIME_DATA_DIR=" + options.data().resolve("server") + " ./conexor shell";
  }

  /** Where PostgreSQL's programs are: those of the user's choice, else our own. */
  private Path postgres(Path folder) throws IOException {
    String chosen = System.getenv("CONEXOR_DATABASE_EMBEDDED_INSTALLATION");
    if (chosen != null) {
      return Path.of(chosen);
    }
    if (!Files.exists(folder)) {
      progress.say("unpacking PostgreSQL, this once");
    }
    try {
      return EmbeddedPostgres.unpack(folder);
    } catch (IllegalStateException none) {
      throw new DemoException(
          "no PostgreSQL comes with the demo for this platform; install version 15 or newer and set"
              + " CONEXOR_DATABASE_EMBEDDED_INSTALLATION to the folder of its initdb, for example"
              + " /usr/lib/postgresql/15/bin",
          none);
    }
  }

  private Program server(Path data, Path portFile, Path postgres) throws IOException {
    int port = port(portFile);
    Files.deleteIfExists(portFile);
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("runtime.features", "server-core, embedded");
    settings.put("runtime.data.dir", data.resolve("server").toString());
    settings.put("runtime.log.to", "console");
    settings.put("database.embedded.installation", postgres.toString());
    settings.put("http.host", "127.0.0.1");
    settings.put("http.port", Integer.toString(port));
    settings.put("http.port.file", portFile.toString());
    // there is no load balancer that would have to notice
    settings.put("http.drain.notice.ms", "0");
    return new Program("server", distributions, data, settings);
  }

  private Program agent(Path data, SampleDatabase database, Http http, Secrets secrets)
      throws IOException {
    Path key = data.resolve("agent.key");
    Secrets.write(key, secrets.get("agentKey").orElseThrow());
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("runtime.features", "agent, jdbc-postgresql");
    settings.put("runtime.data.dir", data.resolve("agent").toString());
    settings.put("runtime.log.to", "console");
    settings.put("agent.link.backend.url", http.base());
    settings.put("agent.link.key", "${file:" + key + "}");
    String source = "agent.executor.source~" + Setup.NAME + ".";
    settings.put(source + "url", database.url());
    settings.put(source + "user", SampleDatabase.READER);
    settings.put(source + "password", "${file:" + database.passwordFile() + "}");
    return new Program("agent", distributions, data, settings);
  }

  /** The last run's port, else the usual one, else (0) any. */
  private static int port(Path portFile) throws IOException {
    if (Files.exists(portFile)) {
      int last = Integer.parseInt(Files.readString(portFile).strip());
      if (isFree(last)) {
        return last;
      }
    }
    return isFree(USUAL_PORT) ? USUAL_PORT : 0;
  }

  private static boolean isFree(int port) {
    try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
      return socket.isBound();
    } catch (IOException taken) {
      return false;
    }
  }

  private static Optional<Boolean> healthy(Http http) throws InterruptedException {
    try {
      boolean healthy =
          http.get("/health/ready", Map.of()).isOk() && http.get("/api/v1/setup", Map.of()).isOk();
      return healthy ? Optional.of(true) : Optional.empty();
    } catch (IOException notYet) {
      return Optional.empty();
    }
  }

  private static Optional<Boolean> attached(Setup setup) throws IOException, InterruptedException {
    JsonNode source = setup.source();
    return source.path("status").asString().equals("UP") ? Optional.of(true) : Optional.empty();
  }

  private interface Start<T> {
    T start() throws IOException;
  }

  /** Starts something and keeps it for {@link #stop}, unless that has begun. */
  private <T extends AutoCloseable> T keep(Start<T> start) throws IOException {
    synchronized (started) {
      if (isStopping) {
        throw new DemoException("told to stop while starting");
      }
      T made = start.start();
      started.push(made);
      return made;
    }
  }

  /** In the reverse order; again and again is once. */
  private void stop() {
    synchronized (started) {
      isStopping = true;
      if (started.isEmpty()) {
        return;
      }
      progress.say("stopping");
      while (!started.isEmpty()) {
        try {
          started.pop().close();
        } catch (Exception e) {
          System.err.println("demo: " + e);
        }
      }
      progress.say("stopped");
    }
  }
}
