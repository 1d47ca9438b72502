package io.conexor.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.framework.FrameworkUtil;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;

/** Starts a real Felix on bundles made here, with Configuration Admin and DS from Maven. */
class LaunchTest {

  private static final String WAITING =
      """
      <scr:component xmlns:scr="http://www.osgi.org/xmlns/scr/v1.3.0" name="io.conexor.x.Waiting">
        <implementation class="java.lang.Object"/>
        <service><provide interface="java.lang.Object"/></service>
        <reference name="engine" interface="io.conexor.Engine"/>
      </scr:component>
      """;

  private static final String SWITCHED_OFF =
      """
      <scr:component xmlns:scr="http://www.osgi.org/xmlns/scr/v1.3.0" name="io.conexor.x.Off"
          configuration-policy="require" configuration-pid="io.conexor.x.off">
        <implementation class="java.lang.Object"/>
        <service><provide interface="java.lang.Object"/></service>
      </scr:component>
      """;

  @TempDir Path home;

  @BeforeEach
  void lay_out() throws IOException {
    Files.createDirectories(home.resolve("features"));
    provide("org.apache.felix", "org.apache.felix.configadmin");
    provide("org.apache.felix", "org.apache.felix.scr");
    feature("core", version("org.apache.felix.configadmin"), version("org.apache.felix.scr"));
  }

  @Test
  void bundles_of_a_feature_run() throws Exception {
    bundle("a", "Export-Package: a.api", "");
    bundle("b", "Import-Package: a.api", "");
    feature("pair", "t:a:1", "t:b:1");

    try (Launch launch = start("core", "pair")) {
      assertThat(launch.awaitReady(Duration.ofSeconds(10))).isEmpty();
      assertThat(launch.context().getBundles()).allMatch(b -> b.getState() == Bundle.ACTIVE);
    }
  }

  @Test
  void unmet_import_is_named_with_the_feature_that_would_meet_it() throws Exception {
    bundle("a", "Export-Package: a.api", "");
    bundle("b", "Import-Package: a.api;version=\"[1.2,2)\"", "");
    feature("user", "t:b:1");
    feature("provider", "t:a:1");

    assertThatThrownBy(() -> start("core", "user"))
        .isInstanceOf(LaunchException.class)
        .hasMessageContaining("the bundle b 1.0.0 needs the package a.api from 1.2.0 below 2.0.0")
        .hasMessageContaining("the feature provider has it (a-1.jar): add it to runtime.features");
  }

  @Test
  void missing_jar_is_named() throws Exception {
    feature("ghost", "t:ghost:1");

    assertThatThrownBy(() -> start("core", "ghost"))
        .hasMessageContaining("t:ghost:1 is missing: no file");
  }

  @Test
  void unknown_feature_is_corrected() {
    assertThatThrownBy(() -> start("cor")).hasMessageContaining("did you mean 'core'");
  }

  @Test
  void component_that_waits_is_reported_with_what_it_waits_for() throws Exception {
    bundle("w", "Service-Component: OSGI-INF/w.xml", WAITING);
    feature("waiting", "t:w:1");

    try (Launch launch = start("core", "waiting")) {
      assertThat(launch.awaitReady(Duration.ofMillis(500)))
          .containsExactly(
              "io.conexor.x.Waiting waits for io.conexor.Engine, which no installed component"
                  + " offers");
    }
  }

  @Test
  void the_reason_of_a_failure_is_what_its_last_cause_says() {
    assertThat(
            Readiness.reason(
                """
                java.lang.reflect.InvocationTargetException
                	at x.Y.z(Y.java:1)
                Caused by: java.lang.IllegalStateException: cannot listen
                	... 3 more
                Caused by: java.net.BindException: Address already in use
                	... 9 more
                """))
        .isEqualTo("Address already in use");
    assertThat(
            Readiness.reason("java.lang.IllegalArgumentException: max.sessions=0 is not in 1..9"))
        .isEqualTo("max.sessions=0 is not in 1..9");
    assertThat(Readiness.reason(null)).isEqualTo("no reason given");
  }

  @Test
  void unconfigured_alternative_that_nobody_waits_for_is_no_obstacle() throws Exception {
    bundle("w", "Service-Component: OSGI-INF/w.xml", SWITCHED_OFF);
    feature("off", "t:w:1");

    try (Launch launch = start("core", "off")) {
      assertThat(launch.awaitReady(Duration.ofSeconds(5))).isEmpty();
    }
  }

