package io.conexor.agent.executor;

/** What a call id of a link stands for. */
interface Target {
  void credit(int batches);
}
