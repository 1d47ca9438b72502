package io.conexor.itests.architecture;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarInputStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;

/**
 * What the rules look at in one bundle.
 *
 * @param packages of the classes in the jar itself
 * @param embedded packages of the classes in each jar on its class path, by name of that jar
 */
record Jar(
    Path file,
    Map<String, String> headers,
    Set<String> packages,
    Map<String, Set<String>> embedded,
    List<Component> components,
    List<Element> metatypes) {

  static Jar read(Path file) {
    try (JarFile jar = new JarFile(file.toFile())) {
      Map<String, String> headers = new TreeMap<>();
      if (jar.getManifest() != null) {
        jar.getManifest()
            .getMainAttributes()
            .forEach((name, value) -> headers.put(name.toString(), value.toString()));
      }
      String name = headers.getOrDefault("Bundle-SymbolicName", "");
      Set<String> packages = new TreeSet<>();
      Map<String, Set<String>> embedded = new TreeMap<>();
      List<Component> components = new ArrayList<>();
      List<Element> metatypes = new ArrayList<>();
      Set<String> classPath =
          Set.copyOf(Header.names(headers.getOrDefault("Bundle-ClassPath", "")));
      for (JarEntry entry : Collections.list(jar.entries())) {
        String path = entry.getName();
        if (path.endsWith(".class")) {
          addPackage(path, packages);
        } else if (classPath.contains(path)) {
          embedded.put(path, packagesIn(jar, entry));
        } else if (path.matches("OSGI-INF/[^/]+\\.xml") && name.startsWith("io.conexor")) {
          components.add(Component.read(name, jar.getInputStream(entry)));
        } else if (path.matches("OSGI-INF/metatype/[^/]+\\.xml") && name.startsWith("io.conexor")) {
          byte[] xml = jar.getInputStream(entry).readAllBytes();
          metatypes.add(
              DocumentBuilderFactory.newInstance()
                  .newDocumentBuilder()
                  .parse(new ByteArrayInputStream(xml))
                  .getDocumentElement());
        }
      }
      return new Jar(file, headers, packages, embedded, components, metatypes);
    } catch (Exception e) {
      throw new IllegalStateException("cannot read " + file, e);
    }
  }

  /** A bundle that exists only here, so that a rule can be seen to fail. */
  static Jar scripted(String name, Map<String, String> more, String... packages) {
    Map<String, String> headers = new TreeMap<>(more);
    headers.putIfAbsent("Bundle-SymbolicName", name);
    headers.putIfAbsent("Bundle-License", "Apache-2.0");
    headers.putIfAbsent(
        "Require-Capability", "osgi.ee;filter:=\"(&(osgi.ee=JavaSE)(version=17))\"");
    return new Jar(
        Path.of(name + "-1.jar"), headers, Set.of(packages), Map.of(), List.of(), List.of());
  }

  Jar embedding(String library, String... packages) {
    return new Jar(
        file, headers, this.packages, Map.of(library, Set.of(packages)), components, metatypes);
  }

  String name() {
    return Header.names(headers.getOrDefault("Bundle-SymbolicName", "?")).get(0);
  }

  boolean isOurs() {
    return name().startsWith("io.conexor.");
  }

  boolean isContract() {
    return Tree.CONTRACTS.contains(name());
  }

  List<Header> imports() {
    return Header.clauses(headers.getOrDefault("Import-Package", ""));
  }

  List<String> exports() {
    return Header.names(headers.getOrDefault("Export-Package", ""));
  }

  @Override
  public String toString() {
    return name();
  }

  private static Set<String> packagesIn(JarFile jar, JarEntry library) throws IOException {
    Set<String> packages = new TreeSet<>();
    try (JarInputStream entries = new JarInputStream(jar.getInputStream(library))) {
      for (JarEntry entry = entries.getNextJarEntry();
          entry != null;
          entry = entries.getNextJarEntry()) {
        if (entry.getName().endsWith(".class")) {
          addPackage(entry.getName(), packages);
        }
      }
    }
    return packages;
  }

  private static void addPackage(String path, Set<String> packages) {
    if (!path.startsWith("META-INF/") && path.contains("/")) {
      packages.add(path.substring(0, path.lastIndexOf('/')).replace('/', '.'));
    }
  }
}
