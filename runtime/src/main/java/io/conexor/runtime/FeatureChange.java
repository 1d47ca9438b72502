package io.conexor.runtime;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.FrameworkWiring;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Adds and removes features of the running system, the new before the old: install and start the
 * incoming bundles with a higher service ranking, wait until they are complete and consumers have
 * moved, then stop the outgoing ones. If the incoming do not become complete they are removed again
 * and nothing has changed.
 *
 * <p><b>Migration.</b> {@code --migrate} calls, after the incoming bundles are complete and before
 * the outgoing stop, every service registered as {@code BiFunction<Bundle, Bundle, String>} with
 * the property {@code conexor.migrate=true}, the highest ranking first, with each outgoing and each
 * incoming bundle. It moves what has to survive and returns a sentence about it, or an empty text
 * if the two are not its business. The configuration of what comes in says {@code
 * conexor.joining=true}, so that it can wait for this. If none answers, the swap is undone: nobody
 * may believe that state was moved when it was not.
 *
 * <p>One change at a time; the shell's threads call it.
 */
final class FeatureChange {

  private static final Logger log = LoggerFactory.getLogger(FeatureChange.class);
  private static final int FIRST_RANKING = 1000;

  private final Launch launch;
  private int ranking = FIRST_RANKING;

  FeatureChange(Launch launch) {
    this.launch = launch;
  }

  /**
   * @return what was done, line by line; with {@code --plan}, what would be
   * @throws LaunchException if the change is refused or had to be undone
   */
  synchronized String apply(List<String> outgoing, List<String> incoming, Set<String> options)
      throws InterruptedException {
    Steps steps = steps(outgoing, incoming);
    List<String> report = new ArrayList<>(steps.describe());
    if (options.contains("--plan")) {
      return String.join("\n", report);
    }
    if (!steps.bystanders.isEmpty() && !options.contains("--force")) {
      throw new LaunchException(
          String.join("\n", report)
              + "\nrefused: bundles outside the feature would restart; --force does it all the same");
    }
    List<Bundle> added = add(steps, options.contains("--migrate"));
    try {
      awaitComplete(added);
      if (options.contains("--migrate")) {
        report.addAll(migrate(steps.removed.values(), added));
      }
    } catch (RuntimeException e) {
      uninstall(added);
      steps.added.forEach(a -> launch.bundles().remove(a.key()));
      throw e;
    }
    awaitUnused(steps.removed.values());
    uninstall(steps.removed.values());
    steps.removed.keySet().forEach(launch.bundles()::remove);
    launch.activate(steps.after);
    List<String> names = steps.after.features().stream().map(Feature::name).toList();
    log.info("features {}", names);
    report.add("done; to keep it over a restart: runtime.features = " + String.join(", ", names));
    return String.join("\n", report);
  }

  private Steps steps(List<String> outgoing, List<String> incoming) {
    for (String name : outgoing) {
      if (!launch.activeFeatures().contains(name)) {
        throw new LaunchException(
            "the feature '" + name + "' is not active; active are " + launch.activeFeatures());
      }
    }
    for (String name : incoming) {
      if (launch.activeFeatures().contains(name)) {
        throw new LaunchException("the feature '" + name + "' is active already");
      }
    }
    List<String> names = new ArrayList<>(launch.activeFeatures());
    names.removeAll(outgoing);
    names.addAll(incoming);
    Composition after = Composition.of(launch.plan().features().select(names));
    List<Artifact> added =
        after.bundles().stream().filter(a -> !launch.bundles().containsKey(a.key())).toList();
    Set<String> kept = after.bundles().stream().map(Artifact::key).collect(Collectors.toSet());
    Map<String, Bundle> removed = new LinkedHashMap<>(launch.bundles());
    removed.keySet().removeAll(kept);
    Set<Bundle> bystanders = new java.util.HashSet<>();
    if (!removed.isEmpty()) {
      bystanders.addAll(wiring().getDependencyClosure(removed.values()));
      bystanders.removeAll(removed.values());
    }
    return new Steps(after, added, removed, bystanders);
  }

  private FrameworkWiring wiring() {
    return launch
        .context()
        .getBundle(Constants.SYSTEM_BUNDLE_LOCATION)
        .adapt(FrameworkWiring.class);
  }

  private List<Bundle> add(Steps steps, boolean migrates) {
    List<Bundle> added = new ArrayList<>();
    try {
      steps.added.forEach(a -> added.add(launch.install(a)));
      launch.resolve(added);
      launch.configure(inRole(launch.plan().configurations(steps.after), steps.added, migrates));
      added.forEach(Launch::start);
      return added;
    } catch (RuntimeException e) {
      uninstall(added);
      steps.added.forEach(a -> launch.bundles().remove(a.key()));
      throw e;
    }
  }

