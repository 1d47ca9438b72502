package io.conexor.agent.executor;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.sql.Driver;
import java.sql.SQLException;
import java.util.Optional;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds the JDBC driver of a URL. */
interface Drivers {

  /** A driver that accepts the URL, or empty when none is installed. */
  Optional<Driver> of(String url);

  /**
   * Drivers in the bundles of this framework: each names its driver classes in {@code
   * META-INF/services/java.sql.Driver}, as the JDBC specification wants. See docs/adr.
   */
  static Drivers inBundles(BundleContext context) {
    return new InBundles(context);
  }

  /** The lookup over bundles. */
  final class InBundles implements Drivers {
    private static final Logger log = LoggerFactory.getLogger(Drivers.class);
    private static final String SERVICES = "META-INF/services/java.sql.Driver";

    private final BundleContext context;

    InBundles(BundleContext context) {
      this.context = context;
    }

    @Override
    public Optional<Driver> of(String url) {
      for (Bundle bundle : context.getBundles()) {
        boolean usable =
            bundle.getState() == Bundle.ACTIVE
                || bundle.getState() == Bundle.RESOLVED
                || bundle.getState() == Bundle.STARTING;
        URL services = usable ? bundle.getEntry(SERVICES) : null;
        if (services != null) {
          Optional<Driver> driver = in(bundle, services, url);
          if (driver.isPresent()) {
            return driver;
          }
        }
      }
      return Optional.empty();
    }

    private static Optional<Driver> in(Bundle bundle, URL services, String url) {
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(services.openStream(), StandardCharsets.UTF_8))) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          String name = line.replaceFirst("#.*", "").trim();
          if (!name.isEmpty()) {
            Driver driver = (Driver) bundle.loadClass(name).getDeclaredConstructor().newInstance();
            if (driver.acceptsURL(url)) {
              return Optional.of(driver);
            }
          }
        }
      } catch (IOException | ReflectiveOperationException | SQLException | LinkageError e) {
        log.warn("the JDBC driver in {} cannot be used: {}", bundle, e.toString());
      }
      return Optional.empty();
    }
  }
}
