package io.conexor.agent.executor;

import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.Life;
import io.conexor.protocol.agent.CallIds;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A query whose result is recorded, so that it may lose its reader and find another one. The worker
 * adds to the record; links read from it at their own pace. Nothing here blocks.
 *
 * <p>One that stands for a request ({@link Life#REQUEST}) is written to its link by the worker
 * itself as long as that link lives, and recorded on the way. Somebody else may read it only when
 * its reader's link is gone: as long as it lives, the same request again is a new one.
 */
final class Kept {

  /** What was sent in one message. */
  private record Part(ByteBuffer bytes, boolean hasRows) {}

  final Call call;
  private final Keeper keeper;

  /** From here on all is guarded by this. */
  private final List<Part> parts = new ArrayList<>(1);

  private final List<Reading> readings = new ArrayList<>(1);
  private final List<Runnable> twins = new ArrayList<>(0);
  private long bytes;
  private @Nullable CallEnd end;
  private long endedAt;

  /** Who reads it, or has read it to its end, while his link lives. */
  private @Nullable BackendLink reader;

  /** Since when nobody reads it. */
  private long unreadSince;

  /** The worker writes to the reader's link itself. */
  private boolean isDirect;

  /** As the one who left it to us wants it, or the call's. */
  private String id;

  private boolean isOnce;
  private long keepNanos;
  private boolean isDetached;
  private boolean isDropped;

  /**
   * A query.
   *
   * @param isDirect whether the worker writes to the call's own link
   */
  Kept(Keeper keeper, Call call, boolean isDirect) {
    this.keeper = keeper;
    this.call = call;
    this.id = call.queryId();
    this.isOnce = call.life() == Life.ONCE;
    this.keepNanos = call.keepNanos();
    this.isDirect = isDirect;
    this.reader = isDirect ? call.link : null;
    this.unreadSince = System.nanoTime();
  }

  String id() {
    synchronized (this) {
      return id;
    }
  }

  /** Whether the worker has to wait for credit. */
  boolean isDirect() {
    synchronized (this) {
      return isDirect;
    }
  }

  /** From the worker: another message, the last one with the end. False: try again. */
  boolean offer(ByteBuffer message, @Nullable CallEnd ending) {
    List<Reading> over;
    synchronized (this) {
      if (isDirect
          && !call.link.send(
              message.array(), message.arrayOffset() + message.position(), message.remaining())) {
        return false;
      }
      record(message, ending);
      over = pumpAll();
    }
    over.forEach(Reading::done);
    return true;
  }

  private void record(ByteBuffer message, @Nullable CallEnd ending) {
    if (ending != null) {
      end = ending;
      endedAt = System.nanoTime();
    }
    if (isDropped) {
      return;
    }
    boolean fits = keeper.reserve(bytes, message.remaining());
    if (!fits) {
      if (isDirect) {
        drop(); // its own reader has it all
        return;
      }
      if (ending == null) {
        parts.clear();
        keeper.release(bytes);
        bytes = 0;
        call.stop(Call.Stop.OVERFLOW);
        return;
      }
      // the last word is short, or it would have come in parts
    } else {
      bytes += message.remaining();
    }
    boolean hasRows = ending == null || ending.error() == null;
    parts.add(new Part(message, hasRows));
  }

  private void drop() {
    isDropped = true;
    parts.clear();
    keeper.release(bytes);
    bytes = 0;
    keeper.forget(this);
  }

  /** Another reader, from the first row on; null when it is not for him. */
  @Nullable Reading attach(BackendLink link, int callId, int window, Consumer<Reading> done) {
    Reading reading = new Reading(this, link, callId, window, done);
    synchronized (this) {
      if (isDropped || (!isOnce && (reader != null || hasFailedHarmlessly()))) {
        return null;
      }
      reader = link;
      readings.add(reading);
    }
    return reading;
  }

  /** A read that failed may do better now; what a change has done is told as it is. */
  private boolean hasFailedHarmlessly() {
    return end != null && end.error() != null && call.isHarmless();
  }

  /** Hears when the reader's link goes; false when it does not live, or the query does not run. */
  boolean isRunningFor(BackendLink asking, Runnable whenLost) {
    synchronized (this) {
      if (reader == null || end != null || reader == asking || isOnce) {
        return false;
      }
      twins.add(whenLost);
      return true;
    }
  }

  /** Sends what the reader may have. */
  void pump(Reading reading) {
    boolean isOver;
    synchronized (this) {
      isOver = readings.contains(reading) && pumpOne(reading);
    }
    if (isOver) {
      reading.done();
    }
  }

  private List<Reading> pumpAll() {
    List<Reading> over = new ArrayList<>(0);
    for (Reading reading : List.copyOf(readings)) {
      if (pumpOne(reading)) {
        over.add(reading);
      }
    }
    return over;
  }

  private boolean pumpOne(Reading reading) {
    while (reading.next < parts.size()) {
      Part part = parts.get(reading.next);
      if (part.hasRows() && !reading.hasCredit()) {
        return false;
      }
      ByteBuffer message = CallIds.replaced(part.bytes(), reading.callId);
      if (!reading.link.send(
          message.array(), message.arrayOffset() + message.position(), message.remaining())) {
        return false; // the keeper tries again
      }
      if (part.hasRows()) {
        reading.takeCredit();
      }
      reading.next++;
    }
    return end != null && readings.remove(reading);
  }

  /** The link is gone, or its reader does not want to read on. */
  void left(BackendLink link) {
    List<Runnable> waiting;
    synchronized (this) {
      readings.removeIf(each -> each.link == link);
      if (reader != link) {
        return;
      }
      reader = null;
      isDirect = false;
      unreadSince = System.nanoTime();
      waiting = List.copyOf(twins);
      twins.clear();
    }
    call.wake();
    waiting.forEach(Runnable::run);
  }

  /**
   * Its reader leaves it to others, who come when it suits them.
   *
   * @param newId what they ask for; the same request again is another one then
   */
  void leaveAs(String newId, long newKeepNanos) {
    synchronized (this) {
      id = newId;
      isOnce = true;
      isDetached = true;
      keepNanos = newKeepNanos;
    }
  }

  /** A reader is content to have been there. */
  void detach(Reading reading) {
    synchronized (this) {
      isDetached |= isOnce;
      readings.remove(reading);
      if (!readings.isEmpty()) {
        return;
      }
    }
    left(reading.link);
  }

  /** A reader wants no more. True when nobody else does, and the query is to be stopped. */
  boolean cancel(Reading reading) {
    synchronized (this) {
      if (!readings.remove(reading)) {
        return false;
      }
      return readings.isEmpty() && !isDetached && end == null;
    }
  }

  /** By the keeper's thread: true when it is to be forgotten. */
  boolean isOver(long now) {
    List<Reading> over;
    boolean isForgotten;
    synchronized (this) {
      over = pumpAll();
      long linger = keeper.lingerNanos();
      if (end != null) {
        isForgotten = readings.isEmpty() && now - endedAt > (isOnce ? keepNanos : linger);
      } else {
        isForgotten =
            reader == null && !isDetached && call.isHarmless() && now - unreadSince > linger;
      }
    }
    over.forEach(Reading::done);
    return isForgotten;
  }

  /** Gives its memory back; whoever still reads hears that it was dropped by its silence. */
  void forgotten() {
    synchronized (this) {
      isDropped = true;
      parts.clear();
      keeper.release(bytes);
      bytes = 0;
    }
  }

  @Nullable CallEnd end() {
    synchronized (this) {
      return end;
    }
  }

  boolean isDropped() {
    synchronized (this) {
      return isDropped;
    }
  }

  boolean isUnread() {
    synchronized (this) {
      return end == null && reader == null;
    }
  }

  long bytes() {
    synchronized (this) {
      return bytes;
    }
  }
}
