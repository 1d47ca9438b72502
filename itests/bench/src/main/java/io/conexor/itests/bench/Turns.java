package io.conexor.itests.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * Subjects that take turns, many short ones each, so that what else happens on the machine meets
 * all of them alike. A row is the median of a subject's turns.
 */
final class Turns {

  /** What one turn of one subject came to. */
  interface Turn {
    BenchReport.Figures take() throws Exception;
  }

  private final Map<String, Turn> subjects = new LinkedHashMap<>();

  Turns subject(String name, Turn turn) {
    subjects.put(name, turn);
    return this;
  }

  /** Turns before the first that counts let the JVM compile. */
  void run(BenchReport report, String benchCase, int concurrency, int uncounted, int counted)
      throws Exception {
    Map<String, List<BenchReport.Figures>> taken = new LinkedHashMap<>();
    for (int i = -uncounted; i < counted; i++) {
      for (Map.Entry<String, Turn> each : subjects.entrySet()) {
        BenchReport.Figures figures = each.getValue().take();
        if (i >= 0) {
          taken.computeIfAbsent(each.getKey(), key -> new ArrayList<>()).add(figures);
        }
      }
    }
    taken.forEach(
        (subject, all) ->
            report.row(
                benchCase,
                subject,
                concurrency,
                new BenchReport.Figures(
                    median(all, BenchReport.Figures::rps),
                    median(all, BenchReport.Figures::p50Ms),
                    median(all, BenchReport.Figures::p99Ms),
                    median(all, BenchReport.Figures::cpuUsPerOp))));
  }

  private static double median(
      List<BenchReport.Figures> all, ToDoubleFunction<BenchReport.Figures> of) {
    return all.stream()
        .map(each -> of.applyAsDouble(each))
        .sorted(Comparator.naturalOrder())
        .toList()
        .get(all.size() / 2);
  }
}
