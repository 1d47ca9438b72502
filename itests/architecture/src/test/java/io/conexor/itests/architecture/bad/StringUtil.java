package io.conexor.itests.architecture.bad;

/** Has a name that says nothing. */
public final class StringUtil {
  private StringUtil() {}
}
