package io.conexor.api.hub;

import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/** The promises of a {@link ResumeStore} in a map, and a switch to take it away. */
public final class InMemoryResumeStore implements ResumeStore {
  private static final class Record {
    NodeId owner = new NodeId("nobody");
    long fence;
    byte[] facts = new byte[0];
    long first = 1;
    final List<byte[]> messages = new ArrayList<>();
    long until;
  }

  private final Map<String, Record> records = new HashMap<>();
  private volatile boolean isDown;
  private volatile int saves;

  /** Whether every call fails from now on. */
  public void down(boolean now) {
    isDown = now;
  }

  public int saves() {
    return saves;
  }

  @Override
  public CompletionStage<Saved> save(
      String connection, NodeId owner, long fence, Change change, Duration timeToLive) {
    if (isDown) {
      return CompletableFuture.failedFuture(new IllegalStateException("the store is down"));
    }
    return CompletableFuture.completedFuture(saved(connection, owner, fence, change, timeToLive));
  }

  private synchronized Saved saved(
      String connection, NodeId owner, long fence, Change change, Duration timeToLive) {
    saves++;
    Record record = live(connection);
    if (record != null && record.fence > fence) {
      return Saved.TAKEN;
    }
    if (change.isWhole()) {
      record = new Record();
      record.owner = owner;
      record.fence = fence;
      record.first = change.first();
      records.put(connection, record);
    } else if (record == null
        || record.fence != fence
        || (!change.messages().isEmpty()
            && record.first + record.messages.size() != change.first())) {
      return Saved.BEHIND;
    }
    record.messages.addAll(change.messages());
    change.facts().ifPresent(facts -> setFacts(connection, facts));
    while (!record.messages.isEmpty() && record.first <= change.acknowledged()) {
      record.messages.remove(0);
      record.first++;
    }
    record.until = System.nanoTime() + timeToLive.toNanos();
    return Saved.SAVED;
  }

  private void setFacts(String connection, byte[] facts) {
    Record record = records.get(connection);
    if (record != null) {
      record.facts = facts;
    }
  }

  private @Nullable Record live(String connection) {
    Record record = records.get(connection);
    if (record != null && record.until - System.nanoTime() < 0) {
      records.remove(connection);
      return null;
    }
    return record;
  }

  @Override
  public CompletionStage<Optional<Kept>> find(String connection) {
    if (isDown) {
      return CompletableFuture.failedFuture(new IllegalStateException("the store is down"));
    }
    synchronized (this) {
      return CompletableFuture.completedFuture(
          Optional.ofNullable(live(connection))
              .map(it -> new Kept(it.owner, it.fence, it.facts, it.first, List.of())));
    }
  }

  @Override
  public CompletionStage<Optional<Kept>> takeOver(
      String connection, NodeId by, Duration timeToLive) {
    if (isDown) {
      return CompletableFuture.failedFuture(new IllegalStateException("the store is down"));
    }
    synchronized (this) {
      Record record = live(connection);
      if (record == null) {
        return CompletableFuture.completedFuture(Optional.empty());
      }
      record.fence++;
      record.owner = by;
      record.until = System.nanoTime() + timeToLive.toNanos();
      return CompletableFuture.completedFuture(
          Optional.of(new Kept(by, record.fence, record.facts, record.first, record.messages)));
    }
  }

  @Override
  public CompletionStage<Void> remove(String connection, long fence) {
    if (isDown) {
      return CompletableFuture.failedFuture(new IllegalStateException("the store is down"));
    }
    synchronized (this) {
      Record record = live(connection);
      if (record != null && record.fence <= fence) {
        records.remove(connection);
      }
      return CompletableFuture.completedFuture(null);
    }
  }
}
