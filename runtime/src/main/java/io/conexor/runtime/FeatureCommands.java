package io.conexor.runtime;

import java.util.List;
import java.util.Map;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkUtil;

/** The shell's {@code feature:} commands; Gogo finds them by the properties of the service. */
public final class FeatureCommands {

  private final Launch launch;

  private FeatureCommands(Launch launch) {
    this.launch = launch;
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
                List.of("list").toArray(String[]::new))));
  }

  /** Every feature there is, the active ones marked. */
  public String list() {
    StringBuilder text = new StringBuilder();
    for (Feature feature : launch.plan().features().all()) {
      text.append(launch.activeFeatures().containsKey(feature.name()) ? "* " : "  ")
          .append("%-18s %s%n".formatted(feature.name(), feature.description()));
    }
    return text.toString().stripTrailing();
  }
}
