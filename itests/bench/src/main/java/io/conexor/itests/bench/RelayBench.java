package io.conexor.itests.bench;

import com.sun.management.OperatingSystemMXBean;
import io.conexor.itests.bench.HttpLoad.Result;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * One row by its key as an MCP tool call: the relay through server and agent beside a server that
 * talks to the database directly, and beside JDBC alone. All on one PostgreSQL and this machine.
 *
 * <p>Subjects take turns within every round, so that what else the machine does hits all of them.
 * Processor time is that of a subject's own processes: server and agent together, without any
 * PostgreSQL, neither the one asked nor the server's own.
 */
public final class RelayBench {

  private static final double SECONDS = Integer.getInteger("bench.seconds", 4);
  private static final int ROUNDS = Integer.getInteger("bench.rounds", 3);

  /** Two processors that also serve need so long until the JVMs have compiled what runs often. */
  private static final int WARM_UP = Integer.getInteger("bench.warmup", 45);

  private static final List<Integer> CONCURRENCY =
      Stream.of(System.getProperty("bench.concurrency", "1,16,64").split(","))
          .map(Integer::valueOf)
          .toList();

  private RelayBench() {}

  /**
   * What is measured, and the processor time it has taken so far.
   *
   * @param warmUp in seconds; shorter where another subject warms the same processes up
   */
  private record Subject(String name, double warmUp, Load load, DoubleSupplier cpuMicros) {}

  /** Runs for some seconds. */
  private interface Load {
    Result run(int concurrency, double seconds) throws Exception;
  }

  /** One subject in one round. */
  private record Round(Result result, double cpuUsPerOp, double databaseUsPerOp) {}

  public static void main(String[] args) throws Exception {
    Path base = Path.of("").toAbsolutePath();
    Path directory = Files.createTempDirectory("conexor-bench-");
    Files.setPosixFilePermissions(
        directory, java.nio.file.attribute.PosixFilePermissions.fromString("rwxr-xr-x"));
    try {
      say("starting PostgreSQL, MCP Toolbox, server and agent");
      try (AccountsDatabase database = AccountsDatabase.start(directory.resolve("postgresql"));
          Toolbox toolbox =
              Toolbox.start(directory, base.resolve("target/bench/toolbox"), database);
          Conexor conexor = Conexor.start(database);
          RawLimit raw = new RawLimit(database)) {
        measure(subjects(conexor, toolbox, raw), database);
      }
    } finally {
      delete(directory);
    }
    System.exit(0);
  }

  private static List<Subject> subjects(Conexor conexor, Toolbox toolbox, RawLimit raw) {
    DoubleSupplier relay = conexor::cpuMicros;
    DoubleSupplier direct = toolbox::cpuMicros;
    DoubleSupplier here =
        () ->
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime()
                / 1e3;
    return Stream.of(
            new Subject("conexor", WARM_UP, load(conexor.tool()), relay),
            new Subject("toolbox prepared", WARM_UP, load(toolbox.prepared()), direct),
            new Subject("conexor query", WARM_UP / 4.0, load(conexor.query()), relay),
            new Subject("toolbox execute_sql", WARM_UP / 4.0, load(toolbox.executeSql()), direct),
            new Subject("raw pgjdbc", WARM_UP / 4.0, raw::run, here))
        .filter(subject -> subject.name().matches(System.getProperty("bench.subjects", ".*")))
        .toList();
  }

  private static Load load(HttpLoad.Target target) {
    return (concurrency, seconds) -> HttpLoad.run(target, concurrency, seconds);
  }

  private static void measure(List<Subject> subjects, AccountsDatabase database) throws Exception {
    int total = (int) (CONCURRENCY.size() * ROUNDS * subjects.size() * SECONDS);
    int warmUp = (int) subjects.stream().mapToDouble(Subject::warmUp).sum();
    say("warming up for " + warmUp + " s, then measuring for " + total + " s");
    for (Subject subject : subjects) {
      subject.load().run(16, subject.warmUp() / 2);
    }
    for (Subject subject : subjects) {
      subject.load().run(64, subject.warmUp() / 2);
    }
    BenchReport report = new BenchReport("relay");
    System.out.printf(
        "%-12s %-20s %10s %10s %10s %12s %12s%n",
        "concurrency", "subject", "calls/s", "p50 ms", "p99 ms", "cpu us/call", "database us");
    for (int concurrency : CONCURRENCY) {
      Map<Subject, List<Round>> rounds = new LinkedHashMap<>();
      for (int round = 1; round <= ROUNDS; round++) {
        for (Subject subject : subjects) {
          rounds
              .computeIfAbsent(subject, s -> new ArrayList<>())
              .add(round(subject, database, concurrency));
        }
        say("concurrency " + concurrency + ", round " + round + " of " + ROUNDS);
      }
      rounds.forEach((subject, measured) -> row(report, subject.name(), concurrency, measured));
    }
    report.write();
  }

  private static Round round(Subject subject, AccountsDatabase database, int concurrency)
      throws Exception {
    LockSupport.parkNanos(500_000_000); // what the subject before left to do ends here
    subject.load().run(concurrency, 0.3); // connections and caches are this subject's again
    double cpu = subject.cpuMicros().getAsDouble();
    double busy = database.cpuMicros();
    Result result = subject.load().run(concurrency, SECONDS);
    if (result.failures() > 0) {
      say(subject.name() + ": " + result.failures() + " calls failed and are not counted");
    }
    return new Round(
        result,
        (subject.cpuMicros().getAsDouble() - cpu) / result.operations(),
        (database.cpuMicros() - busy) / result.operations());
  }

  private static void row(BenchReport report, String subject, int concurrency, List<Round> rounds) {
    double rps = median(rounds, round -> round.result().rps());
    double p50 = median(rounds, round -> round.result().p50Ms());
    double p99 = median(rounds, round -> round.result().p99Ms());
    double cpu = median(rounds, Round::cpuUsPerOp);
    System.out.printf(
        "%-12d %-20s %10.0f %10.3f %10.3f %12.1f %12.1f%n",
        concurrency, subject, rps, p50, p99, cpu, median(rounds, Round::databaseUsPerOp));
    report.add("relay", subject, concurrency, rps, p50, p99, cpu);
  }

  private static double median(List<Round> rounds, ToDoubleFunction<Round> figure) {
    double[] sorted = rounds.stream().mapToDouble(figure).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }

  private static void say(String what) {
    System.err.printf("%tT %s%n", System.currentTimeMillis(), what);
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
