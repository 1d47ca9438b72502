package io.conexor.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.Manifest;

/**
 * What the system bundle exports from the launcher's class path, taken from the manifests of the
 * jars themselves so that their versions are stated once.
 */
final class ExportedPackages {

  /**
   * Symbolic names of the shared jars. SLF4J, so that every bundle logs through the launcher's
   * Logback; the service APIs, because the launcher itself talks to Configuration Admin and DS.
   */
  private static final Set<String> SHARED =
      Set.of(
          "slf4j.api",
          "org.osgi.service.cm",
          "org.osgi.service.component",
          "org.osgi.service.log",
          "org.osgi.util.function",
          "org.osgi.util.promise");

  private ExportedPackages() {}

  /** The value of {@code org.osgi.framework.system.packages.extra}. */
  static String ofLauncher() {
    Set<String> missing = new LinkedHashSet<>(SHARED);
    List<String> exports = new ArrayList<>();
    try {
      for (URL url :
          Collections.list(
              ExportedPackages.class.getClassLoader().getResources("META-INF/MANIFEST.MF"))) {
        Attributes attributes;
        try (InputStream in = url.openStream()) {
          attributes = new Manifest(in).getMainAttributes();
        }
        String name = attributes.getValue("Bundle-SymbolicName");
        String packages = attributes.getValue("Export-Package");
        if (name != null && packages != null && missing.remove(name.split(";", 2)[0].trim())) {
          exports.add(packages);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the manifests on the launcher's class path", e);
    }
    if (!missing.isEmpty()) {
      throw new LaunchException("the launcher's lib directory is incomplete: no " + missing);
    }
    return String.join(",", exports);
  }

  /** The package names of an {@code Export-Package} header. */
  static Set<String> names(String header) {
    Set<String> names = new LinkedHashSet<>();
    StringBuilder clause = new StringBuilder();
    boolean quoted = false;
    for (char c : (header + ",").toCharArray()) {
      if (c == '"') {
        quoted = !quoted;
      }
      if (c == ',' && !quoted) {
        for (String part : clause.toString().split(";", -1)) {
          if (!part.contains("=") && !part.isBlank()) {
            names.add(part.trim());
          }
        }
        clause.setLength(0);
      } else if (!quoted && c != '"') {
        clause.append(c);
      }
    }
    return names;
  }
}
