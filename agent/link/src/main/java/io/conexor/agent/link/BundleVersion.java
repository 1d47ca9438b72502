package io.conexor.agent.link;

import java.io.IOException;
import java.io.InputStream;
import java.util.jar.Manifest;

/** The version of this bundle as its own manifest says it. */
final class BundleVersion {
  private static final String UNKNOWN = "0.0.0";

  private BundleVersion() {}

  static String read() {
    try (InputStream in = BundleVersion.class.getResourceAsStream("/META-INF/MANIFEST.MF")) {
      if (in == null) {
        return UNKNOWN;
      }
      String version = new Manifest(in).getMainAttributes().getValue("Bundle-Version");
      return version == null ? UNKNOWN : version;
    } catch (IOException e) {
      return UNKNOWN;
    }
  }
}
