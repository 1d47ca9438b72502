package io.conexor.runtime;

import java.util.List;
import java.util.Map;

/**
 * One file of {@code features/}: the bundles that make a feature and their default configuration.
 *
 * @param name the file name without {@code .json}
 * @param configurations values by PID, as written; placeholders are not replaced yet
 */
public record Feature(
    String name,
    String description,
    List<Artifact> bundles,
    Map<String, Map<String, Object>> configurations) {

  public Feature {
    bundles = List.copyOf(bundles);
    configurations = Map.copyOf(configurations);
  }
}
