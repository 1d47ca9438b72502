package io.conexor.itests.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

/** Rows of one bench, printed as they come and written to {@code target/bench/NAME.json}. */
public final class BenchReport {

  private final String name;
  private final List<String> rows = new ArrayList<>();

  public BenchReport(String name) {
    this.name = name;
  }

  /** Latencies of up to a fixed number of operations, and what they cost. */
  public static final class Sample {
    private final long[] nanos;
    private final AtomicInteger count = new AtomicInteger();
    private final long start = System.nanoTime();
    private final long cpu = processCpu();

    public Sample(int most) {
      nanos = new long[most];
    }

    public void add(long took) {
      int at = count.getAndIncrement();
      if (at < nanos.length) {
        nanos[at] = took;
      }
    }

    public int count() {
      return count.get();
    }

    /** What it came to until now. */
    public Figures figures() {
      double seconds = (System.nanoTime() - start) / 1e9;
      double cpuMicros = (processCpu() - cpu) / 1e3;
      int n = count.get();
      return new Figures(
          n / seconds, percentileMillis(0.5), percentileMillis(0.99), cpuMicros / Math.max(1, n));
    }

    private double percentileMillis(double p) {
      int n = Math.min(count.get(), nanos.length);
      if (n == 0) {
        return 0;
      }
      long[] sorted = Arrays.copyOf(nanos, n);
      Arrays.sort(sorted);
      return sorted[Math.min(n - 1, (int) (p * n))] / 1e6;
    }
  }

  /** What a number of operations came to. */
  public record Figures(double rps, double p50Ms, double p99Ms, double cpuUsPerOp) {}

  /** Adds what was measured since the sample was made. */
  public void row(String benchCase, String subject, int concurrency, Sample sample) {
    row(benchCase, subject, concurrency, sample.figures());
  }

  /** Adds what was measured, and prints it. */
  public void row(String benchCase, String subject, int concurrency, Figures figures) {
    System.out.println(
        add(
            benchCase,
            subject,
            concurrency,
            figures.rps(),
            figures.p50Ms(),
            figures.p99Ms(),
            figures.cpuUsPerOp()));
  }

  /** Adds what was measured elsewhere, without printing it. */
  String add(
      String benchCase,
      String subject,
      int concurrency,
      double rps,
      double p50Ms,
      double p99Ms,
      double cpuUsPerOp) {
    String row =
        String.format(
            Locale.ROOT,
            "{\"case\": \"%s\", \"subject\": \"%s\", \"concurrency\": %d, \"rps\": %.0f,"
                + " \"p50Ms\": %.3f, \"p99Ms\": %.3f, \"cpuUsPerOp\": %.1f}",
            benchCase,
            subject,
            concurrency,
            rps,
            p50Ms,
            p99Ms,
            cpuUsPerOp);
    rows.add(row);
    return row;
  }

  public void write() throws IOException {
    Path directory = Files.createDirectories(Path.of("target", "bench"));
    Files.writeString(
        directory.resolve(name + ".json"), "[\n  " + String.join(",\n  ", rows) + "\n]\n");
  }

  private static long processCpu() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }
}
