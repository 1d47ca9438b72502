package io.conexor.runtime;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Bundles that somebody put into a folder, JDBC drivers above all. A jar that is no bundle becomes
 * one that may import what it wants. One thread at a time.
 */
final class DroppedBundles {

  private static final Logger log = LoggerFactory.getLogger(DroppedBundles.class);

  /** Null when it could not be used, which was told. */
  private record Dropped(String stamp, @Nullable Bundle bundle) {}

  private final BundleContext context;
  private final Path folder;
  private final Map<Path, Dropped> known = new TreeMap<>();

  /** As the last look found it; null before the first. */
  private @Nullable Map<Path, String> seen;

  DroppedBundles(BundleContext context, Path folder) {
    this.context = context;
    this.folder = folder;
  }

  /** Installs what is new, updates what is another, removes what is gone. */
  void look() {
    Map<Path, String> now = stamps();
    for (Path path : List.copyOf(known.keySet())) {
      if (!now.containsKey(path)) {
        remove(path);
      }
    }
    Map<Path, String> before = seen;
    now.forEach(
        (path, stamp) -> {
          Dropped dropped = known.get(path);
          boolean isKnown = dropped != null && dropped.stamp().equals(stamp);
          // Somebody may still be writing it.
          boolean isWhole = before == null || stamp.equals(before.get(path));
          if (isWhole && !isKnown) {
            known.put(path, new Dropped(stamp, take(path, dropped)));
          }
        });
    seen = now;
  }

  private Map<Path, String> stamps() {
    Map<Path, String> stamps = new TreeMap<>();
    if (Files.isDirectory(folder)) {
      try (Stream<Path> files = Files.list(folder)) {
        files
            .filter(file -> file.getFileName().toString().endsWith(".jar"))
            .forEach(file -> stamps.put(file, stamp(file)));
      } catch (IOException e) {
        throw new UncheckedIOException("cannot look into " + folder, e);
      }
    }
    return stamps;
  }

  /** Tells one content of a file from another; empty when there is no file. */
  static String stamp(Path file) {
    try {
      return Files.size(file) + " " + Files.getLastModifiedTime(file);
    } catch (IOException e) {
      return "";
    }
  }

  private @Nullable Bundle take(Path path, @Nullable Dropped before) {
    Bundle bundle = before == null ? null : before.bundle();
    try (InputStream in = content(path)) {
      if (bundle == null) {
        bundle = context.installBundle("dropped:" + path.getFileName(), in);
      } else {
        bundle.update(in);
      }
      Launch.start(bundle);
      log.info("{}: {} {} runs", path, bundle.getSymbolicName(), bundle.getVersion());
    } catch (IOException | BundleException | LaunchException e) {
      log.warn("{} cannot be used: {}", path, e.getMessage());
    }
    return bundle;
  }

  private void remove(Path path) {
    Dropped gone = known.remove(path);
    Bundle bundle = gone == null ? null : gone.bundle();
    if (bundle != null) {
      try {
        bundle.uninstall();
        log.info("{} is gone, and its bundle with it", path);
      } catch (BundleException e) {
        log.warn("{} does not go", bundle.getSymbolicName(), e);
      }
    }
  }

  private static InputStream content(Path path) throws IOException {
    try (JarFile jar = new JarFile(path.toFile())) {
      Manifest manifest = jar.getManifest();
      if (manifest != null
          && manifest.getMainAttributes().getValue("Bundle-SymbolicName") != null) {
        return Files.newInputStream(path);
      }
      return asBundle(jar, path.getFileName().toString());
    }
  }

  private static InputStream asBundle(JarFile jar, String name) throws IOException {
    Manifest manifest = new Manifest();
    Attributes headers = manifest.getMainAttributes();
    headers.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    headers.putValue("Bundle-ManifestVersion", "2");
    headers.putValue("Bundle-SymbolicName", name.replaceAll("[^A-Za-z0-9_.-]", "_"));
    headers.putValue("DynamicImport-Package", "*");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JarOutputStream out = new JarOutputStream(bytes, manifest)) {
      for (JarEntry entry : (Iterable<JarEntry>) jar.stream()::iterator) {
        // Its signatures are those of another manifest.
        if (!entry.getName().matches("META-INF/(MANIFEST\\.MF|[^/]*\\.(SF|RSA|DSA|EC))?")) {
          out.putNextEntry(new JarEntry(entry.getName()));
          try (InputStream in = jar.getInputStream(entry)) {
            in.transferTo(out);
          }
        }
      }
    }
    return new ByteArrayInputStream(bytes.toByteArray());
  }
}
