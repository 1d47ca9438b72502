package io.conexor.runtime;

import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.osgi.framework.BundleContext;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;

/**
 * Starts an agent for a moment, beside one that may be running, and prints what it finds: whether a
 * backend takes its key, and whether each database answers. What can be asked says so itself: a
 * {@link Supplier} of sentences with the property {@code conexor.check=true}.
 */
final class AgentCheck {

  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** What is wrong at first may be well after another try. */
  private static final Duration ANOTHER_TRY = Duration.ofSeconds(3);

  private AgentCheck() {}

  /** Returns the exit code. */
  static int run(
      Places places, Map<String, String> environment, Map<String, String> set, PrintStream out) {
    Path data;
    try {
      data = Files.createTempDirectory("conexor-check-");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Map<String, String> here = new LinkedHashMap<>(set);
    here.put("runtime.data.dir", data.toString());
    List<String> said;
    try (Launch launch = Launch.start(new Plan(places, environment, here))) {
      said = await(launch);
    } finally {
      delete(data);
    }
    said.forEach(out::println);
    return said.stream().anyMatch(AgentCheck::isWrong) ? 1 : 0;
  }

  private static boolean isWrong(String line) {
    return line.startsWith("wrong: ") || line.startsWith("wait: ");
  }

  private static List<String> await(Launch launch) {
    long until = System.nanoTime() + PATIENCE.toNanos();
    List<String> verdict = List.of();
    while (true) {
      List<String> said = said(launch.context());
      launch.missing().forEach(each -> said.add("wrong: " + each));
      if (said.stream().noneMatch(line -> line.contains("source '"))) {
        said.add("wrong: no source is served; set agent.executor.source~NAME.url and .user");
      }
      long now = System.nanoTime();
      if (said.stream().noneMatch(line -> line.startsWith("wait: "))) {
        if (said.stream().noneMatch(AgentCheck::isWrong)) {
          return said;
        }
        if (verdict.isEmpty()) {
          until = Math.min(until, now + ANOTHER_TRY.toNanos());
        }
        verdict = said;
      }
      if (now - until > 0) {
        return verdict.isEmpty() ? said : verdict;
      }
      LockSupport.parkNanos(100_000_000);
    }
  }

  @SuppressWarnings("rawtypes") // services are found by class, which has no type arguments
  private static List<String> said(BundleContext system) {
    List<String> said = new ArrayList<>();
    try {
      for (ServiceReference<Supplier> reference :
          system.getServiceReferences(Supplier.class, "(conexor.check=true)")) {
        Supplier<?> asked = system.getService(reference);
        if (asked != null && asked.get() instanceof Collection<?> lines) {
          lines.forEach(line -> said.add(String.valueOf(line)));
        }
      }
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
    said.sort(Comparator.naturalOrder());
    return said;
  }

  private static void delete(Path folder) {
    try (Stream<Path> all = Files.walk(folder)) {
      all.sorted(Comparator.reverseOrder()).forEach(each -> each.toFile().delete());
    } catch (IOException e) {
      // a temporary folder: the machine will clean up
    }
  }
}
