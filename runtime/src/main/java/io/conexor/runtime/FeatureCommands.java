package io.conexor.runtime;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;

/** The shell's {@code feature:} commands; Gogo finds them by the properties of the service. */
public final class FeatureCommands {

  private final FeatureChange change;
  private final Launch launch;

  private FeatureCommands(Launch launch) {
    this.launch = launch;
    change = launch.change();
  }

  static void register(BundleContext context, Launch launch) {
    context.registerService(
        FeatureCommands.class,
        new FeatureCommands(launch),
        FrameworkUtil.asDictionary(
            Map.of(
                "osgi.command.scope",
                "feature",
                "osgi.command.function",
                new String[] {"list", "install", "remove", "swap"})));
  }

  /** Every feature there is, the active ones marked. */
  public String list() {
    StringBuilder text = new StringBuilder();
    for (Feature feature : launch.plan().features().all()) {
      text.append(launch.activeFeatures().contains(feature.name()) ? "* " : "  ")
          .append("%-18s %s%n".formatted(feature.name(), feature.description()));
    }
    return text.toString().stripTrailing();
  }

  /** {@code feature:install NAME [--plan]}. */
  public String install(String... arguments) throws InterruptedException {
    Words words = Words.of(arguments, 1, 1, "feature:install NAME [--plan]");
    return change.apply(List.of(), words.names, words.options);
  }

  /** {@code feature:remove NAME [--plan] [--force]}. */
  public String remove(String... arguments) throws InterruptedException {
    Words words = Words.of(arguments, 1, 1, "feature:remove NAME [--plan] [--force]");
    return change.apply(words.names, List.of(), words.options);
  }

  /** {@code feature:swap OLD NEW... [--plan] [--force] [--migrate]}. */
  public String swap(String... arguments) throws InterruptedException {
    Words words =
        Words.of(arguments, 2, 16, "feature:swap OLD NEW... [--plan] [--force] [--migrate]");
    List<String> names = words.names;
    return change.apply(names.subList(0, 1), names.subList(1, names.size()), words.options);
  }

  private record Words(List<String> names, Set<String> options) {

    static Words of(String[] arguments, int fewest, int most, String usage) {
      List<String> names = new ArrayList<>();
      Set<String> options = new TreeSet<>();
      for (String argument : arguments) {
        if (argument.startsWith("--")) {
          options.add(argument);
        } else {
          names.add(argument);
        }
      }
      if (names.size() < fewest
          || names.size() > most
          || !Set.of("--plan", "--force", "--migrate").containsAll(options)) {
        throw new IllegalArgumentException("usage: " + usage);
      }
      return new Words(names, options);
    }
  }
}
