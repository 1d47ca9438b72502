package io.conexor.health;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;
import org.osgi.service.component.runtime.dto.ReferenceDTO;
import org.osgi.service.component.runtime.dto.UnsatisfiedReferenceDTO;

/**
 * Which of our components do not work, and why. A component that requires a configuration and has
 * none is an option nobody has taken, and does not count; whoever cannot do without it is named
 * instead.
 *
 * <p>Looked at when asked, at most once per {@link #MAX_AGE_NANOS}, by one thread; the others get
 * what is known.
 */
final class Components {

  static final long MAX_AGE_NANOS = 500_000_000;

  /** Between looks until all have been there. */
  static final long STARTING_AGE_NANOS = 100_000_000;

  private static final List<String> ROUTES =
      List.of("io.conexor.api.http.HttpRoute", "io.conexor.api.http.WebSocketRoute");

  private static final String OURS = "io.conexor";

  /** A component and what it waits for. */
  record Missing(String component, String why) {}

  private record Seen(List<Missing> missing, long at) {}

  private final ServiceComponentRuntime runtime;
  private final LongSupplier nanos;
  private final AtomicBoolean isLooking = new AtomicBoolean();

  /** Written by the one who looks; read by all who ask. */
  private volatile Seen seen;

  /** Written by the one who looks, once; read by all who ask. */
  private volatile boolean isStarted;

  Components(ServiceComponentRuntime runtime, LongSupplier nanos) {
    this.runtime = runtime;
    this.nanos = nanos;
    this.seen =
        new Seen(
            List.of(new Missing("io.conexor.health", "has not looked at the components yet")),
            nanos.getAsLong() - MAX_AGE_NANOS);
  }

  /**
   * Whether all of them have worked once. Found twice in a row, since bundles that were not started
   * yet are not missed.
   */
  boolean haveStarted() {
    if (!isStarted) {
      missing();
    }
    return isStarted;
  }

  /** Empty when all of them work. */
  List<Missing> missing() {
    long maxAge = isStarted ? MAX_AGE_NANOS : STARTING_AGE_NANOS;
    if (nanos.getAsLong() - seen.at() >= maxAge && isLooking.compareAndSet(false, true)) {
      try {
        List<Missing> before = seen.missing();
        seen = new Seen(look(), nanos.getAsLong());
        if (before.isEmpty() && seen.missing().isEmpty()) {
          isStarted = true;
        }
      } finally {
        isLooking.set(false);
      }
    }
    return seen.missing();
  }

  private List<Missing> look() {
    List<Missing> missing = new ArrayList<>();
    for (ComponentDescriptionDTO component : runtime.getComponentDescriptionDTOs()) {
      if (isOurs(component.bundle.symbolicName)) {
        for (ComponentConfigurationDTO configuration :
            runtime.getComponentConfigurationDTOs(component)) {
          add(component, configuration, missing);
        }
      }
    }
    return List.copyOf(missing);
  }

  private static boolean isOurs(String symbolicName) {
    return symbolicName.equals(OURS) || symbolicName.startsWith(OURS + ".");
  }

  private static void add(
      ComponentDescriptionDTO component,
      ComponentConfigurationDTO configuration,
      List<Missing> missing) {
    switch (configuration.state) {
      case ComponentConfigurationDTO.UNSATISFIED_CONFIGURATION -> {
        if (!"require".equals(component.configurationPolicy)) {
          missing.add(
              new Missing(
                  component.name,
                  "waits for its configuration " + String.join(", ", component.configurationPid)));
        }
      }
      case ComponentConfigurationDTO.UNSATISFIED_REFERENCE -> {
        for (UnsatisfiedReferenceDTO reference : configuration.unsatisfiedReferences) {
          missing.add(
              new Missing(
                  component.name,
                  "waits for "
                      + service(component, reference)
                      + (reference.target == null ? "" : " matching " + reference.target)));
        }
      }
      // The cause is in the log: its text may hold what is nobody's business here.
      case ComponentConfigurationDTO.FAILED_ACTIVATION ->
          missing.add(new Missing(component.name, "failed to activate; its log says why"));
      case ComponentConfigurationDTO.SATISFIED -> {
        // A delayed component is only created once somebody uses it; for a route that is the
        // server.
        if (List.of(component.serviceInterfaces).stream().anyMatch(ROUTES::contains)) {
          missing.add(new Missing(component.name, "is not served yet"));
        }
      }
      default -> {
        // ACTIVE.
      }
    }
  }

  private static String service(
      ComponentDescriptionDTO component, UnsatisfiedReferenceDTO unsatisfied) {
    for (ReferenceDTO reference : component.references) {
      if (reference.name.equals(unsatisfied.name)) {
        return reference.interfaceName;
      }
    }
    return unsatisfied.name;
  }
}
