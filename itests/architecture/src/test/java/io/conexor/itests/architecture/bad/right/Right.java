package io.conexor.itests.architecture.bad.right;

import io.conexor.itests.architecture.bad.left.Left;

/** Reaches into another bundle, which reaches back. */
public final class Right {
  Left left;
}
