package io.conexor.runtime;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.stream.Stream;

/** Bundles on disk, laid out like a Maven repository. */
public interface BundleDirectory {

  /** The jar of an artifact; fails with the path that was tried. */
  Path jar(Artifact artifact);

  /** Every jar there is, ours first by name; used for configuration keys and for messages. */
  List<Path> jars();

  static BundleDirectory at(Path directory) {
    return new BundleDirectory() {
      @Override
      public Path jar(Artifact artifact) {
        Path jar = directory.resolve(artifact.path());
        if (!Files.isRegularFile(jar)) {
          throw new LaunchException("the bundle " + artifact + " is missing: no file " + jar);
        }
        return jar;
      }

      @Override
      public List<Path> jars() {
        try (Stream<Path> files = Files.walk(directory)) {
          return files.filter(f -> f.toString().endsWith(".jar")).sorted().toList();
        } catch (IOException e) {
          throw new UncheckedIOException("cannot list the bundles in " + directory, e);
        }
      }
    };
  }

  /**
   * The jars whose manifest offers a package.
   *
   * @return file names; empty if nothing offers it or no jar can be read
   */
  default List<Path> exporting(String packageName) {
    List<Path> found = new ArrayList<>();
    for (Path jar : jars()) {
      try (JarFile file = new JarFile(jar.toFile())) {
        Manifest manifest = file.getManifest();
        String exports =
            manifest == null
                ? null
                : manifest.getMainAttributes().getValue(new Attributes.Name("Export-Package"));
        if (exports != null && ExportedPackages.names(exports).contains(packageName)) {
          found.add(jar);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("cannot read the bundle " + jar, e);
      }
    }
    return found;
  }
}
