package io.conexor.hub.clients;

import java.util.ArrayList;
import java.util.List;

/**
 * The numbered messages to a client that may be resumed, until it acknowledges them. Its state
 * belongs to its session's order of tasks.
 *
 * <p>Numbers grow by one from 1: {@code first} is the oldest kept; what is above {@code saved} may
 * not be sent yet; what is above {@code sent} has not been given to the present socket.
 */
final class Outbox {
  private final ArrayList<byte[]> kept = new ArrayList<>();
  private long first = 1;
  private long saved;
  private long sent;
  private long bytes;

  /** Goes on where another backend stopped. */
  void restore(long newFirst, List<byte[]> messages) {
    first = newFirst;
    kept.clear();
    kept.addAll(messages);
    bytes = messages.stream().mapToLong(message -> message.length).sum();
    saved = last();
    sent = first - 1;
  }

  void add(byte[] message) {
    kept.add(message);
    bytes += message.length;
  }

  long first() {
    return first;
  }

  long last() {
    return first + kept.size() - 1;
  }

  long bytes() {
    return bytes;
  }

  long saved() {
    return saved;
  }

  void saved(long upTo) {
    saved = Math.max(saved, upTo);
  }

  /** Forgets that anything was saved that the client has not acknowledged. */
  void unsaved() {
    saved = first - 1;
  }

  /** A new socket: everything that is kept has to be sent again. */
  void rewind() {
    sent = first - 1;
  }

  /** What may be sent now and was not; counts as sent from now on. */
  List<byte[]> toSend(boolean needsSaving) {
    long upTo = needsSaving ? saved : last();
    List<byte[]> messages = from(sent + 1, upTo);
    sent = Math.max(sent, upTo);
    return messages;
  }

  /** Messages above what is saved. */
  List<byte[]> toSave() {
    return from(Math.max(first, saved + 1), last());
  }

  private List<byte[]> from(long from, long upTo) {
    return from > upTo
        ? List.of()
        : List.copyOf(kept.subList((int) (from - first), (int) (upTo - first) + 1));
  }

  /**
   * Drops what the client has.
   *
   * @return false if the client can't have it
   */
  boolean acknowledged(long upTo) {
    if (upTo > last()) {
      return false;
    }
    if (upTo >= first) {
      List<byte[]> gone = kept.subList(0, (int) (upTo - first) + 1);
      gone.forEach(message -> bytes -= message.length);
      gone.clear();
      first = upTo + 1;
    }
    saved = Math.max(saved, first - 1);
    sent = Math.max(sent, first - 1);
    return true;
  }
}
