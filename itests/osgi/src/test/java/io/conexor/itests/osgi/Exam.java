package io.conexor.itests.osgi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.ops4j.pax.exam.CoreOptions.frameworkProperty;

import io.conexor.features.Assembly;
import io.conexor.features.ResolvedArtifacts;
import io.conexor.runtime.Artifact;
import io.conexor.runtime.BundleDirectory;
import io.conexor.runtime.Composition;
import io.conexor.runtime.FeatureFiles;
import io.conexor.runtime.Launch;
import io.conexor.runtime.Places;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.ops4j.pax.exam.CoreOptions;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.TestContainer;
import org.ops4j.pax.exam.nat.internal.NativeTestContainer;
import org.ops4j.pax.exam.spi.PaxExamRuntime;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.wiring.FrameworkWiring;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The bundles of some features in Pax Exam's native container, configured as the launcher would and
 * started in an order that differs from run to run: nothing may depend on it.
 */
final class Exam implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Exam.class);
  private static final Path HOME = assembled();

  private final Path data;
  private final Places places;
  private final TestContainer container;
  private final Bundle system;
  private final Map<String, Map<String, Object>> configurations;

  private Exam(List<String> features, Map<String, String> settings) throws Exception {
    data = Files.createTempDirectory("conexor-osgi-");
    places = Places.below(HOME, features);
    Map<String, String> commandLine = new HashMap<>(settings);
    commandLine.put("runtime.data.dir", data.toString());
    if (features.contains("server-core")) {
      commandLine.putIfAbsent("http.host", "127.0.0.1");
      commandLine.putIfAbsent("http.port", "0");
      commandLine.putIfAbsent("http.port.file", data.resolve("port").toString());
      commandLine.putIfAbsent("http.drain.notice.ms", "0");
    }
    configurations = Launch.configurations(places, Map.of(), commandLine).byPid();
    List<Option> options = new ArrayList<>();
    options.add(
        frameworkProperty(Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA).value(Launch.sharedPackages()));
    options.add(frameworkProperty("org.osgi.framework.bsnversion").value("multiple"));
    options.add(frameworkProperty("felix.cm.pm").value("memory"));
    options.add(frameworkProperty("ds.loglevel").value("warn"));
    options.add(frameworkProperty("gosh.args").value("--nointeractive --noshutdown"));
    BundleDirectory bundles = BundleDirectory.at(places.bundles());
    List<Artifact> artifacts =
        Composition.of(FeatureFiles.in(places.features()).select(features)).bundles();
    for (Artifact artifact : artifacts) {
      options.add(CoreOptions.bundle("reference:" + bundles.jar(artifact).toUri()).noStart());
    }
    container =
        PaxExamRuntime.createContainer(
            PaxExamRuntime.createServerSystem(options.toArray(Option[]::new)));
    container.start();
    system = ((NativeTestContainer) container).getSystemBundle();
  }

  /** Starts the features; the settings are those of {@code conexor.properties}. */
  static Exam start(List<String> features, Map<String, String> settings) throws Exception {
    Exam exam = new Exam(features, settings);
    try {
      exam.startAll();
      return exam;
    } catch (Exception | Error e) {
      exam.close();
      throw e;
    }
  }

  private void startAll() throws Exception {
    bundle("org.apache.felix.configadmin").start();
    for (Map.Entry<String, Map<String, Object>> entry : configurations.entrySet()) {
      configure(entry.getKey(), entry.getValue());
    }
    long seed = System.nanoTime();
    log.info("the order of the start comes from the seed {}", seed);
    List<Bundle> shuffled = new ArrayList<>(Arrays.asList(context().getBundles()));
    Collections.shuffle(shuffled, new Random(seed));
    for (Bundle bundle : shuffled) {
      if (bundle.getHeaders("").get(Constants.FRAGMENT_HOST) == null) {
        bundle.start();
      }
    }
  }

  BundleContext context() {
    return system.getBundleContext();
  }

  Path data() {
    return data;
  }

  Bundle bundle(String name) {
    return Arrays.stream(context().getBundles())
        .filter(b -> name.equals(b.getSymbolicName()))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no bundle is called " + name));
  }

  /** What the configuration of a PID was at the start. */
  Map<String, Object> configured(String pid) {
    return configurations.getOrDefault(pid, Map.of());
  }

  void configure(String pid, Map<String, Object> values) throws IOException {
    ServiceReference<ConfigurationAdmin> reference =
        context().getServiceReference(ConfigurationAdmin.class);
    int tilde = pid.indexOf('~');
    ConfigurationAdmin admin = context().getService(reference);
    Configuration configuration =
        tilde < 0
            ? admin.getConfiguration(pid, "?")
            : admin.getFactoryConfiguration(pid.substring(0, tilde), pid.substring(tilde + 1), "?");
    Dictionary<String, Object> dictionary = FrameworkUtil.asDictionary(values);
    configuration.update(dictionary);
  }

  /** A second bundle of the same content, as one that is about to take over. */
  Bundle twin(Bundle bundle) throws Exception {
    String jar = bundle.getLocation().replaceFirst("^reference:", "");
    try (InputStream bytes = URI.create(jar).toURL().openStream()) {
      Bundle twin = context().installBundle("twin:" + bundle.getSymbolicName(), bytes);
      twin.start();
      return twin;
    }
  }

  /** {@code http://127.0.0.1:PORT}, where the backend listens now. */
  String url() {
    try {
      return "http://127.0.0.1:" + Files.readString(data.resolve("port")).trim();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What the launcher's readiness report would say now. */
  List<String> missing() {
    return Launch.missing(context(), places);
  }

  void awaitReady() {
    Awaitility.await("ready")
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(20))
        .untilAsserted(() -> assertThat(missing()).isEmpty());
  }

  /** Waits for new wires, as after {@code refresh} in the shell. */
  void refresh(Bundle... bundles) throws InterruptedException {
    CountDownLatch done = new CountDownLatch(1);
    context()
        .getBundle(Constants.SYSTEM_BUNDLE_LOCATION)
        .adapt(FrameworkWiring.class)
        .refreshBundles(List.of(bundles), event -> done.countDown());
    if (!done.await(30, TimeUnit.SECONDS)) {
      throw new AssertionError("not refreshed within 30 s");
    }
  }

  @Override
  public void close() throws Exception {
    try {
      container.stop();
    } finally {
      delete(data);
    }
  }

  private static Path assembled() {
    Path features = Path.of("../../features/target");
    Path home = Path.of("target/home").toAbsolutePath();
    try {
      Assembly.assemble(
          features.resolve("classes/features"),
          new ResolvedArtifacts(features.resolve("artifacts.txt")),
          home,
          List.of("*"));
      return home;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path directory) throws IOException {
    try (var files = Files.walk(directory)) {
      for (Path file : files.sorted(Collections.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
