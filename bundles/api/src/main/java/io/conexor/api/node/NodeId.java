package io.conexor.api.node;

/**
 * Names one run of one backend process: new at every start, never reused.
 *
 * @param value 4 to 64 characters of {@code [a-z0-9-]}
 */
public record NodeId(String value) {

  public NodeId {
    if (!value.matches("[a-z0-9-]{4,64}")) {
      throw new IllegalArgumentException(
          "node id '" + value + "' is not 4..64 characters of a-z, 0-9 and -");
    }
  }

  @Override
  public String toString() {
    return value;
  }
}
