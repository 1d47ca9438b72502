package io.conexor.database.embedded;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.Secret;
import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps one PostgreSQL running for as long as the component lives. The service is there at once,
 * the server some moments later: whoever connects retries, as with any PostgreSQL.
 */
@Component(
    service = {DatabaseEndpoints.class, HealthCheck.class},
    configurationPid = EmbeddedPostgres.PID,
    immediate = true) // starts the server, which takes longer than everything else
@Designate(ocd = EmbeddedPostgres.Config.class)
public final class EmbeddedPostgres implements DatabaseEndpoints, HealthCheck, AutoCloseable {

  static final String PID = "io.conexor.database.embedded";

  @ObjectClassDefinition(
      name = "Embedded database",
      description = "A PostgreSQL that the server starts itself")
  @interface Config {
    @AttributeDefinition(
        name = "Data folder",
        description = "Holds the programs, the cluster and its password; kept between runs")
    String data_dir() default "data/postgresql";

    @AttributeDefinition(
        name = "Port",
        description = "Loopback port, 0..65535; 0 = a free one, the same as last time if possible",
        min = "0",
        max = "65535")
    int port() default 0;

    @AttributeDefinition(
        name = "User",
        description =
            "Unprivileged user that PostgreSQL runs as when the server is root; empty = the first"
                + " of conexor, postgres, nobody that exists")
    String user() default "";

    @AttributeDefinition(
        name = "Installation",
        description =
            "Folder with initdb and postgres of an installed PostgreSQL; empty = the one that"
                + " comes with the product")
    String installation() default "";

    @AttributeDefinition(
        name = "Connections",
        description = "The most connections PostgreSQL takes, 10..1000",
        min = "10",
        max = "1000")
    int connections_max() default 60;

    @AttributeDefinition(
        name = "Stop timeout",
        description = "Milliseconds for a clean stop before it is forced, 100..60000",
        min = "100",
        max = "60000")
    long stop_timeout_ms() default 10_000;
  }

  private static final Logger log = LoggerFactory.getLogger(EmbeddedPostgres.class);

  private static final String NAME = "conexor";
  private static final int LINES_KEPT = 20;
  private static final Duration START_TIMEOUT = Duration.ofSeconds(60);

  private enum State {
    STARTING,
    UP,
    DOWN,
    CLOSED
  }

  /** A state and why; written by the supervisor, at the end by {@link #close}; read by all. */
  private record Status(State state, String why) {}

  private final Settings settings;
  private final Secret password;
  private final int port;
  private final Thread supervisor;
  private final CountDownLatch closing = new CountDownLatch(1);
  private final Deque<String> lastLines = new ArrayDeque<>(); // guarded by itself
  private volatile Status status = new Status(State.STARTING, "not begun");
  private volatile String runsAs = ""; // written by the supervisor
  private int failures; // of the supervisor, since the server was last up

  @Activate
  public EmbeddedPostgres(Config config) throws IOException {
    this(Settings.checked(config));
  }

  EmbeddedPostgres(Settings settings) throws IOException {
    this.settings = settings;
    Installation.check(settings.installation());
    Files.createDirectories(settings.folder());
    password = new Secret(keptSecret(settings.folder().resolve("password")));
    port = settings.port() != 0 ? settings.port() : keptPort(settings.folder().resolve("port"));
    // INVARIANT: this thread lives as long as the postmaster, which is told to stop when it ends
    supervisor = new Thread(this::supervise, "conexor-database-embedded-supervisor");
    supervisor.setDaemon(true);
    supervisor.start();
  }

  /**
   * One outside of OSGi, for sample data and tests.
   *
   * @param installation folder of {@code initdb} and {@code postgres}; empty = the one in this jar
   * @param readers further roles, made with the cluster: they may log in, and read unless they say
   *     otherwise; a change of the list is not seen by a cluster that exists
   */
  public static EmbeddedPostgres in(Path folder, String installation, List<String> readers)
      throws IOException {
    return new EmbeddedPostgres(
        new Settings(folder, 0, "", installation, 100, Duration.ofSeconds(10), readers));
  }

  /**
   * Unpacks the programs into a folder, unless they are there, for several servers to share.
   *
   * @return what to give as the installation
   */
  public static Path unpack(Path folder) throws IOException {
    Files.createDirectories(folder);
    openToOthers(folder);
    return Installation.in(folder, "").folder();
  }

  @Override
  public List<Endpoint> endpoints() {
    return List.of(new Endpoint("127.0.0.1", port));
  }

  @Override
  public String database() {
    return NAME;
  }

  @Override
  public String user() {
    return NAME;
  }

