package io.conexor.dispatch;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What agents work on, by id. The slot is the low bits of the id, the whole id is compared, so a
 * late answer to a call whose slot was taken again is told apart until ids wrap around.
 */
final class SlotTable {

  /** Slots looked at before the table counts as full. */
  private static final int PROBES = 64;

  private final AtomicReferenceArray<@Nullable Slot> slots;
  private final int mask;
  private final AtomicInteger lastId = new AtomicInteger();
  private final AtomicInteger used = new AtomicInteger();

  /**
   * @param size a power of two
   */
  SlotTable(int size) {
    this.slots = new AtomicReferenceArray<>(size);
    this.mask = size - 1;
  }

  /** Gives it an id and a slot; false when the table is full. */
  boolean put(Slot slot) {
    for (int i = 0; i < PROBES; i++) {
      int id = lastId.incrementAndGet() & Integer.MAX_VALUE;
      if (slots.get(id & mask) == null) {
        slot.id = id;
        if (slots.compareAndSet(id & mask, null, slot)) {
          used.incrementAndGet();
          return true;
        }
      }
    }
    return false;
  }

  @Nullable Slot find(int id) {
    Slot slot = slots.get(id & mask);
    return slot != null && slot.id == id ? slot : null;
  }

  /** True for the one caller that takes it out. */
  boolean remove(Slot slot) {
    if (slots.compareAndSet(slot.id & mask, slot, null)) {
      used.decrementAndGet();
      return true;
    }
    return false;
  }

  int used() {
    return used.get();
  }

  void forEach(Consumer<Slot> action) {
    if (used.get() == 0) {
      return;
    }
    for (int i = 0; i <= mask; i++) {
      Slot slot = slots.get(i);
      if (slot != null) {
        action.accept(slot);
      }
    }
  }
}
