package io.conexor.runtime;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.Constants;
import org.osgi.framework.namespace.PackageNamespace;
import org.osgi.framework.wiring.BundleRequirement;
import org.osgi.framework.wiring.BundleRevision;
import org.osgi.framework.wiring.FrameworkWiring;

/**
 * Resolves bundles and, where that fails, says in one sentence what is missing and who would offer
 * it.
 */
final class Resolution {

  private static final Pattern PACKAGE = Pattern.compile("osgi\\.wiring\\.package=([\\w.]+)");

  private final BundleContext system;
  private final BundleDirectory directory;
  private final FeatureFiles features;

  Resolution(BundleContext system, BundleDirectory directory, FeatureFiles features) {
    this.system = system;
    this.directory = directory;
    this.features = features;
  }

  /**
   * @throws LaunchException naming the first requirement that nothing meets
   */
  void require(Collection<Bundle> bundles) {
    if (system
        .getBundle(Constants.SYSTEM_BUNDLE_LOCATION)
        .adapt(FrameworkWiring.class)
        .resolveBundles(bundles)) {
      return;
    }
    List<Bundle> unresolved =
        bundles.stream().filter(b -> b.getState() == Bundle.INSTALLED).toList();
    for (Bundle bundle : unresolved) {
      Optional<BundleRequirement> missing = missing(bundle);
      if (missing.isPresent()) {
        throw new LaunchException(describe(bundle, missing.get(), unresolved));
      }
    }
    // Every requirement has a candidate, so the candidates contradict each other: only the resolver
    // knows.
    throw new LaunchException(
        unresolved.stream().map(Resolution::resolverSays).collect(Collectors.joining("\n  ")));
  }

  private Optional<BundleRequirement> missing(Bundle bundle) {
    return bundle.adapt(BundleRevision.class).getDeclaredRequirements(null).stream()
        .filter(
            r ->
                !Constants.RESOLUTION_OPTIONAL.equals(directive(r, Constants.RESOLUTION_DIRECTIVE)))
        .filter(r -> !"dynamic".equals(directive(r, Constants.RESOLUTION_DIRECTIVE)))
        .filter(
            r ->
                List.of("", Constants.EFFECTIVE_RESOLVE)
                    .contains(directive(r, Constants.EFFECTIVE_DIRECTIVE)))
        .filter(r -> !isOffered(r))
        .findFirst();
  }

  private static String directive(BundleRequirement requirement, String name) {
    return requirement.getDirectives().getOrDefault(name, "");
  }

  private boolean isOffered(BundleRequirement requirement) {
    for (Bundle candidate : system.getBundles()) {
      BundleRevision revision = candidate.adapt(BundleRevision.class);
      if (revision != null
          && revision.getDeclaredCapabilities(requirement.getNamespace()).stream()
              .anyMatch(requirement::matches)) {
        return true;
      }
    }
    return false;
  }

  private String describe(Bundle bundle, BundleRequirement requirement, List<Bundle> unresolved) {
    String filter = directive(requirement, Constants.FILTER_DIRECTIVE);
    boolean isPackage = requirement.getNamespace().equals(PackageNamespace.PACKAGE_NAMESPACE);
    Matcher matcher = PACKAGE.matcher(filter);
    String packageName = isPackage && matcher.find() ? matcher.group(1) : "";
    String wanted =
        isPackage
            ? "the package " + packageName + " " + versions(filter)
            : "the capability " + requirement.getNamespace() + " " + filter;
    String others =
        unresolved.size() > 1
            ? "; with it wait "
                + unresolved.stream()
                    .filter(b -> b != bundle)
                    .map(Bundle::getSymbolicName)
                    .sorted()
                    .collect(Collectors.joining(", "))
            : "";
    return "the bundle %s %s needs %s, which nothing installed offers%s%s"
        .formatted(
            bundle.getSymbolicName(),
            bundle.getVersion(),
            wanted.trim(),
            offers(packageName),
            others);
  }

  private static String versions(String filter) {
    List<String> bounds = new ArrayList<>();
    Matcher matcher = Pattern.compile("(!\\()?\\(?version>=([\\w.-]+)\\)").matcher(filter);
    while (matcher.find()) {
      bounds.add((matcher.group(1) == null ? "from " : "below ") + matcher.group(2));
    }
    return String.join(" ", bounds);
  }

  private String offers(String packageName) {
    if (packageName.isEmpty()) {
      return "";
    }
    List<Path> offering = directory.exporting(packageName);
    if (offering.isEmpty()) {
      return " and no bundle in the bundles directory offers either";
    }
    Set<String> installed =
        Arrays.stream(system.getBundles()).map(Bundle::getLocation).collect(Collectors.toSet());
    List<String> wouldOffer = new ArrayList<>();
    for (Path jar : offering) {
      String file = jar.getFileName().toString();
      if (installed.stream().anyMatch(location -> location.endsWith("/" + file))) {
        wouldOffer.add(file + " is installed and offers it in another version");
        continue;
      }
      for (Feature feature : features.all()) {
        if (feature.bundles().stream().anyMatch(a -> fileName(a).equals(file))) {
          wouldOffer.add(
              "the feature "
                  + feature.name()
                  + " has it ("
                  + file
                  + "): add it to runtime.features");
        }
      }
    }
    return "; "
        + (wouldOffer.isEmpty()
            ? offering.get(0).getFileName() + " would, but no feature lists it"
            : String.join("; ", wouldOffer));
  }

  private static String fileName(Artifact artifact) {
    return Path.of(artifact.path()).getFileName().toString();
  }

  private static String resolverSays(Bundle bundle) {
    try {
      bundle.start(Bundle.START_TRANSIENT);
      return bundle.getSymbolicName() + " resolved late";
    } catch (BundleException e) {
      return "the bundle " + bundle.getSymbolicName() + " cannot be resolved: " + e.getMessage();
    }
  }
}
