package io.conexor.runtime;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;
import org.osgi.service.component.runtime.dto.ReferenceDTO;
import org.osgi.service.component.runtime.dto.UnsatisfiedReferenceDTO;

/** What keeps the system from being complete: bundles that do not run, components that cannot. */
final class Readiness {

  private static final String CAUSE = "Caused by: ";

  private final BundleContext system;
  private final ConfigurationKeys keys;

  Readiness(BundleContext system, ConfigurationKeys keys) {
    this.system = system;
    this.keys = keys;
  }

  /**
   * One sentence for each thing that is missing; empty when all is well. What only waits for
   * another component that is itself incomplete is counted, not listed, as long as there is a cause
   * to name.
   */
  List<String> missing() {
    List<String> causes = new ArrayList<>();
    for (Bundle bundle : system.getBundles()) {
      boolean fragment = bundle.getHeaders("").get(Constants.FRAGMENT_HOST) != null;
      if (!fragment && bundle.getState() != Bundle.ACTIVE) {
        causes.add("bundle " + bundle.getSymbolicName() + " is not active");
      }
    }
    ServiceReference<ServiceComponentRuntime> reference =
        system.getServiceReference(ServiceComponentRuntime.class);
    ServiceComponentRuntime runtime = reference == null ? null : system.getService(reference);
    if (runtime == null) {
      causes.add("no component runtime (org.apache.felix.scr) runs, so no component does");
      return causes;
    }
    Collection<ComponentDescriptionDTO> components = runtime.getComponentDescriptionDTOs();
    Set<String> offered =
        components.stream()
            .flatMap(c -> Stream.of(c.serviceInterfaces))
            .collect(Collectors.toSet());
    Set<String> followers = new TreeSet<>();
    Set<String> awaited = new HashSet<>();
    List<ComponentDescriptionDTO> unconfigured = new ArrayList<>();
    for (ComponentDescriptionDTO component : components) {
      collect(runtime, component, offered, causes, followers, awaited, unconfigured);
    }
    system.ungetService(reference);
    // One that nobody waits for is an alternative that is switched off, unless it is an entry
    // point.
    unconfigured.stream()
        .filter(
            c ->
                c.serviceInterfaces.length == 0
                    || Stream.of(c.serviceInterfaces).anyMatch(awaited::contains))
        .forEach(c -> addUnconfigured(c, causes));
    if (causes.isEmpty()) {
      return List.copyOf(followers);
    }
    if (!followers.isEmpty()) {
      causes.add(followers.size() + " more wait for components that wait for these");
    }
    return causes;
  }

  private void collect(
      ServiceComponentRuntime runtime,
      ComponentDescriptionDTO component,
      Set<String> offered,
      List<String> causes,
      Set<String> followers,
      Set<String> awaited,
      List<ComponentDescriptionDTO> unconfigured) {
    Collection<ComponentConfigurationDTO> configurations =
        runtime.getComponentConfigurationDTOs(component);
    if (configurations.isEmpty()
        && component.defaultEnabled
        && "require".equals(component.configurationPolicy)) {
      unconfigured.add(component);
    }
    for (ComponentConfigurationDTO configuration : configurations) {
      switch (configuration.state) {
        case ComponentConfigurationDTO.UNSATISFIED_CONFIGURATION -> unconfigured.add(component);
        case ComponentConfigurationDTO.UNSATISFIED_REFERENCE -> {
          for (UnsatisfiedReferenceDTO unsatisfied : configuration.unsatisfiedReferences) {
            String service = service(component, unsatisfied);
            boolean follows = offered.contains(service);
            awaited.add(service);
            (follows ? followers : causes)
                .add(
                    component.name
                        + " waits for "
                        + service
                        + (unsatisfied.target == null ? "" : " matching " + unsatisfied.target)
                        + (follows ? "" : ", which no installed component offers"));
          }
        }
        case ComponentConfigurationDTO.FAILED_ACTIVATION -> {
          String reason = reason(configuration.failure);
          // A service is offered before its component is made, so this one only met the failure.
          (reason.startsWith("Unable to get service for reference ") ? followers : causes)
              .add(component.name + " failed to activate: " + reason);
        }
        default -> {
          // SATISFIED or ACTIVE: a delayed component is only created once somebody uses it.
        }
      }
    }
  }

  private void addUnconfigured(ComponentDescriptionDTO component, List<String> missing) {
    for (String pid : component.configurationPid) {
      // Nobody has to make an instance of a factory.
      if (!keys.isFactory(pid)) {
        missing.add(component.name + " waits for its configuration " + pid);
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

  /** DS hands over a stack trace; what went wrong is what its last cause says. */
  static String reason(String failure) {
    if (failure == null || failure.isBlank()) {
      return "no reason given";
    }
    List<String> lines = failure.lines().toList();
    return lines.stream()
        .filter(l -> l.startsWith(CAUSE))
        .reduce((first, last) -> last)
        .map(l -> l.substring(CAUSE.length()))
        .orElse(lines.get(0))
        .replaceFirst("^(?:[\\w$]+\\.)+[\\w$]+(?:Exception|Error): ", "");
  }
}
