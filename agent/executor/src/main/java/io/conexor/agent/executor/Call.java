package io.conexor.agent.executor;

import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.Life;
import io.conexor.protocol.agent.QueryIds;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * One call from its arrival to its answer. A worker runs it; links, the timer and the drain may
 * stop it or give it credit from their threads.
 */
final class Call implements Target {

  private static final long FIRST_REMINDER_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

  /** Why a call is to end early. */
  enum Stop {
    CANCELLED,
    DEADLINE,
    /** The link is gone: nobody reads an answer. */
    GONE,
    /** The source is taken out of service: another agent may have it. */
    CLOSING,
    /** Its result is recorded, and there is no room for more of it. */
    OVERFLOW
  }

  /** Thrown on the worker when it notices that its call was stopped. */
  static final class StoppedException extends Exception {
    private static final long serialVersionUID = 1L;

    StoppedException() {
      super(null, null, false, false);
    }
  }

  /** Null only for a call that is refused because nobody serves its source. */
  final @Nullable Source source;

  final BackendLink link;
  final int id;

  /** Null: describe the tables. */
  final @Nullable String sql;

  final List<? extends @Nullable Object> parameters;
  final long maxRows;
  final long maxBytes;
  final long started = System.nanoTime();
  final long deadline;

  /** Whether the deadline is the source's own ceiling rather than the caller's. */
  final boolean isAtCeiling;

  private final AtomicInteger credit;

  /** This and what follows is written before any other thread knows the call. */
  private Life life = Life.LINK;

  private String queryId = "";
  private String asker = "";
  private long keepNanos;
  private @Nullable Keeper keeper;
  private Runnable done = () -> {};

  /** Written by whoever has it recorded, read by the worker. */
  private volatile @Nullable Kept kept;

  /** Whether something may have gone out that is not on record; written by the worker. */
  private volatile boolean hasSent;

  private final AtomicBoolean hasLeft = new AtomicBoolean();

  /** Written once by whoever stops it, read by the worker and the timer. */
  private volatile @Nullable Stop stop;

  /** Written by the worker, read by those who wake it. */
  private volatile @Nullable Thread worker;

  /** Guarded by this. */
  private @Nullable Statement running;

  /** Written by the worker, taken by the timer. */
  private volatile @Nullable Connection aborting;

  /** Written before {@link #stop}, read after it. */
  private long stoppedAt;

  /** Used by the timer's thread only. */
  private int reminders;

  /** Guarded by this. */
  private int cancels;

  Call(
      @Nullable Source source,
      BackendLink link,
      int id,
      @Nullable String sql,
      List<? extends @Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      long deadlineNanos,
      long ceilingNanos,
      int window) {
    this.source = source;
    this.link = link;
    this.id = id;
    this.sql = sql;
    this.parameters = parameters;
    this.maxRows = maxRows;
    this.maxBytes = maxBytes;
    this.deadline = started + Math.min(deadlineNanos, ceilingNanos);
    this.isAtCeiling = ceilingNanos < deadlineNanos;
    this.credit = new AtomicInteger(Math.max(1, window));
  }

  /** It may survive its link. */
  void outlivesAsRequest(Keeper owner, String newAsker) {
    keeper = owner;
    life = Life.REQUEST;
    asker = newAsker;
  }

  /** The same, and its result is kept under this id. */
  void outlivesOnce(Keeper owner, String id, long nanos) {
    keeper = owner;
    life = Life.ONCE;
    queryId = id;
    keepNanos = nanos;
  }

  void whenDone(Runnable action) {
    done = action;
  }

  Life life() {
    return life;
  }

  /** What it is kept by; worked out for the few that are. */
  String queryId() {
    return life == Life.REQUEST && source != null && sql != null
        ? QueryIds.ofRequest(asker, source.name(), sql, parameters, maxRows, maxBytes).toString()
        : queryId;
  }

  long keepNanos() {
    return keepNanos;
  }

  /** Whether stopping it halfway leaves nothing behind. */
  boolean isHarmless() {
    return source == null || source.settings().isReadOnly();
  }

  /** It is recorded from the beginning, and read from the record alone. */
  void recordedBy(Kept record) {
    kept = record;
  }

  @Nullable Kept kept() {
    return kept;
  }

  /** By the timer: one that takes long is recorded, unless it is too late for that. */
  void recordIfLong(long now) {
    if (life == Life.REQUEST && kept == null && now - started > Keeper.LONG_NANOS) {
      record();
    }
  }

