package io.conexor.runtime;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.apache.felix.framework.Felix;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkEvent;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceReference;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One running framework with the bundles of some features, and what it takes to change or stop it.
 */
public final class Launch implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Launch.class);

  /** Written by the thread that starts and by changes. */
  private volatile Plan plan;

  private final Felix framework;
  private final FileChannel lock;
  private final Map<String, Bundle> bundles = new LinkedHashMap<>();
  private final FeatureChange change = new FeatureChange(this);

  /** Written by the thread that starts; null before. */
  private volatile @Nullable DroppedBundles dropped;

  /**
   * Written by the thread that starts and by the shell's changes, read by the readiness report too.
   */
  private volatile Composition active = new Composition(List.of(), List.of(), Map.of());

  private Launch(Plan plan, Felix framework, FileChannel lock) {
    this.plan = plan;
    this.framework = framework;
    this.lock = lock;
  }

  /** Starts what the places, the environment and the command line describe; for tests and tools. */
  public static Launch start(
      Places places, Map<String, String> environment, Map<String, String> commandLine) {
    return start(new Plan(places, environment, commandLine));
  }

  static Launch start(Plan plan) {
    Launch launch = prepared(plan);
    try {
      launch.run();
      return launch;
    } catch (RuntimeException e) {
      launch.close();
      throw e;
    }
  }

  /** Checks the configuration and that every bundle is there and resolves; starts none. */
  public static void check(
      Places places, Map<String, String> environment, Map<String, String> commandLine) {
    check(new Plan(places, environment, commandLine));
  }

  /** Installs and resolves, starts no bundle: what {@code check} does. */
  static void check(Plan plan) {
    try (Launch launch = prepared(plan)) {
      launch.installAndResolve();
    }
  }

  /** The checked configuration of what would be started; for tests that start it themselves. */
  public static Configurations configurations(
      Places places, Map<String, String> environment, Map<String, String> commandLine) {
    Plan plan = new Plan(places, environment, commandLine);
    return plan.configurations(plan.composition());
  }

  /** What the system bundle has to export; for tests that start a framework themselves. */
  public static String sharedPackages() {
    return ExportedPackages.ofLauncher();
  }

  /** What is not there yet in a framework that somebody else started, one sentence each. */
  public static List<String> missing(BundleContext system, Places places) {
    return new Readiness(system, ConfigurationKeys.of(BundleDirectory.at(places.bundles()).jars()))
        .missing();
  }

  private static Launch prepared(Plan plan) {
    Path data = plan.settings().dataDirectory();
    FileChannel lock = lock(data);
    Map<String, Object> properties = new HashMap<>();
    properties.put(Constants.FRAMEWORK_STORAGE, data.resolve("framework").toString());
    // Configuration and features are the whole truth; a cache that remembers another one is a
    // second truth.
    properties.put(
        Constants.FRAMEWORK_STORAGE_CLEAN, Constants.FRAMEWORK_STORAGE_CLEAN_ONFIRSTINIT);
    properties.put(Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA, ExportedPackages.ofLauncher());
    properties.put("felix.log.logger", new FrameworkLog());
    properties.put("felix.log.level", "2");
    // Secrets are in there: never on disk.
    properties.put("felix.cm.pm", "memory");
    // DS hides the reason of a failed activation below this level.
    properties.put("ds.loglevel", "warn");
    properties.put("gosh.args", "--nointeractive --noshutdown");
    properties.put("conexor.home", plan.places().home().toString());
    properties.put("conexor.data.dir", data.toString());
    return new Launch(plan, new Felix(properties), lock);
  }

  private static FileChannel lock(Path data) {
    try {
      Files.createDirectories(data);
      FileChannel channel =
          FileChannel.open(
              data.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      FileLock held = channel.tryLock();
      if (held == null) {
        channel.close();
        throw new LaunchException(
            "the data directory "
                + data
                + " is in use by another process; set runtime.data.dir to one of its own");
      }
      return channel;
    } catch (java.nio.channels.OverlappingFileLockException e) {
      throw new LaunchException("the data directory " + data + " is in use by this process", e);
    } catch (IOException e) {
      throw new LaunchException("cannot use the data directory " + data + ": " + e, e);
    }
  }

  private void run() {
    installAndResolve();
    try {
      framework.start();
    } catch (BundleException e) {
      throw new LaunchException("the framework does not start: " + e.getMessage(), e);
    }
    BundleContext system = framework.getBundleContext();
    FeatureCommands.register(system, this);
    List<Bundle> all = new ArrayList<>(bundles.values());
    // Configuration Admin before the rest, so that no component ever sees its defaults first.
    all.stream().filter(Launch::isConfigurationAdmin).forEach(Launch::start);
    configure(plan.configurations(active));
    DroppedBundles further = new DroppedBundles(system, plan.settings().driversDirectory());
    further.look();
    dropped = further;
    all.forEach(Launch::start);
  }

  private void installAndResolve() {
    Composition composition = plan.composition();
    plan.configurations(composition);
    try {
      framework.init();
    } catch (BundleException e) {
      throw new LaunchException("the framework does not start: " + e.getMessage(), e);
    }
    FrameworkLog.bridge(framework.getBundleContext());
    active = composition;
    composition.bundles().forEach(this::install);
    resolve(bundles.values());
  }

  /** The names of the features whose bundles are installed. */
  List<String> activeFeatures() {
    return active.features().stream().map(Feature::name).toList();
  }

  void activate(Composition composition) {
    active = composition;
  }

  Plan plan() {
    return plan;
  }

  void plan(Plan newer) {
    plan = newer;
  }

  FeatureChange change() {
    return change;
  }

  DroppedBundles dropped() {
    return Objects.requireNonNull(dropped);
  }

  public BundleContext context() {
    return framework.getBundleContext();
  }

  /** The installed bundles by {@code groupId:artifactId}. */
  Map<String, Bundle> bundles() {
    return bundles;
  }

  Bundle install(Artifact artifact) {
    try {
      // By reference: the jar is used where it lies instead of being copied into the cache at every
      // start.
      Bundle bundle =
          framework
              .getBundleContext()
              .installBundle("reference:" + plan.bundles().jar(artifact).toUri());
      bundles.put(artifact.key(), bundle);
      return bundle;
    } catch (BundleException e) {
      throw new LaunchException("cannot install the bundle " + artifact + ": " + e.getMessage(), e);
    }
  }

  void resolve(Collection<Bundle> some) {
    new Resolution(framework.getBundleContext(), plan.bundles(), plan.features()).require(some);
  }

  static void start(Bundle bundle) {
    if (bundle.getHeaders("").get(Constants.FRAGMENT_HOST) != null
        || bundle.getState() == Bundle.ACTIVE) {
      return;
    }
    try {
      bundle.start(Bundle.START_ACTIVATION_POLICY);
    } catch (BundleException e) {
      throw new LaunchException(
          "the bundle " + bundle.getSymbolicName() + " does not start: " + rootCause(e), e);
    }
  }

  private static Throwable rootCause(Throwable e) {
    return e.getCause() == null ? e : rootCause(e.getCause());
  }

  private static boolean isConfigurationAdmin(Bundle bundle) {
    return bundle
        .adapt(org.osgi.framework.wiring.BundleRevision.class)
        .getDeclaredCapabilities("osgi.implementation")
        .stream()
        .anyMatch(c -> "osgi.cm".equals(c.getAttributes().get("osgi.implementation")));
  }

  /**
   * Hands a configuration over; what is unchanged is left alone, so that its component is not
   * restarted.
   */
  void configure(Configurations configurations) {
    ConfigurationAdmin admin = configurationAdmin();
    configurations
        .byPid()
        .forEach(
            (pid, values) -> {
              try {
                configuration(admin, pid).updateIfDifferent(FrameworkUtil.asDictionary(values));
              } catch (IOException e) {
                throw new UncheckedIOException("cannot configure " + pid, e);
              }
            });
  }

  /** Takes configurations back. */
  void unconfigure(Collection<String> pids) {
    ConfigurationAdmin admin = configurationAdmin();
    for (String pid : pids) {
      try {
        configuration(admin, pid).delete();
      } catch (IOException e) {
        throw new UncheckedIOException("cannot take back the configuration of " + pid, e);
      }
    }
  }

  private ConfigurationAdmin configurationAdmin() {
    BundleContext context = framework.getBundleContext();
    ServiceReference<ConfigurationAdmin> reference =
        context.getServiceReference(ConfigurationAdmin.class);
    ConfigurationAdmin admin = reference == null ? null : context.getService(reference);
    if (admin == null) {
      throw new LaunchException(
          "no feature brings a Configuration Admin (org.apache.felix.configadmin)");
    }
    return admin;
  }

  private static Configuration configuration(ConfigurationAdmin admin, String pid)
      throws IOException {
    int tilde = pid.indexOf('~');
    return tilde < 0
        ? admin.getConfiguration(pid, "?")
        : admin.getFactoryConfiguration(pid.substring(0, tilde), pid.substring(tilde + 1), "?");
  }

  /**
   * What is not there yet, one sentence each.
   *
   * @throws IllegalStateException after the stop
   */
  public List<String> missing() {
    BundleContext context = framework.getBundleContext();
    if (context == null) {
      throw new IllegalStateException("the framework is stopped");
    }
    return new Readiness(context, plan.keys()).missing();
  }

  /** Waits until nothing is missing; the rest of the list at the deadline. */
  public List<String> awaitReady(Duration deadline) throws InterruptedException {
    long end = System.nanoTime() + deadline.toNanos();
    List<String> missing = missing();
    while (!missing.isEmpty() && System.nanoTime() - end < 0) {
      // DS announces changes only after seconds of quiet, so asking is the faster way.
      TimeUnit.MILLISECONDS.sleep(20);
      missing = missing();
    }
    return missing;
  }

  /** Drains, then stops; the framework is gone afterwards even if a bundle hangs. */
  void stop() {
    BundleContext context = framework.getBundleContext();
    if (context != null && framework.getState() == Bundle.ACTIVE) {
      Drain.run(context, plan.settings().drainTimeout());
    }
    close();
  }

  @Override
  public void close() {
    try {
      framework.stop();
      FrameworkEvent event = framework.waitForStop(plan.settings().stopTimeout().toMillis());
      if (event.getType() == FrameworkEvent.WAIT_TIMEDOUT) {
        log.warn("not everything stopped within {}", plan.settings().stopTimeout());
      }
    } catch (BundleException e) {
      log.warn("the framework does not stop", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      try {
        lock.close();
      } catch (IOException e) {
        log.debug("the lock of the data directory was already gone", e);
      }
    }
  }
}
