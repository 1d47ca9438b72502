package io.conexor.features;

import io.conexor.runtime.Artifact;
import io.conexor.runtime.BundleDirectory;
import io.conexor.runtime.LaunchException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The artifacts that Maven resolved for this build, from the list its dependency plugin writes. */
public final class ResolvedArtifacts implements BundleDirectory {

  // group:artifact:jar:version:scope:/path, after which the plugin may add a module name
  private static final Pattern LINE =
      Pattern.compile("\\s*([^:\\s]+):([^:]+):jar:([^:]+):[a-z]+:(.+?\\.jar)(?:\\s.*)?");

  private final Path list;
  private final Map<String, Path> jars = new TreeMap<>();

  public ResolvedArtifacts(Path list) throws IOException {
    this.list = list;
    for (String line : Files.readAllLines(list)) {
      // Maven colours its list when it writes to a terminal.
      Matcher matcher = LINE.matcher(line.replaceAll("\u001b\\[[0-9;]*m", ""));
      if (matcher.matches()) {
        Artifact artifact = new Artifact(matcher.group(1), matcher.group(2), matcher.group(3));
        jars.put(artifact.toString(), Path.of(matcher.group(4)));
      }
    }
  }

  @Override
  public Path jar(Artifact artifact) {
    Path jar = jars.get(artifact.toString());
    if (jar == null) {
      throw new LaunchException(
          "a feature names "
              + artifact
              + ", which is no dependency in features/pom.xml (see "
              + list
              + ")");
    }
    return jar;
  }

  @Override
  public List<Path> jars() {
    return List.copyOf(jars.values());
  }
}
