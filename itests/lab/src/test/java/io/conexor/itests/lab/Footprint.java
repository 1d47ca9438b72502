package io.conexor.itests.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a process holds that a leak would let grow.
 *
 * @param threads how many by name, numbers left out
 * @param instances live ones by class, of what a client that was not freed would keep
 * @param loaders class loaders of bundles, by the package of a class of theirs
 */
record Footprint(
    Map<String, Integer> threads,
    Map<String, Long> instances,
    Map<String, Integer> loaders,
    long heapKiB) {

  private static final Pattern THREAD = Pattern.compile("^\"([^\"]+)\"", Pattern.MULTILINE);
  private static final Pattern INSTANCES =
      Pattern.compile("^\\s*\\d+:\\s+(\\d+)\\s+\\d+\\s+(\\S+)", Pattern.MULTILINE);

  /** Of what each of these there is one, or a fixed number, per bundle or client. */
  private static final Pattern WATCHED =
      Pattern.compile("org\\.redisson\\.Redisson|.*(MasterSlaveConnectionManager|NioEventLoop)");

  /** Bundles that come and go with a swap. */
  private static final Pattern SWAPPED = Pattern.compile("io\\.conexor\\.redis\\.\\w+");

  /** After a full collection. */
  static Footprint of(ProductProcess process) {
    Map<String, Integer> threads = new TreeMap<>();
    Matcher named = THREAD.matcher(process.jcmd("Thread.print"));
    while (named.find()) {
      threads.merge(named.group(1).replaceAll("[0-9a-f]*\\d[0-9a-f]*", "N"), 1, Integer::sum);
    }
    long heap = process.liveHeapKiB();
    Map<String, Long> instances = new HashMap<>();
    Matcher counted = INSTANCES.matcher(process.jcmd("GC.class_histogram"));
    while (counted.find()) {
      if (WATCHED.matcher(counted.group(2)).matches()) {
        instances.put(counted.group(2), Long.parseLong(counted.group(1)));
      }
    }
    return new Footprint(threads, instances, loaders(process), heap);
  }

  private static Map<String, Integer> loaders(ProductProcess process) {
    Map<String, Integer> loaders = new TreeMap<>();
    boolean ofBundle = false;
    for (String line :
        process.jcmd("VM.classloaders", "show-classes=true", "fold=false").split("\n")) {
      if (line.contains("+-- ")) {
        ofBundle = line.contains("BundleClassLoader");
      } else if (ofBundle && line.contains("Classes: ")) {
        String name = line.substring(line.indexOf("Classes: ") + 9).strip();
        loaders.merge(name.replaceAll("\\.\\w+(\\$.*)?$", ""), 1, Integer::sum);
        ofBundle = false;
      }
    }
    return loaders;
  }

  /** Fails if there is more than before of anything that does not come and go with requests. */
  void assertNotAbove(Footprint before) {
    Map<String, String> grown = new TreeMap<>();
    threads.forEach(
        (name, count) -> {
          int then = before.threads.getOrDefault(name, 0);
          // Others grow and shrink with the requests.
          boolean isBySwap = name.matches("(redisson|conexor-(redis|backplane|session|resume)).*");
          if (count > then + (isBySwap ? 0 : 8)) {
            grown.put("thread " + name, then + " -> " + count);
          }
        });
    instances.forEach(
        (name, count) -> {
          long then = before.instances.getOrDefault(name, 0L);
          if (count > then) {
            grown.put(name, then + " -> " + count);
          }
        });
    loaders.forEach(
        (name, count) -> {
          int then = before.loaders.getOrDefault(name, 0);
          // A bundle that was there before may load its first class late.
          boolean isFirst = then == 0 && count == 1 && !SWAPPED.matcher(name).matches();
          if (count > then && !isFirst) {
            grown.put("class loader of " + name, then + " -> " + count);
          }
        });
    assertThat(loaders).as("class loaders of bundles").isNotEmpty();
    assertThat(grown).as("grown since").isEmpty();
    assertThat(heapKiB).as("live heap in KiB").isLessThan(before.heapKiB + 6_000);
  }
}
