package io.conexor.api.backplane;

/**
 * Names a series of events. 1 to 64 characters of {@code [a-z0-9.-]}; topics are few and known at
 * build time, keys are many.
 */
public record Topic(String name) {

  public Topic {
    if (!name.matches("[a-z0-9.-]{1,64}")) {
      throw new IllegalArgumentException(
          "topic '" + name + "' is not 1..64 characters of a-z, 0-9, . and -");
    }
  }
}
