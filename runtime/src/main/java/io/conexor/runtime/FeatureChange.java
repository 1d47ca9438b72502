package io.conexor.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.ServiceRegistration;
import org.osgi.framework.wiring.FrameworkWiring;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Adds and removes features of the running system, the new before the old: install and start the
 * incoming bundles with a higher service ranking, wait until they are complete and consumers have
 * moved, then stop the outgoing ones. If the incoming do not become complete they are removed again
 * and nothing has changed.
 *
 * <p><b>Complete</b> means that every component of the incoming bundles is satisfied, and that
 * every service registered as {@code Function<Bundle, String>} with the property {@code
 * conexor.ready=true} answers an empty text about each of them; else it says what they wait for.
 *
 * <p><b>Migration.</b> {@code --migrate} calls, after the incoming bundles are complete and before
 * the outgoing stop, every service registered as {@code BiFunction<Bundle, Bundle, String>} with
 * the property {@code conexor.migrate}, a number, in that order, with each outgoing and each
 * incoming bundle. It moves what has to survive and returns a sentence about it, or an empty text
 * if the two are not its business. While the change lasts a service {@code Predicate<Bundle>} with
 * the property {@code conexor.joining=true} tells which bundles come in, so that they can wait for
 * this. If none answers, the swap is undone: nobody may believe that state was moved when it was
 * not.
 *
 * <p>A migration that throws has moved nothing. If it is the first, all is undone. If another one
 * has moved its part already, nothing is: old and new stay, and the same command goes on from
 * there.
 *
 * <p>One change at a time; the shell's threads call it.
 */
final class FeatureChange {

  private static final Logger log = LoggerFactory.getLogger(FeatureChange.class);
  private static final int FIRST_RANKING = 1000;
  private static final String MIGRATE = "--migrate";
  private static final String FORCE = "--force";

  /** A change whose migration stopped in the middle. */
  private record Unfinished(
      List<String> outgoing, List<String> incoming, Steps steps, List<Bundle> added) {

    String name() {
      return "the change from " + outgoing + " to " + incoming;
    }
  }