  @Override
  public Secret password() {
    return password;
  }

  /** The password of one of the readers. */
  public Secret password(String reader) throws IOException {
    return new Secret(keptSecret(settings.folder().resolve("password-" + reader)));
  }

  /** The postmaster; empty while there is none. */
  public Optional<Long> pid() throws IOException {
    return PidFile.read(settings.folder().resolve("data")).map(PidFile::pid);
  }

  @Override
  public String name() {
    return "database-embedded";
  }

  @Override
  public Health check() {
    Status now = status;
    Map<String, String> facts =
        Map.of(
            "port", Integer.toString(port),
            "folder", settings.folder().toString(),
            "runs as", runsAs,
            "state", now.state().name());
    return switch (now.state()) {
      case UP -> Health.healthy(facts);
      case STARTING -> Health.degraded("the embedded PostgreSQL is starting", facts);
      default -> Health.unhealthy("the embedded PostgreSQL is down: " + now.why(), facts);
    };
  }

  @Override
  @Deactivate
  public void close() {
    closing.countDown();
    supervisor.interrupt();
    try {
      supervisor.join(settings.stopTimeout().toMillis() + 5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (supervisor.isAlive()) {
      log.warn("the embedded PostgreSQL in {} did not stop in time", settings.folder());
    }
  }

  private boolean isClosing() {
    return closing.getCount() == 0;
  }

  private void supervise() {
    while (!isClosing()) {
      try (FileChannel channel =
              FileChannel.open(
                  settings.folder().resolve("lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock lock = lock(channel)) {
        log.debug("holding {}", lock);
        serve();
      } catch (InterruptedException e) {
        if (!isClosing()) {
          log.warn("interrupted while looking after PostgreSQL; going on", e);
        }
      } catch (IOException | RuntimeException e) {
        // INVARIANT: whatever happens the loop goes on; powers of two are logged
        failures++;
        become(State.DOWN, String.valueOf(e.getMessage()), Integer.bitCount(failures) == 1);
      }
      try {
        long pause = Math.min(5_000, 100L << Math.min(failures, 6));
        if (closing.await(pause, MILLISECONDS)) {
          break;
        }
      } catch (InterruptedException e) {
        log.debug("woken early", e);
      }
    }
    become(State.CLOSED, "stopped", true);
  }

  private FileLock lock(FileChannel channel) throws IOException {
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException inThisJvm) {
      lock = null;
    }
    if (lock == null) {
      throw new IOException(
          "another server is using "
              + settings.folder()
              + "; stop it or set database.embedded.data.dir to another folder");
    }
    return lock;
  }

  /** Returns when the server has ended. */
  private void serve() throws IOException, InterruptedException {
    long begin = System.nanoTime();
    RunAs runAs = prepareFolder();
    runsAs = runAs.description();
    Installation installation = Installation.in(settings.folder(), settings.installation());
    Path data = settings.folder().resolve("data");
    stopLeftover(data);
    initialise(data, installation, runAs);

    List<String> command = new ArrayList<>(runAs.longLived());
    command.add(installation.program("postgres").toString());
    command.addAll(List.of("-D", data.toString(), "-p", Integer.toString(port)));
    for (String setting :
        List.of(
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=" + settings.connections(),
            "shared_buffers=64MB",
            "password_encryption=scram-sha-256",
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=",
            "log_timezone=UTC",
            "log_min_error_statement=panic")) {
      command.addAll(List.of("-c", setting));
    }
    Process process = Commands.builder(command).redirectErrorStream(true).start();
    Thread reader = new Thread(() -> relay(process), "conexor-database-embedded-log");
    reader.setDaemon(true);
    reader.start();
    try {
      awaitReady(process, data);
      failures = 0;
      become(
          State.UP,
          "port %d, as %s, %d ms"
              .formatted(port, runAs.description(), (System.nanoTime() - begin) / 1_000_000),
          true);
      int code = process.waitFor();
      throw new IOException("PostgreSQL ended by itself with " + code + ": " + lastLines());
    } finally {
      stop(process, data);
    }
  }

  private RunAs prepareFolder() throws IOException, InterruptedException {
    openToOthers(settings.folder());
    return RunAs.choose(settings.folder(), settings.user());
  }

  /** The unprivileged user must get through to what is inside, and see nothing on the way. */
  private static void openToOthers(Path folder) throws IOException {
    if (RunAs.isRoot()) {
      Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx--x--x"));
    }
  }

  private void initialise(Path data, Installation installation, RunAs runAs)
      throws IOException, InterruptedException {
    Path folder = settings.folder();
    Path passwordSet = folder.resolve("password.set");
    if (!Files.exists(data.resolve("PG_VERSION"))) {
      Path half = folder.resolve("data.new");
      Installation.delete(half);
      Files.createDirectory(
          half, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      runAs.own(half);
      try {
        initdb(half, installation, runAs, "C.UTF-8");
      } catch (IOException e) {
        if (!String.valueOf(e.getMessage()).contains("locale")) {
          throw e;
        }
        initdb(half, installation, runAs, "C");
      }
      Files.writeString(
          half.resolve("pg_hba.conf"),
          "# these users, from this machine; nobody else, not even a superuser\n"
              + "host %1$s %2$s 127.0.0.1/32 scram-sha-256\n"
                  .formatted(NAME, String.join(",", roles())));
      List<String> statements = new ArrayList<>();
      for (String role : roles()) {
        statements.add("create role " + role + " login password '" + passwordOf(role) + "';");
      }
      statements.add("grant pg_monitor to " + NAME + ";");
      statements.add("create database " + NAME + " owner " + NAME + ";");
      for (String reader : settings.readers()) {
        statements.add("alter role " + reader + " set default_transaction_read_only = on;");
      }
      singleUser(half, installation, runAs, statements);
      // INVARIANT: a folder called data is complete
      Files.move(half, data, StandardCopyOption.ATOMIC_MOVE);
      Files.writeString(passwordSet, "");
      log.info("created a PostgreSQL cluster in {}", data);
      return;
    }
    runAs.own(data);
    if (!Files.exists(passwordSet)) {
      List<String> statements = new ArrayList<>();
      for (String role : roles()) {
        statements.add("alter role " + role + " password '" + passwordOf(role) + "';");
      }
      singleUser(data, installation, runAs, statements);
      Files.writeString(passwordSet, "");
    }
  }

  private List<String> roles() {
    return Stream.concat(Stream.of(NAME), settings.readers().stream()).toList();
  }

  private String passwordOf(String role) throws IOException {
    Secret secret = role.equals(NAME) ? password : password(role);
    return secret.reveal().replace("'", "''");
  }

  private static void initdb(Path data, Installation installation, RunAs runAs, String locale)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(runAs.prefix());
    command.add(installation.program("initdb").toString());
    command.addAll(List.of("-D", data.toString(), "-U", "postgres", "-A", "trust", "-E", "UTF8"));
    command.addAll(List.of("--locale=" + locale, "--data-checksums"));
    Commands.run(command, "");
  }

  private static void singleUser(
      Path data, Installation installation, RunAs runAs, List<String> statements)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(runAs.prefix());
    command.add(installation.program("postgres").toString());
    command.addAll(List.of("--single", "-D", data.toString(), "postgres"));
    String said = Commands.run(command, String.join("\n", statements) + "\n");
    // a single-user backend ends with 0 whatever happened
    if (said.contains("ERROR:") || said.contains("FATAL:")) {
      throw new IOException("preparing the cluster failed: " + said);
    }
  }

  private void stopLeftover(Path data) throws IOException, InterruptedException {
    Optional<PidFile> left = PidFile.read(data);
    if (left.isEmpty()) {
      return;
    }
    if (left.get().isServing(data)) {
      log.warn(
          "a PostgreSQL of an earlier run (pid {}) still works in {}; stopping it",
          left.get().pid(),
          data);
      stop(left.get().pid(), data);
    }
    Files.deleteIfExists(data.resolve("postmaster.pid"));
  }

  private void awaitReady(Process process, Path data) throws IOException {
    long deadline = System.nanoTime() + START_TIMEOUT.toNanos();
    while (process.isAlive() && !isClosing()) {
      if (PidFile.read(data).filter(file -> file.status().equals("ready")).isPresent()) {
        return;
      }
      if (System.nanoTime() - deadline > 0) {
        throw new IOException("PostgreSQL was not ready in " + START_TIMEOUT + ": " + lastLines());
      }
      LockSupport.parkNanos(3_000_000);
    }
    if (!isClosing()) {
      throw new IOException("PostgreSQL did not start: " + lastLines());
    }
  }

  private void stop(Process process, Path data) {
    boolean interrupted = Thread.interrupted();
    try {
      Optional<PidFile> file = PidFile.read(data);
      if (file.isPresent() && file.get().isServing(data)) {
        stop(file.get().pid(), data);
      }
      if (!process.waitFor(1, java.util.concurrent.TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (IOException | InterruptedException e) {
      log.warn("stopping PostgreSQL in {} failed: {}", data, e.getMessage());
      process.destroyForcibly();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** A fast shutdown, then an immediate one, then the end. Data survives all three. */
  private void stop(long pid, Path data) throws IOException, InterruptedException {
    ProcessHandle handle = ProcessHandle.of(pid).orElse(null);
    if (handle == null) {
      return;
    }
    for (String signal : List.of("INT", "QUIT")) {
      // ProcessHandle knows SIGTERM only, which waits for clients to leave
      Commands.run(List.of("/bin/sh", "-c", "kill -" + signal + " " + pid + " || true"), "");
      if (awaitEnd(
          pid, data, signal.equals("INT") ? settings.stopTimeout() : Duration.ofSeconds(2))) {
        return;
      }
    }
    log.warn("PostgreSQL (pid {}) did not stop when asked; killing it", pid);
    handle.destroyForcibly();
    awaitEnd(pid, data, Duration.ofSeconds(2));
  }

  private static boolean awaitEnd(long pid, Path data, Duration timeout) {
    long deadline = System.nanoTime() + timeout.toNanos();
    PidFile file = new PidFile(pid, "");
    while (file.isServing(data)) {
      if (System.nanoTime() - deadline > 0) {
        return false;
      }
      LockSupport.parkNanos(5_000_000);
    }
    return true;
  }

  private void relay(Process process) {
    try (BufferedReader lines =
        new BufferedReader(
            new java.io.InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      String line;
      while ((line = lines.readLine()) != null) {
        synchronized (lastLines) {
          lastLines.addLast(line);
          if (lastLines.size() > LINES_KEPT) {
            lastLines.removeFirst();
          }
        }
        if (line.startsWith("PANIC:")) {
          log.error("postgres: {}", line);
        } else if (line.startsWith("WARNING:")) {
          log.warn("postgres: {}", line);
        } else {
          log.debug("postgres: {}", line);
        }
      }
    } catch (IOException ended) {
      log.debug("PostgreSQL's output ended", ended);
    }
  }

  private String lastLines() {
    synchronized (lastLines) {
      return String.join(" | ", lastLines);
    }
  }

  private void become(State next, String why, boolean worthLogging) {
    Status before = status;
    status = new Status(next, why);
    if (before.state() == next && !worthLogging) {
      return;
    }
    if (next == State.DOWN) {
      log.warn("embedded PostgreSQL -> {}: {}", next, why);
    } else {
      log.info("embedded PostgreSQL -> {}: {}", next, why);
    }
  }

  private static String keptSecret(Path file) throws IOException {
    byte[] random = new byte[24];
    new SecureRandom().nextBytes(random);
    String fresh = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
    try (FileChannel channel =
        FileChannel.open(
            file,
            EnumSet.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
      channel.write(StandardCharsets.UTF_8.encode(fresh));
      // a new password must be made known to an old cluster
      Files.deleteIfExists(file.resolveSibling("password.set"));
      return fresh;
    } catch (FileAlreadyExistsException kept) {
      String text = Files.readString(file).strip();
      if (text.length() < 16) {
        Files.delete(file);
        return keptSecret(file);
      }
      return text;
    }
  }

  private static int keptPort(Path file) throws IOException {
    if (Files.exists(file)) {
      try {
        int last = Integer.parseInt(Files.readString(file).strip());
        if (last > 0 && last < 65_536 && isFree(last)) {
          return last;
        }
      } catch (NumberFormatException torn) {
        log.debug("{} holds no number", file);
      }
    }
    int fresh;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      fresh = socket.getLocalPort();
    }
    Files.writeString(file, Integer.toString(fresh));
    return fresh;
  }

  private static boolean isFree(int port) {
    try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
      return socket.isBound();
    } catch (IOException taken) {
      return false;
    }
  }

  /** The configuration, checked. */
  record Settings(
      Path folder,
      int port,
      String user,
      String installation,
      int connections,
      Duration stopTimeout,
      List<String> readers) {

    static Settings checked(Config config) {
      if (config.data_dir().isBlank()) {
        throw refused("data.dir", "''", "a folder");
      }
      return new Settings(
          Path.of(config.data_dir()).toAbsolutePath().normalize(),
          (int) within("port", config.port(), 0, 65_535),
          config.user().strip(),
          config.installation().strip(),
          (int) within("connections.max", config.connections_max(), 10, 1_000),
          Duration.ofMillis(within("stop.timeout.ms", config.stop_timeout_ms(), 100, 60_000)),
          List.of());
    }

    private static long within(String key, long value, long least, long most) {
      if (value < least || value > most) {
        throw refused(key, Long.toString(value), least + ".." + most);
      }
      return value;
    }

    private static IllegalArgumentException refused(String key, String value, String range) {
      return new IllegalArgumentException(PID + ": " + key + "=" + value + " must be " + range);
    }
  }
}
