package io.conexor.itests.architecture;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Which component needs which, as the component XML says. */
final class ServiceGraph {

  private final Collection<Component> components;
  private final Map<String, Set<Component>> providers = new TreeMap<>();

  ServiceGraph(Collection<Component> components) {
    this.components = components;
    for (Component component : components) {
      for (String service : component.provides()) {
        providers.computeIfAbsent(service, s -> new java.util.LinkedHashSet<>()).add(component);
      }
    }
  }

  /** The components of a circle, the first again as the last; empty if there is none. */
  List<String> cycle() {
    Set<String> done = new TreeSet<>();
    for (Component component : components) {
      List<String> found = cycle(component, new ArrayDeque<>(), done);
      if (!found.isEmpty()) {
        return found;
      }
    }
    return List.of();
  }

  private List<String> cycle(Component component, Deque<String> path, Set<String> done) {
    if (path.contains(component.name())) {
      List<String> found = new ArrayList<>(path);
      found.subList(0, found.indexOf(component.name())).clear();
      found.add(component.name());
      return found;
    }
    if (done.contains(component.name())) {
      return List.of();
    }
    path.addLast(component.name());
    for (Component.Reference reference : component.references()) {
      for (Component provider : providers.getOrDefault(reference.service(), Set.of())) {
        List<String> found = cycle(provider, path, done);
        if (!found.isEmpty()) {
          return found;
        }
      }
    }
    path.removeLast();
    done.add(component.name());
    return List.of();
  }

  /** Mandatory references to our own services that no component offers. */
  List<String> unanswered(Set<String> registeredByHand) {
    return components.stream()
        .flatMap(
            c ->
                c.references().stream()
                    .filter(Component.Reference::mandatory)
                    .map(Component.Reference::service)
                    .filter(s -> !providers.containsKey(s) && !registeredByHand.contains(s))
                    .map(s -> c.name() + " needs " + s))
        .toList();
  }

  /** The table of docs/architecture.md. */
  String table() {
    Map<String, Set<String>> offered = new TreeMap<>();
    Map<String, Set<String>> used = new TreeMap<>();
    for (Component component : components) {
      for (String service : component.provides()) {
        offered.computeIfAbsent(service, s -> new TreeSet<>()).add(bundle(component));
      }
      for (Component.Reference reference : component.references()) {
        used.computeIfAbsent(reference.service(), s -> new TreeSet<>())
            .add(bundle(component) + (reference.dynamic() ? "*" : ""));
      }
    }
    Set<String> services = new TreeSet<>(offered.keySet());
    services.addAll(used.keySet());
    StringBuilder table = new StringBuilder("| service | provided by | used by |\n|---|---|---|\n");
    services.stream()
        .sorted(java.util.Comparator.comparing(Component::simple))
        .forEach(
            service ->
                table
                    .append("| `")
                    .append(service.replaceFirst("^io\\.conexor\\.api\\.", ""))
                    .append("` | ")
                    .append(joined(offered.get(service)))
                    .append(" | ")
                    .append(joined(used.get(service)))
                    .append(" |\n"));
    return table.toString();
  }

  private static String bundle(Component component) {
    return component.bundle().replaceFirst("^io\\.conexor\\.", "");
  }

  private static String joined(Set<String> names) {
    return names == null ? "-" : names.stream().collect(Collectors.joining(", "));
  }
}
