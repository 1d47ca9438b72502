package io.conexor.hub.clients;

import io.conexor.api.backplane.Position;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.hub.ResumeStore.Change;
import io.conexor.api.hub.ResumeStore.Saved;
import io.conexor.protocol.hub.HubMessage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/**
 * Keeps a connection in the store, ahead of what happens: a message is sent to the client after it
 * was saved, and one from the client is acted upon, and acknowledged, after it is saved that it was
 * taken. One save is under way at a time; what comes meanwhile goes along with the next. Without a
 * store nothing waits, and only this backend can resume the connection. Its state belongs to its
 * session's order of tasks.
 */
final class Keeping {
  private static final Duration PAUSE = Duration.ofMillis(100);

  private final ClientSession session;
  private final ClientHub home;
  private final Outbox outbox;

  private boolean isNeeded;
  private boolean isOver;
  private long fence = 1;
  private boolean isWhole = true;
  private boolean factsChanged;
  private boolean saving;
  private boolean pausing;
  private long savedAt;

  /**
   * Nano time since when something is not saved; MAX when everything is. Written by the tasks, read
   * by the clock.
   */
  private volatile long unsavedSince = Long.MAX_VALUE;

  private long savingSince;

  /** Nano time of the first failure in a row; 0 = none. */
  private long failingSince;

  /** Taken from the client, not acted upon. */
  private final List<HubMessage> pending = new ArrayList<>();

  private final Map<Integer, Position> positions = new HashMap<>();
  private @Nullable Runnable onSettled;
  private @Nullable CompletableFuture<Boolean> released;

  Keeping(ClientSession session, ClientHub home, Outbox outbox) {
    this.session = session;
    this.home = home;
    this.outbox = outbox;
  }

  void start() {
    isNeeded = home.store() != null;
    positions.putAll(home.bus().cursor());
    factsChanged = true;
    save();
  }

  void restore(long newFence, Map<Integer, Position> newPositions) {
    isNeeded = true;
    isWhole = false;
    fence = newFence;
    positions.putAll(newPositions);
    savedAt = home.now();
  }

  long fence() {
    return fence;
  }

  /** Whether messages have to be saved before they are sent. */
  boolean isNeeded() {
    return isNeeded;
  }

  Map<Integer, Position> positions() {
    return positions;
  }

  /** Whether an event is not among the messages yet. */
  boolean isNew(Position position) {
    Position last = positions.get(position.partition());
    return last == null
        || !last.epoch().equals(position.epoch())
        || last.offset() < position.offset();
  }

  /** An event became a message. */
  void happened(@Nullable Position position) {
    if (position != null) {
      positions.put(position.partition(), position);
    }
    factsChanged = true;
  }

  void changedFacts() {
    factsChanged = true;
    save();
  }

  void changed() {
    save();
  }

  void take(HubMessage message) {
    if (!isNeeded) {
      session.handle(message);
      session.taken(session.latestReceived());
    } else {
      pending.add(message);
      save();
    }
  }

  void tick(long now) {
    if (isNeeded && now - savedAt > timeToLive().toNanos() / 4) {
      changedFacts();
    }
    if (failingSince != 0 && now - failingSince > home.settings().resumePatience().toNanos()) {
      home.storeIsDown();
      session.end(
          Leg.RESTART, "the store of resumable connections does not answer; connect anew", null);
    }
  }

  private Duration timeToLive() {
    return home.settings().resumeWindow().multipliedBy(2);
  }

  long unsavedSince() {
    return unsavedSince;
  }