  /**
   * Has it recorded although its link writes.
   *
   * @return null when its beginning is lost already, or it was stopped: nobody wants its end
   */
  @Nullable Kept record() {
    Keeper owner = keeper;
    if (kept != null || life != Life.REQUEST || hasSent || stop != null || owner == null) {
      return kept;
    }
    Kept made = owner.keep(this, true);
    if (made == null) {
      return null;
    }
    kept = made;
    // INVARIANT: the worker says that it sends, and who cancels says so, before either looks for a
    // record.
    if (hasSent || stop != null) {
      kept = null;
      owner.remove(made);
    }
    return kept;
  }

  /** From the worker: false when the link is full. */
  boolean offer(ByteBuffer message, @Nullable CallEnd end) {
    if (life != Life.LINK) {
      hasSent = true;
      Kept record = kept;
      if (record != null) {
        return record.offer(message, end);
      }
    }
    return link.send(
        message.array(), message.arrayOffset() + message.position(), message.remaining());
  }

  void wake() {
    LockSupport.unpark(worker);
  }

  /**
   * Gives its place to the next call. Before the last word goes out, or who hears it and calls
   * again at once would be refused.
   */
  void leave() {
    if (source != null && !hasLeft.getAndSet(true)) {
      source.left();
    }
  }

  /** The answer is out, or there will be none. */
  void done() {
    done.run();
  }

  long elapsedMicros() {
    return (System.nanoTime() - started) / 1_000;
  }

  boolean isLate(long now) {
    return now - deadline >= 0;
  }

  @Nullable Stop stopped() {
    return stop;
  }

  void worker(Thread thread) {
    worker = thread;
  }

  @Override
  public void credit(int batches) {
    credit.addAndGet(batches);
    LockSupport.unpark(worker);
  }

  /** Marks it; the first reason counts. Returns whether this was the first. */
  boolean stop(Stop why) {
    synchronized (this) {
      if (stop != null) {
        return false;
      }
      stoppedAt = System.nanoTime();
      stop = why;
    }
    LockSupport.unpark(worker);
    return true;
  }

  long stoppedAt() {
    return stoppedAt;
  }

  /**
   * Whether a stopped call that has not ended is due for another cancel; for the timer's thread.
   * The first may have come when the database had not yet read the statement.
   */
  boolean isCancelDue(long now) {
    if (now - stoppedAt < FIRST_REMINDER_NANOS << reminders) {
      return false;
    }
    reminders++;
    return true;
  }

  /**
   * Interrupts the statement in the database, if one is running. May take as long as a connection.
   */
  void cancelStatement(Engine engine) {
    // The lock is held around the driver's call on purpose: the worker must not hand the connection
    // to another call while a cancel for this one is under way.
    synchronized (this) {
      Statement statement = running;
      if (statement != null) {
        try {
          engine.cancel(statement, cancels++ > 0);
        } catch (SQLException e) {
          // the statement goes on; the timer tries again and cuts the connection in the end
        }
      }
    }
  }

  /**
   * Cuts the connection of a statement that does not react to cancels. Takes no lock: one may be
   * stuck in a cancel.
   */
  void abort(Executor executor) {
    Connection cut = aborting;
    aborting = null;
    if (cut != null) {
      try {
        cut.abort(executor);
      } catch (SQLException e) {
        // its socket timeout is left
      }
    }
  }

  /** From here on a cancel reaches the statement. */
  void begin(Statement statement, Connection owner) throws StoppedException {
    synchronized (this) {
      if (stop != null) {
        throw new StoppedException();
      }
      running = statement;
    }
    aborting = owner;
  }

  /** From here on no cancel reaches the statement. */
  void end() {
    synchronized (this) {
      running = null;
    }
    aborting = null;
  }

  void check() throws StoppedException {
    if (stop != null) {
      throw new StoppedException();
    }
  }

  /** Waits on the worker until another batch may be sent. */
  void awaitCredit() throws StoppedException {
    while (true) {
      check();
      Kept record = kept;
      if (record != null && !record.isDirect()) {
        return; // the record has bounds of its own
      }
      int left = credit.get();
      if (left > 0) {
        // the worker alone takes credit away
        credit.decrementAndGet();
        return;
      }
      pause(deadline - System.nanoTime());
    }
  }

  /** Waits a moment, or until woken; past the deadline it stops the call itself. */
  void pause(long nanos) throws StoppedException {
    if (isLate(System.nanoTime())) {
      stop(Stop.DEADLINE);
    }
    check();
    LockSupport.parkNanos(this, Math.max(1, Math.min(nanos, deadline - System.nanoTime())));
  }
}
