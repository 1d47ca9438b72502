package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;

/**
 * The server with one more feature of one more bundle, as an operator could add it: a folder of
 * links to the built distribution, a feature file and a jar. The bundle holds one component that
 * provides one service; its constructor takes one.
 */
public final class Extension implements AutoCloseable {

  private static final String GROUP = "io.conexor.itests";
  private static final String VERSION = "1.0.0";

  private final String feature;
  private final Path home;

  /**
   * @param name of the feature and the bundle
   * @param reference what the constructor takes
   * @param classes the component first; its constructor is public
   * @param imports packages the classes use that are not the JDK's
   */
  public Extension(
      String name,
      Class<?> service,
      Class<?> reference,
      List<Class<?>> classes,
      List<String> imports) {
    this.feature = name;
    try {
      home = Files.createTempDirectory("conexor-lab-home-");
      link(Distribution.SERVER.home());
      Path jar = home.resolve("bundles/io/conexor/itests").resolve(name).resolve(VERSION);
      Files.createDirectories(jar);
      write(jar.resolve(name + "-" + VERSION + ".jar"), service, reference, classes, imports);
      Files.writeString(
          home.resolve("features").resolve(name + ".json"),
          """
          {
            "feature-resource-version": "1.0",
            "id": "%s:features-%s:%s",
            "bundles": [ { "id": "%s:%s:%s" } ]
          }
          """
              .formatted(GROUP, name, VERSION, GROUP, name, VERSION));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String feature() {
    return feature;
  }

  Path program() {
    return home.resolve("bin").resolve(Distribution.SERVER.program().getFileName());
  }

  /** The start script finds its home by where it really lies, so it is copied. */
  private void link(Path built) throws IOException {
    try (Stream<Path> all = Files.walk(built)) {
      for (Path each : all.toList()) {
        Path mine = home.resolve(built.relativize(each).toString());
        if (Files.isDirectory(each)) {
          Files.createDirectories(mine);
        } else if (each.startsWith(built.resolve("bin"))) {
          Files.copy(each, mine);
        } else {
          Files.createSymbolicLink(mine, each);
        }
      }
    }
  }

  private void write(
      Path jar, Class<?> service, Class<?> reference, List<Class<?>> classes, List<String> imports)
      throws IOException {
    String component = classes.get(0).getName();
    Manifest manifest = new Manifest();
    Attributes main = manifest.getMainAttributes();
    main.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    main.putValue("Bundle-ManifestVersion", "2");
    main.putValue("Bundle-SymbolicName", GROUP + "." + feature);
    main.putValue("Bundle-Version", VERSION);
    main.putValue("Import-Package", String.join(",", imports));
    main.putValue("Service-Component", "OSGI-INF/component.xml");
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest)) {
      out.putNextEntry(new JarEntry("OSGI-INF/component.xml"));
      out.write(
          """
          <scr:component xmlns:scr="http://www.osgi.org/xmlns/scr/v1.4.0" name="%s" init="1">
            <service><provide interface="%s"/></service>
            <reference name="reference" interface="%s" parameter="0"/>
            <implementation class="%s"/>
          </scr:component>
          """
              .formatted(component, service.getName(), reference.getName(), component)
              .getBytes(UTF_8));
      for (Class<?> each : classes) {
        String path = each.getName().replace('.', '/') + ".class";
        out.putNextEntry(new JarEntry(path));
        try (var bytes = each.getResourceAsStream("/" + path)) {
          Objects.requireNonNull(bytes).transferTo(out);
        }
      }
    }
  }

  @Override
  public void close() {
    try (Stream<Path> files = Files.walk(home)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
