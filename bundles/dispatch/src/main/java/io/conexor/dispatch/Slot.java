package io.conexor.dispatch;

/** Something an agent answers under an id of this backend. */
abstract sealed class Slot permits Attempt, Relayed {

  /** Set by {@link SlotTable#put} before it can be found there. */
  int id;
}