  /** Some of the state has moved, the rest has not; there is no way back. */
  private static final class HalfMovedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    HalfMovedException(RuntimeException cause) {
      super(cause.getMessage(), cause);
    }
  }

  private final Launch launch;
  private int ranking = FIRST_RANKING;

  /** By PID, of bundles that came in while the system ran; their configuration must not lose it. */
  private final Map<String, Integer> rankings = new HashMap<>();

  private @Nullable Unfinished unfinished;

  FeatureChange(Launch launch) {
    this.launch = launch;
  }

  /**
   * @return what was done, line by line; with {@code --plan}, what would be
   * @throws LaunchException if the change is refused, had to be undone, or could not be finished
   */
  synchronized String apply(List<String> outgoing, List<String> incoming, Set<String> options)
      throws InterruptedException {
    Unfinished before = unfinished;
    if (before != null) {
      return goOn(before, outgoing, incoming, options);
    }
    Steps steps = steps(outgoing, incoming);
    List<String> report = new ArrayList<>(steps.describe());
    if (options.contains("--plan")) {
      return String.join("\n", report);
    }
    if (!steps.bystanders.isEmpty() && !options.contains(FORCE)) {
      throw new LaunchException(
          String.join("\n", report)
              + "\nrefused: bundles outside the feature would restart; --force does it all the same");
    }
    List<Bundle> added = new ArrayList<>();
    ServiceRegistration<?> joining = options.contains(MIGRATE) ? announce(added) : null;
    try {
      add(steps, added);
      awaitComplete(added);
      if (options.contains(MIGRATE)) {
        report.addAll(migrate(steps.removed.values(), added));
      }
    } catch (HalfMovedException e) {
      Unfinished now = new Unfinished(outgoing, incoming, steps, added);
      unfinished = now;
      throw halfMoved(now, e);
    } catch (RuntimeException | InterruptedException e) {
      undo(steps, added);
      throw e;
    } finally {
      if (joining != null) {
        joining.unregister();
      }
    }
    return finish(steps, report);
  }

  /**
   * Another configuration of the features that are active.
   *
   * @throws LaunchException when it is not usable; nothing has changed then
   */
  synchronized void reconfigure(Plan newer) {
    Composition now = Composition.of(newer.features().select(launch.activeFeatures()));
    Configurations configurations = newer.configurations(now);
    Set<String> gone = new TreeSet<>(launch.plan().configurations(now).byPid().keySet());
    gone.removeAll(configurations.byPid().keySet());
    gone.removeAll(rankings.keySet());
    launch.plan(newer);
    launch.configure(ranked(configurations));
    launch.unconfigure(gone);
  }

  private String goOn(
      Unfinished before, List<String> outgoing, List<String> incoming, Set<String> options)
      throws InterruptedException {
    boolean isSame = before.outgoing.equals(outgoing) && before.incoming.equals(incoming);
    List<String> report = new ArrayList<>();
    if (isSame && options.contains(MIGRATE)) {
      try {
        report.addAll(migrate(before.steps.removed.values(), before.added));
      } catch (RuntimeException e) {
        throw halfMoved(before, e);
      }
    } else if (isSame && options.contains(FORCE)) {
      report.add("what was not migrated is left behind");
    } else {
      throw new LaunchException(
          before.name()
              + " is not finished; repeat it with --migrate, or with --force to leave behind what"
              + " was not migrated");
    }
    unfinished = null;
    return finish(before.steps, report);
  }

  private static LaunchException halfMoved(Unfinished change, RuntimeException why) {
    return new LaunchException(
        "not finished, and not undone, because a part has moved already: "
            + why.getMessage()
            + "\nThe new is in use and the old still runs. Repeat the command to finish "
            + change.name()
            + ", or give --force instead of --migrate to leave the rest behind.",
        why);
  }

  private String finish(Steps steps, List<String> report) throws InterruptedException {
    awaitUnused(steps.removed.values());
    uninstall(steps.removed.values());
    steps.removed.keySet().forEach(launch.bundles()::remove);
    steps.removed.values().forEach(b -> rankings.remove(b.getSymbolicName()));
    launch.activate(steps.after);
    List<String> names = steps.after.features().stream().map(Feature::name).toList();
    log.info("features {}", names);
    report.add("done; to keep it over a restart: runtime.features = " + String.join(", ", names));
    return String.join("\n", report);
  }

  private void undo(Steps steps, List<Bundle> added) {
    added.forEach(b -> rankings.remove(b.getSymbolicName()));
    uninstall(added);
    steps.added.forEach(a -> launch.bundles().remove(a.key()));
  }

  private ServiceRegistration<?> announce(List<Bundle> added) {
    Predicate<Bundle> comesIn = added::contains;
    return launch
        .context()
        .registerService(
            Predicate.class, comesIn, FrameworkUtil.asDictionary(Map.of("conexor.joining", true)));
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

  private void add(Steps steps, List<Bundle> added) {
    steps.added.forEach(a -> added.add(launch.install(a)));
    launch.resolve(added);
    // The PID of a bundle of ours is its artifactId.
    Configurations configurations = launch.plan().configurations(steps.after);
    ranking++;
    added.stream()
        .filter(b -> mayBeRanked(b, configurations))
        .forEach(b -> rankings.put(b.getSymbolicName(), ranking));
    launch.configure(ranked(configurations));
    added.forEach(Launch::start);
  }

  /**
   * Of services of equal rank the older one wins, so the incoming ones need a higher rank to be
   * used. They keep it, or a later change would restart them with another configuration.
   */
  private Configurations ranked(Configurations configurations) {
    Map<String, Map<String, Object>> byPid = new TreeMap<>(configurations.byPid());
    rankings.forEach(
        (pid, rank) -> {
          Map<String, Object> all = new HashMap<>(byPid.getOrDefault(pid, Map.of()));
          all.putIfAbsent(Constants.SERVICE_RANKING, rank);
          byPid.put(pid, all);
        });
    return new Configurations(byPid);
  }

  /** A component that waits for a configuration must not take its rank for one. */
  private static boolean mayBeRanked(Bundle bundle, Configurations configurations) {
    if (configurations.byPid().containsKey(bundle.getSymbolicName())) {
      return true;
    }
    Enumeration<URL> components = bundle.findEntries("OSGI-INF", "*.xml", false);
    while (components != null && components.hasMoreElements()) {
      try (InputStream in = components.nextElement().openStream()) {
        if (new String(in.readAllBytes(), UTF_8).contains("configuration-policy=\"require\"")) {
          return false;
        }
      } catch (IOException e) {
        throw new UncheckedIOException("cannot read the components of " + bundle, e);
      }
    }
    return bundle.getSymbolicName().startsWith("io.conexor.");
  }

  private void awaitComplete(List<Bundle> added) throws InterruptedException {
    Set<String> names = added.stream().map(Bundle::getSymbolicName).collect(Collectors.toSet());
    long end = System.nanoTime() + launch.plan().settings().readyTimeout().toNanos();
    while (true) {
      List<String> missing =
          new ArrayList<>(
              launch.missing().stream()
                  .filter(
                      m ->
                          names.stream()
                              .anyMatch(n -> m.startsWith(n + ".") || m.startsWith("bundle " + n)))
                  .toList());
      if (missing.isEmpty()) {
        missing.addAll(unready(added));
      }
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

  private List<String> unready(List<Bundle> added) {
    List<String> waiting = new ArrayList<>();
    for (Function<Bundle, String> check :
        this.<Function<Bundle, String>>services(Function.class, "(conexor.ready=true)")) {
      added.stream().map(check).filter(each -> !each.isEmpty()).forEach(waiting::add);
    }
    return waiting;
  }

  private List<String> migrate(Collection<Bundle> removed, List<Bundle> added) {
    List<String> done = new ArrayList<>();
    try {
      for (BiFunction<Bundle, Bundle, String> migration :
          this.<BiFunction<Bundle, Bundle, String>>services(
              BiFunction.class, "(conexor.migrate=*)")) {
        for (Bundle from : removed) {
          for (Bundle to : added) {
            String result = migration.apply(from, to);
            if (!result.isEmpty()) {
              done.add("migrated: " + result);
            }
          }
        }
      }
    } catch (RuntimeException e) {
      throw done.isEmpty() ? e : new HalfMovedException(e);
    }
    if (done.isEmpty()) {
      throw new LaunchException(
          "undone, because no active bundle knows how to migrate between these features");
    }
    return done;
  }

  /** In the order of the number in {@code conexor.migrate}. */
  @SuppressWarnings("unchecked") // services are found by class, which has no type arguments
  private <S> List<S> services(Class<?> type, String filter) {
    BundleContext context = launch.context();
    try {
      ServiceReference<?>[] found = context.getAllServiceReferences(type.getName(), filter);
      List<ServiceReference<?>> inOrder =
          new ArrayList<>(found == null ? List.of() : List.of(found));
      inOrder.sort(
          Comparator.comparingInt(
              r -> r.getProperty("conexor.migrate") instanceof Integer place ? place : 0));
      List<S> services = new ArrayList<>();
      for (ServiceReference<?> reference : inOrder) {
        Object service = context.getService(reference);
        if (service != null) {
          services.add((S) service);
          // A component is kept by more than this look at it: it is in use, or immediate.
          context.ungetService(reference);
        }
      }
      return services;
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
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