  /**
   * Of services of equal rank the older one wins, so the incoming ones need a higher rank to be
   * used; they know by a property that a migration is about to follow, which some wait for.
   */
  private Configurations inRole(
      Configurations configurations, List<Artifact> added, boolean migrates) {
    ranking++;
    Map<String, Map<String, Object>> byPid = new TreeMap<>(configurations.byPid());
    for (Artifact artifact : added) {
      // The PID of a bundle of ours is its artifactId.
      Map<String, Object> values = byPid.get(artifact.artifactId());
      if (values != null) {
        Map<String, Object> all = new HashMap<>(values);
        all.putIfAbsent(Constants.SERVICE_RANKING, ranking);
        if (migrates) {
          all.put("conexor.joining", true);
        }
        byPid.put(artifact.artifactId(), all);
      }
    }
    return new Configurations(byPid);
  }

  private void awaitComplete(List<Bundle> added) throws InterruptedException {
    Set<String> names = added.stream().map(Bundle::getSymbolicName).collect(Collectors.toSet());
    long end = System.nanoTime() + launch.plan().settings().readyTimeout().toNanos();
    while (true) {
      List<String> missing =
          launch.missing().stream()
              .filter(
                  m ->
                      names.stream()
                          .anyMatch(n -> m.startsWith(n + ".") || m.startsWith("bundle " + n)))
              .toList();
      if (missing.isEmpty()) {
        return;
      }
      if (System.nanoTime() - end >= 0) {
        throw new LaunchException(
            "undone, because what came in did not become ready within "
                + launch.plan().settings().readyTimeout()
                + ":\n  "
                + String.join("\n  ", missing));
      }
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  @SuppressWarnings({
    "rawtypes",
    "unchecked"
  }) // services are found by class, which has no type arguments
  private List<String> migrate(Collection<Bundle> removed, List<Bundle> added) {
    List<String> done = new ArrayList<>();
    BundleContext context = launch.context();
    try {
      List<ServiceReference<BiFunction>> highestFirst =
          new ArrayList<>(context.getServiceReferences(BiFunction.class, "(conexor.migrate=true)"));
      highestFirst.sort(Comparator.reverseOrder());
      for (ServiceReference<BiFunction> reference : highestFirst) {
        BiFunction<Bundle, Bundle, String> migration = context.getService(reference);
        for (Bundle from : removed) {
          for (Bundle to : added) {
            String result = migration == null ? "" : migration.apply(from, to);
            if (!result.isEmpty()) {
              done.add("migrated: " + result);
            }
          }
        }
        context.ungetService(reference);
      }
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
    if (done.isEmpty()) {
      throw new LaunchException(
          "undone, because no active bundle knows how to migrate between these features");
    }
    return done;
  }

  /** Gives consumers the time to move; those that only use what is going are stopped with it. */
  private void awaitUnused(Collection<Bundle> removed) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(2);
    while (removed.stream().anyMatch(b -> isUsedBesides(b, removed))
        && System.nanoTime() - end < 0) {
      TimeUnit.MILLISECONDS.sleep(20);
    }
  }

  private static boolean isUsedBesides(Bundle bundle, Collection<Bundle> removed) {
    ServiceReference<?>[] services = bundle.getRegisteredServices();
    if (services == null) {
      return false;
    }
    for (ServiceReference<?> service : services) {
      Bundle[] users = service.getUsingBundles();
      if (users != null && !removed.containsAll(List.of(users))) {
        return true;
      }
    }
    return false;
  }

  private void uninstall(Collection<Bundle> some) {
    List<Bundle> lastFirst =
        some.stream().sorted(Comparator.comparingLong(Bundle::getBundleId).reversed()).toList();
    for (Bundle bundle : lastFirst) {
      try {
        // Stopping unregisters its services, and that is where a provider drains its calls in
        // flight.
        bundle.stop();
        bundle.uninstall();
      } catch (BundleException e) {
        log.warn("{} does not go", bundle.getSymbolicName(), e);
      }
    }
    if (!lastFirst.isEmpty()) {
      refresh(lastFirst);
    }
  }

  /**
   * Without it the class loaders of uninstalled bundles stay, and a later install would meet them.
   */
  private void refresh(List<Bundle> gone) {
    CountDownLatch refreshed = new CountDownLatch(1);
    wiring().refreshBundles(gone, event -> refreshed.countDown());
    try {
      if (!refreshed.await(
          launch.plan().settings().stopTimeout().toMillis(), TimeUnit.MILLISECONDS)) {
        log.warn("the framework still refreshes after {}", launch.plan().settings().stopTimeout());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private record Steps(
      Composition after,
      List<Artifact> added,
      Map<String, Bundle> removed,
      Set<Bundle> bystanders) {

    List<String> describe() {
      List<String> lines = new ArrayList<>();
      added.forEach(a -> lines.add("start    " + a.artifactId() + " " + a.version()));
      removed
          .values()
          .forEach(b -> lines.add("stop     " + b.getSymbolicName() + " " + b.getVersion()));
      bystanders.stream()
          .map(Bundle::getSymbolicName)
          .sorted()
          .forEach(
              name -> lines.add("restart  " + name + ", which is wired to a bundle that goes"));
      if (lines.isEmpty()) {
        lines.add("no bundle changes");
      }
      return lines;
    }
  }
}