  private void save() {
    if (!isNeeded || isOver) {
      return;
    }
    if (saving || pausing) {
      if (unsavedSince == Long.MAX_VALUE) {
        unsavedSince = home.now();
      }
      return;
    }
    ResumeStore store = home.store();
    List<byte[]> messages = isWhole ? List.of() : outbox.toSave();
    if (!isWhole && messages.isEmpty() && pending.isEmpty() && !factsChanged) {
      unsavedSince = Long.MAX_VALUE;
      settled();
      return;
    }
    if (unsavedSince == Long.MAX_VALUE) {
      unsavedSince = home.now();
    }
    savingSince = home.now();
    List<HubMessage> taking = List.copyOf(pending);
    long receivedUpTo = session.latestReceived();
    long savingUpTo = outbox.last();
    boolean withFacts = isWhole || factsChanged || !taking.isEmpty();
    if (isWhole) {
      outbox.unsaved();
      messages = outbox.toSave();
    }
    Change change =
        new Change(
            isWhole,
            withFacts
                ? Optional.of(
                    session.facts(released != null, positions, taking, receivedUpTo).encoded())
                : Optional.empty(),
            savingUpTo - messages.size() + 1,
            messages,
            outbox.first() - 1);
    factsChanged = false;
    saving = true;
    CompletionStage<Saved> outcome =
        store == null
            ? CompletableFuture.failedFuture(new IllegalStateException("there is no store now"))
            : store.save(session.id(), home.nodeId(), fence, change, timeToLive());
    var unused =
        outcome.whenComplete(
            (saved, failure) ->
                session.run(() -> saved(saved, failure, savingUpTo, taking, receivedUpTo)));
  }

  private void saved(
      @Nullable Saved saved,
      @Nullable Throwable failure,
      long savedUpTo,
      List<HubMessage> taking,
      long receivedUpTo) {
    saving = false;
    if (isOver) {
      return;
    }
    if (saved == Saved.SAVED) {
      failingSince = 0;
      savedAt = home.now();
      unsavedSince = savingSince; // what came since then; a next save says that there is nothing
      isWhole = false;
      outbox.saved(savedUpTo);
      pending.subList(0, taking.size()).clear();
      taking.forEach(session::handle);
      session.taken(receivedUpTo);
      session.flush();
    } else if (saved == Saved.TAKEN) {
      isOver = true;
      unsavedSince = Long.MAX_VALUE;
      session.moved("another backend took it over");
      settledWith(true);
    } else {
      factsChanged = true;
      if (saved == Saved.BEHIND) {
        isWhole = true;
        save();
      } else {
        if (failingSince == 0) {
          failingSince = home.now();
        }
        home.storeFailed(failure);
        pausing = true;
        home.later(
            () ->
                session.run(
                    () -> {
                      pausing = false;
                      save();
                    }),
            PAUSE);
      }
    }
  }

  /**
   * Runs the action once everything is saved, and then takes no more.
   *
   * @param dealtWith events that are among the messages, as far as they are for this connection
   */
  void settle(Map<Integer, Position> dealtWith, Runnable action, CompletableFuture<Boolean> done) {
    if (!isNeeded || isOver) {
      done.complete(false);
      return;
    }
    CompletableFuture<Boolean> earlier = released;
    if (earlier != null) {
      var unused = earlier.thenAccept(done::complete);
      return;
    }
    onSettled = action;
    released = done;
    dealtWith.forEach((partition, at) -> positions.merge(partition, at, Takeover::later));
    factsChanged = true;
    save();
  }

  private void settled() {
    Runnable action = onSettled;
    if (action != null) {
      isOver = true;
      unsavedSince = Long.MAX_VALUE;
      action.run();
      settledWith(true);
    }
  }

  private void settledWith(boolean mayBeTaken) {
    CompletableFuture<Boolean> done = released;
    onSettled = null;
    if (done != null) {
      done.complete(mayBeTaken);
    }
  }

  void end() {
    unsavedSince = Long.MAX_VALUE;
    if (isNeeded && !isOver) {
      isOver = true;
      settledWith(false);
      ResumeStore store = home.store();
      if (store != null) {
        var unused = store.remove(session.id(), fence);
      }
    }
    isOver = true;
  }
}
