package io.conexor.runtime;

import org.osgi.service.feature.ID;

/** Maven coordinates of one bundle. */
public record Artifact(String groupId, String artifactId, String version) {

  static Artifact of(ID id) {
    return new Artifact(id.getGroupId(), id.getArtifactId(), id.getVersion());
  }

  /** The same thing whatever its version; two versions of it in one composition are a mistake. */
  String key() {
    return groupId + ":" + artifactId;
  }

  /** Where a Maven repository layout keeps the jar. */
  public String path() {
    return groupId.replace('.', '/')
        + '/'
        + artifactId
        + '/'
        + version
        + '/'
        + artifactId
        + '-'
        + version
        + ".jar";
  }

  @Override
  public String toString() {
    return groupId + ":" + artifactId + ":" + version;
  }
}