  @Test
  void second_process_on_the_same_data_is_refused() throws Exception {
    try (Launch first = start("core")) {
      assertThat(first.missing()).isEmpty();
      assertThatThrownBy(() -> start("core")).hasMessageContaining("in use");
    }
  }

  @Test
  void a_changed_file_is_taken_over_and_an_unusable_one_is_not() throws Exception {
    Path file = home.resolve("etc/conexor.properties");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "shop~one.url = a\nshop~two.url = b\n");
    component("io.conexor.shop");
    feature("shop", "t:io.conexor.shop:1");
    try (Launch launch = start("core", "shop");
        Reload unused = Reload.every(Duration.ofMillis(20), launch)) {
      Configuration one = configuration(launch, "one");
      long untouched = one.getChangeCount();

      Files.writeString(file, "shop~one.url = a\nshop~three.url = c\n");
      await().until(() -> urls(launch).equals("{one=a, three=c}"));
      Files.writeString(file, "shop~one.ulr = a\n");
      Path driver = plainJar("driver.jar");
      await().until(() -> names(launch).contains("driver.jar"));
      assertThat(urls(launch)).isEqualTo("{one=a, three=c}");
      Files.writeString(file, "shop~one.url = a\nshop~four.url = d\n");
      await().until(() -> urls(launch).equals("{four=d, one=a}"));

      assertThat(configuration(launch, "one").getChangeCount()).isEqualTo(untouched);
      Files.delete(driver);
      await().until(() -> !names(launch).contains("driver.jar"));
    }
  }

  @Test
  void a_jar_in_the_folder_of_drivers_runs_as_a_bundle_and_finds_its_packages() throws Exception {
    Path drivers = Files.createDirectories(home.resolve("drivers"));
    plainJar("plain.jar");
    Files.writeString(drivers.resolve("broken.jar"), "no jar");
    try (Launch launch = start("core")) {
      Bundle plain =
          Stream.of(launch.context().getBundles())
              .filter(b -> b.getSymbolicName().equals("plain.jar"))
              .findFirst()
              .orElseThrow();

      assertThat(plain.getState()).isEqualTo(Bundle.ACTIVE);
      assertThat(plain.loadClass("javax.sql.DataSource")).isNotNull();
      assertThat(plain.getEntry("META-INF/services/java.sql.Driver")).isNotNull();
    }
  }

  private Path plainJar(String name) throws IOException {
    Path jar = Files.createDirectories(home.resolve("drivers")).resolve(name);
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file)) {
      out.putNextEntry(new JarEntry("META-INF/services/java.sql.Driver"));
      out.write("x.Driver".getBytes(java.nio.charset.StandardCharsets.UTF_8));
      out.closeEntry();
    }
    return jar;
  }

  private void component(String name) throws IOException {
    bundle(
        name,
        "X-Comment: none",
        """
        <MetaData xmlns="http://www.osgi.org/xmlns/metatype/v1.4.0">
          <OCD id="%1$s" name="x"><AD id="url" type="String" name="x"/></OCD>
          <Designate factoryPid="%1$s"><Object ocdref="%1$s"/></Designate>
        </MetaData>
        """
            .formatted(name),
        "OSGI-INF/metatype/" + name + ".xml");
  }

  private static ConditionFactory await() {
    return Awaitility.await()
        .atMost(Duration.ofSeconds(20))
        .pollInterval(Duration.ofMillis(20))
        .pollInSameThread();
  }

  private static Configuration configuration(Launch launch, String instance) throws Exception {
    return Stream.of(configurations(launch))
        .filter(c -> c.getPid().endsWith("~" + instance))
        .findFirst()
        .orElseThrow();
  }

  private static Configuration[] configurations(Launch launch) throws Exception {
    ConfigurationAdmin admin =
        launch.context().getService(launch.context().getServiceReference(ConfigurationAdmin.class));
    Configuration[] all = admin.listConfigurations("(service.factoryPid=io.conexor.shop)");
    return all == null ? new Configuration[0] : all;
  }

  private static String urls(Launch launch) throws Exception {
    Map<String, Object> urls = new TreeMap<>();
    for (Configuration each : configurations(launch)) {
      urls.put(each.getPid().replaceAll(".*~", ""), each.getProperties().get("url"));
    }
    return urls.toString();
  }

  @Test
  void stop_drains_first() throws Exception {
    AtomicBoolean drained = new AtomicBoolean();
    try (Launch launch = start("core")) {
      launch
          .context()
          .registerService(
              Callable.class,
              () -> {
                drained.set(true);
                return null;
              },
              FrameworkUtil.asDictionary(Map.of("conexor.drain", true)));

      launch.stop();
    }

    assertThat(drained).isTrue();
  }

  @Test
  void swap_starts_the_new_before_it_stops_the_old() throws Exception {
    bundle("old", "X-Comment: none", "");
    bundle("new", "X-Comment: none", "");
    feature("before", "t:old:1");
    feature("after", "t:new:1");
    try (Launch launch = start("core", "before")) {

      String report =
          new FeatureChange(launch).apply(List.of("before"), List.of("after"), java.util.Set.of());

      assertThat(report)
          .contains("start    new 1", "stop     old 1.0.0", "runtime.features = core, after");
      assertThat(launch.activeFeatures()).containsExactly("core", "after");
      assertThat(Stream.of(launch.context().getBundles()).map(Bundle::getSymbolicName))
          .contains("new")
          .doesNotContain("old");
    }
  }

  @Test
  void swap_that_does_not_become_ready_is_undone() throws Exception {
    bundle("old", "X-Comment: none", "");
    bundle("io.conexor.x", "Service-Component: OSGI-INF/w.xml", WAITING);
    feature("before", "t:old:1");
    feature("after", "t:io.conexor.x:1");
    try (Launch launch = start("core", "before")) {

      assertThatThrownBy(
              () ->
                  new FeatureChange(launch)
                      .apply(List.of("before"), List.of("after"), java.util.Set.of()))
          .hasMessageContaining("undone")
          .hasMessageContaining("waits for io.conexor.Engine");

      assertThat(Stream.of(launch.context().getBundles()).map(Bundle::getSymbolicName))
          .contains("old")
          .doesNotContain("io.conexor.x");
    }
  }

  @Test
  void swap_whose_first_migration_fails_is_undone() throws Exception {
    oldAndNew();
    try (Launch launch = start("core", "before")) {
      migration(launch, 1, () -> fail("nobody came"));

      assertThatThrownBy(() -> migrate(new FeatureChange(launch))).hasMessage("nobody came");

      assertThat(names(launch)).contains("old").doesNotContain("new");
    }
  }

  @Test
  void swap_that_has_moved_a_part_is_not_undone_and_goes_on_when_it_is_repeated() throws Exception {
    oldAndNew();
    try (Launch launch = start("core", "before")) {
      AtomicBoolean answers = new AtomicBoolean();
      migration(launch, 2, () -> answers.get() ? "the rest" : fail("no answer"));
      migration(launch, 1, () -> "a part");
      FeatureChange change = new FeatureChange(launch);

      assertThatThrownBy(() -> migrate(change))
          .hasMessageContaining("not finished, and not undone")
          .hasMessageContaining("no answer");
      assertThat(names(launch)).contains("old", "new");
      assertThatThrownBy(() -> change.apply(List.of("before"), List.of(), java.util.Set.of()))
          .hasMessageContaining("is not finished");
      assertThatThrownBy(() -> migrate(change)).hasMessageContaining("not undone");

      answers.set(true);
      assertThat(migrate(change)).contains("the rest", "runtime.features = core, after");
      assertThat(names(launch)).contains("new").doesNotContain("old");
    }
  }

  @Test
  void swap_that_has_moved_a_part_leaves_the_rest_behind_when_forced() throws Exception {
    oldAndNew();
    try (Launch launch = start("core", "before")) {
      migration(launch, 1, () -> "a part");
      migration(launch, 2, () -> fail("no answer"));
      FeatureChange change = new FeatureChange(launch);
      assertThatThrownBy(() -> migrate(change)).hasMessageContaining("not undone");

      assertThat(change.apply(List.of("before"), List.of("after"), java.util.Set.of("--force")))
          .contains("left behind");
      assertThat(names(launch)).contains("new").doesNotContain("old");
    }
  }

  @Test
  void swap_waits_for_what_says_that_it_is_not_ready_and_is_undone() throws Exception {
    oldAndNew();
    try (Launch launch = start("core", "before")) {
      Function<Bundle, String> readiness =
          b -> b.getSymbolicName().equals("new") ? "nobody answers" : "";
      launch
          .context()
          .registerService(
              Function.class, readiness, FrameworkUtil.asDictionary(Map.of("conexor.ready", true)));

      assertThatThrownBy(
              () ->
                  new FeatureChange(launch)
                      .apply(List.of("before"), List.of("after"), java.util.Set.of()))
          .hasMessageContaining("undone")
          .hasMessageContaining("nobody answers");

      assertThat(names(launch)).contains("old").doesNotContain("new");
    }
  }

  private void oldAndNew() throws IOException {
    bundle("old", "X-Comment: none", "");
    bundle("new", "X-Comment: none", "");
    feature("before", "t:old:1");
    feature("after", "t:new:1");
  }

  private static void migration(Launch launch, int place, Supplier<String> moves) {
    BiFunction<Bundle, Bundle, String> migration = (from, to) -> moves.get();
    launch
        .context()
        .registerService(
            BiFunction.class,
            migration,
            FrameworkUtil.asDictionary(Map.of("conexor.migrate", place)));
  }

  private static String fail(String why) {
    throw new IllegalStateException(why);
  }

  private static String migrate(FeatureChange change) throws InterruptedException {
    return change.apply(List.of("before"), List.of("after"), java.util.Set.of("--migrate"));
  }

  private static List<String> names(Launch launch) {
    return Stream.of(launch.context().getBundles()).map(Bundle::getSymbolicName).toList();
  }

  @Test
  void removal_that_would_restart_others_is_refused() throws Exception {
    bundle("a", "Export-Package: a.api", "");
    bundle("b", "Import-Package: a.api", "");
    feature("provider", "t:a:1");
    feature("user", "t:b:1");
    try (Launch launch = start("core", "provider", "user")) {

      assertThatThrownBy(
              () ->
                  new FeatureChange(launch)
                      .apply(List.of("provider"), List.of(), java.util.Set.of()))
          .hasMessageContaining("restart  b")
          .hasMessageContaining("refused");
    }
  }

  private Launch start(String... features) {
    return Launch.start(
        Places.below(home, List.of(features)),
        Map.of(),
        Map.of("runtime.ready.timeout.ms", "1000"));
  }

  private void feature(String name, String... ids) throws IOException {
    String bundles =
        Stream.of(ids).map("{\"id\":\"%s\"}"::formatted).collect(Collectors.joining(","));
    Files.writeString(
        home.resolve("features").resolve(name + ".json"),
        "{\"feature-resource-version\":\"1.0\",\"id\":\"t:%s:1\",\"bundles\":[%s]}"
            .formatted(name, bundles));
  }

  private void bundle(String name, String header, String component) throws IOException {
    bundle(name, header, component, "OSGI-INF/w.xml");
  }

  private void bundle(String name, String header, String content, String entry) throws IOException {
    Path jar = jar(new Artifact("t", name, "1"));
    Manifest manifest =
        new Manifest(
            new java.io.ByteArrayInputStream(
                ("Manifest-Version: 1.0\nBundle-ManifestVersion: 2\nBundle-SymbolicName: %s\nBundle-Version: 1\n%s\n"
                        .formatted(name, header))
                    .getBytes(java.nio.charset.StandardCharsets.UTF_8)));
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest)) {
      if (!content.isEmpty()) {
        out.putNextEntry(new JarEntry(entry));
        out.write(content.getBytes(java.nio.charset.StandardCharsets.UTF_8));
        out.closeEntry();
      }
    }
  }

  private Path jar(Artifact artifact) throws IOException {
    Path jar = home.resolve("bundles").resolve(artifact.path());
    Files.createDirectories(jar.getParent());
    return jar;
  }

  private void provide(String group, String artifact) throws IOException {
    String version = version(artifact).split(":")[2];
    Files.copy(onClassPath(artifact), jar(new Artifact(group, artifact, version)));
  }

  private static String version(String artifact) {
    String file = onClassPath(artifact).getFileName().toString();
    return "org.apache.felix:%s:%s"
        .formatted(
            artifact, file.substring(artifact.length() + 1, file.length() - ".jar".length()));
  }

  private static Path onClassPath(String artifact) {
    return Stream.of(System.getProperty("java.class.path").split(java.io.File.pathSeparator))
        .map(Path::of)
        .filter(p -> p.getFileName().toString().startsWith(artifact + "-"))
        .findFirst()
        .orElseThrow();
  }
}
