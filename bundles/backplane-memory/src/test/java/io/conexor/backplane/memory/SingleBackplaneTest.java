package io.conexor.backplane.memory;

import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.BackplaneContract;
import io.conexor.api.node.NodeId;
import org.junit.jupiter.api.AfterEach;

class SingleBackplaneTest extends BackplaneContract {

  private final SingleBackplane backplane = new SingleBackplane(A, 500, 4 << 20);

  @Override
  protected Backplane node(NodeId id) {
    return backplane;
  }

  @Override
  protected boolean hasTwoNodes() {
    return false;
  }

  @Override
  protected int retained() {
    return 500;
  }

  @AfterEach
  void stop() {
    backplane.close();
  }
}
