package io.conexor.itests.architecture.bad.left;

import io.conexor.itests.architecture.bad.right.Right;

/** Reaches into another bundle, which reaches back. */
public final class Left {
  Right right = new Right();
}
