package io.conexor.dispatch;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
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

  /** Slots are counted in blocks, so that looking at the few in use does not visit all. */
  private static final int BLOCK_BITS = 8;

  private final AtomicReferenceArray<@Nullable Slot> slots;
  private final int mask;
  private final AtomicInteger lastId = new AtomicInteger();

  /** Counted up before a slot is taken and down after it was freed: 0 means there is none. */
  private final AtomicIntegerArray usedInBlock;

  /**
   * @param size a power of two
   */
  SlotTable(int size) {
    this.slots = new AtomicReferenceArray<>(size);
    this.mask = size - 1;
    this.usedInBlock = new AtomicIntegerArray(Math.max(1, size >> BLOCK_BITS));
  }

  /** Gives it an id and a slot; false when the table is full. */
  boolean put(Slot slot) {
    for (int i = 0; i < PROBES; i++) {
      int id = lastId.incrementAndGet() & Integer.MAX_VALUE;
      int index = id & mask;
      if (slots.get(index) == null) {
        slot.id = id;
        usedInBlock.incrementAndGet(index >> BLOCK_BITS);
        if (slots.compareAndSet(index, null, slot)) {
          return true;
        }
        usedInBlock.decrementAndGet(index >> BLOCK_BITS);
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
    int index = slot.id & mask;
    if (slots.compareAndSet(index, slot, null)) {
      usedInBlock.decrementAndGet(index >> BLOCK_BITS);
      return true;
    }
    return false;
  }

  int used() {
    int sum = 0;
    for (int block = 0; block < usedInBlock.length(); block++) {
      sum += usedInBlock.get(block);
    }
    return sum;
  }

  void forEach(Consumer<Slot> action) {
    for (int block = 0; block < usedInBlock.length(); block++) {
      if (usedInBlock.get(block) == 0) {
        continue;
      }
      int end = Math.min(slots.length(), (block + 1) << BLOCK_BITS);
      for (int i = block << BLOCK_BITS; i < end; i++) {
        Slot slot = slots.get(i);
        if (slot != null) {
          action.accept(slot);
        }
      }
    }
  }
}
