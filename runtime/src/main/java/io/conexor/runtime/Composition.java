package io.conexor.runtime;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Several features merged: each bundle once, each configuration value from exactly one feature.
 *
 * @param bundles in the order in which the features list them; nothing may depend on that order
 */
public record Composition(
    List<Feature> features,
    List<Artifact> bundles,
    Map<String, Map<String, Object>> configurations) {

  public static Composition of(List<Feature> features) {
    Map<String, Artifact> bundles = new LinkedHashMap<>();
    Map<String, String> bundleOrigins = new LinkedHashMap<>();
    Map<String, Map<String, Object>> configurations = new LinkedHashMap<>();
    Map<String, String> valueOrigins = new LinkedHashMap<>();
    for (Feature feature : features) {
      for (Artifact artifact : feature.bundles()) {
        Artifact other = bundles.putIfAbsent(artifact.key(), artifact);
        if (other != null && !other.equals(artifact)) {
          throw new LaunchException(
              "the features '%s' and '%s' want different versions: %s and %s"
                  .formatted(bundleOrigins.get(artifact.key()), feature.name(), other, artifact));
        }
        bundleOrigins.putIfAbsent(artifact.key(), feature.name());
      }
      feature
          .configurations()
          .forEach(
              (pid, values) ->
                  values.forEach(
                      (key, value) -> {
                        Object other =
                            configurations
                                .computeIfAbsent(pid, p -> new LinkedHashMap<>())
                                .putIfAbsent(key, value);
                        String origin = valueOrigins.putIfAbsent(pid + "/" + key, feature.name());
                        if (other != null && !other.equals(value)) {
                          throw new LaunchException(
                              "the features '%s' and '%s' configure %s of %s differently: %s and %s"
                                  .formatted(origin, feature.name(), key, pid, other, value));
                        }
                      }));
    }
    return new Composition(
        List.copyOf(features), List.copyOf(bundles.values()), Map.copyOf(configurations));
  }
}
