package io.conexor.protocol.send;

import java.util.concurrent.atomic.AtomicReference;

/**
 * Lets a reader thread call a receiver, and any thread end it, so that calls never overlap and the
 * end is the last one. Nobody waits: who ends while a call is under way leaves the last call to the
 * caller.
 *
 * <pre>
 *   reader:  if (gate.enter()) { try { call } finally { if (gate.leave()) lastCall } }
 *   anyone:  if (gate.end()) lastCall
 * </pre>
 */
public final class CallGate {
  private enum State {
    IDLE,
    BUSY,
    /** As BUSY; who leaves makes the last call. */
    ENDING,
    ENDED
  }

  private final AtomicReference<State> state = new AtomicReference<>(State.IDLE);

  /** Takes the gate for a call; false after the end. For one thread at a time. */
  public boolean enter() {
    return state.compareAndSet(State.IDLE, State.BUSY);
  }

  /** Gives the gate back; true if the caller has to make the last call now. */
  public boolean leave() {
    if (state.compareAndSet(State.BUSY, State.IDLE)) {
      return false;
    }
    state.set(State.ENDED);
    return true;
  }

  /**
   * Ends it; true if the caller has to make the last call now. Idempotent: true is returned by this
   * or leave, once.
   */
  public boolean end() {
    while (true) {
      State current = state.get();
      if (current == State.IDLE) {
        if (state.compareAndSet(State.IDLE, State.ENDED)) {
          return true;
        }
      } else if (current != State.BUSY || state.compareAndSet(State.BUSY, State.ENDING)) {
        return false;
      }
    }
  }
}
