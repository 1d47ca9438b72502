package io.conexor.itests.architecture.bad.util;

/** Lives in a package whose name says nothing. */
public final class Anything {
  private Anything() {}
}
