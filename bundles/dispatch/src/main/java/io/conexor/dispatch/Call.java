package io.conexor.dispatch;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.Column;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.AgentId;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One call from start to its one terminal event. All fields but {@code work}, {@code steps} and
 * {@code isEnded} belong to the serialized section.
 */
final class Call implements AgentCall {

  private static final Logger log = LoggerFactory.getLogger(Call.class);

  private final Calls calls;
  final Request request;
  private final RowSink sink;

  /** 0 = nobody is inside; else one is, and has so many steps to run. */
  private final AtomicInteger work = new AtomicInteger();

  private final ConcurrentLinkedQueue<Runnable> steps = new ConcurrentLinkedQueue<>();

  /** Written inside, read by queues and the sweep. */
  private volatile boolean isEnded;

  private @Nullable Attempt current;

  /** A second attempt of a read whose first one is slow; the first to answer wins. */
  private @Nullable Attempt hedge;

  private boolean isHedged;
  private @Nullable List<Column> columns;
  private int attempts;
  private int granted = AgentCalls.INITIAL_BATCHES;
  private int delivered;
  private boolean mayHaveStarted;

  /** As it was before the attempt under way, which may turn out not to have started. */
  private boolean startedBefore;

  private @Nullable ConexorException lastFailure;
  private @Nullable List<UUID> triedAgents;
  private @Nullable List<Path> deadPaths;

  /** When waiting for an agent to appear ends; 0 = not waiting. Set before it is queued. */
  private volatile long waitUntilNanos;

  /** Since when it waits for a place; 0 = it does not. Set before it is queued. */
  private volatile long queuedNanos;

  /** Once it was needed. Written by whoever chooses a way; all write the same. */
  private volatile @Nullable UUID queryId;

  Call(Calls calls, Request request, RowSink sink) {
    this.calls = calls;
    this.request = request;
    this.sink = sink;
  }

  boolean isEnded() {
    return isEnded;
  }

  @Nullable UUID queryId() {
    UUID known = queryId;
    if (known == null) {
      known = request.queryId();
      queryId = known;
    }
    return known;
  }

  long waitUntilNanos() {
    return waitUntilNanos;
  }

  void waitUntil(long nanos) {
    waitUntilNanos = nanos;
  }

  long queuedNanos() {
    return queuedNanos;
  }

  void queuedAt(long nanos) {
    queuedNanos = nanos;
  }

  /** Enters when nobody is inside; {@link #exit} must follow. */
  boolean tryEnter() {
    return work.get() == 0 && work.compareAndSet(0, 1);
  }

  void exit() {
    if (work.decrementAndGet() != 0) {
      drain();
    }
  }

  /** Runs the step now, or has it run by whoever is inside. */
  void post(Runnable step) {
    if (tryEnter()) {
      run(step);
      exit();
      return;
    }
    steps.add(step);
    if (work.getAndIncrement() == 0) {
      drain();
    }
  }

  private void drain() {
    do {
      Runnable step = steps.poll();
      if (step != null) {
        run(step);
      }
    } while (work.decrementAndGet() != 0);
  }

  private void run(Runnable step) {
    try {
      step.run();
    } catch (RuntimeException e) {
      onDefect(e);
    }
  }

  /** Inside. One call ends, the others go on. */
  void onDefect(RuntimeException cause) {
    log.error("a step of a call failed", cause);
    end(
        new ConexorException(
            Blame.BUG,
            Applied.UNKNOWN,
            "internal_error",
            "a defect ended the call; the log of this backend has the cause",
            cause));
  }

  @Override
  public void request(int batches) {
    if (batches < 1) {
      throw new IllegalArgumentException("request of " + batches + " batches");
    }
    post(
        () -> {
          granted = (int) Math.min(Integer.MAX_VALUE, (long) granted + batches);
          passOnCredit(current);
          passOnCredit(hedge);
        });
  }

  /**
   * Inside. Tells the agent in pieces of half a window, which costs a short result no message at
   * all, but never lets it wait for what has been granted.
   */
  private void passOnCredit(@Nullable Attempt attempt) {
    if (attempt == null) {
      return;
    }
    int more = granted - attempt.granted;
    if (more >= AgentCalls.INITIAL_BATCHES / 2 || (more > 0 && delivered >= attempt.granted)) {
      attempt.granted = granted;
      attempt.path().credit(attempt, more, granted);
    }
  }

  @Override
  public void cancel(String reason) {
    post(
        () -> {
          stopAttempts();
          end(
              new ConexorException(
                  Blame.CALLER, applied(), "cancelled", "the call was cancelled: " + reason));
        });
  }

  @Override
  public CompletionStage<Optional<AgentId>> detach(UUID queryId, Duration keep) {
    CompletableFuture<Optional<AgentId>> answer = new CompletableFuture<>();
    post(
        () -> {
          Attempt attempt = current;
          if (isEnded || attempt == null || hedge != null || delivered > 0) {
            answer.complete(Optional.empty());
            return;
          }
          attempt.path().detach(attempt, queryId, (int) keep.toMillis());
          forget(attempt);
          isEnded = true;
          answer.complete(Optional.of(attempt.route.attachment().agent()));
        });
    return answer;
  }

  /** Whether a route must not be taken (again); called while nobody is inside, or from inside. */
  boolean excludes(Route route) {
    return hasTried(route)
        || isUnderWay(current, route)
        || (deadPaths != null && deadPaths.contains(route.path()))
        || !request.mayRunOn(route)
        || !route.path().isUsable();
  }

  /** Whether the agent itself answered that it can't; as {@link #excludes}. */
  boolean hasTried(Route route) {
    return triedAgents != null && triedAgents.contains(route.attachment().process());
  }

  private static boolean isUnderWay(@Nullable Attempt attempt, Route route) {
    return attempt != null
        && attempt.route.attachment().process().equals(route.attachment().process());
  }

  boolean hasExclusions() {
    return triedAgents != null || deadPaths != null;
  }

  /** Inside. Takes the route, whose place has been acquired. */
  void launch(Source source, Route route) {
    if (isEnded) {
      route.stats().release();
      source.pump();
      return;
    }
    waitUntilNanos = 0;
    queuedNanos = 0;
    Attempt attempt = new Attempt(this, route, calls.now());
    if (!calls.slots().put(attempt)) {
      route.stats().release();
      if (current == null) {
        end(Failures.backendFull());
      }
      return;
    }
    calls.shares().started(request.org());
    GrowingBytes message;
    try {
      message = request.encode(attempt.id, granted);
    } catch (ProtocolException e) {
      discard(attempt);
      end(
          new ConexorException(
              Blame.CALLER,
              Applied.NO,
              "request_too_large",
              "the statement and its parameters do not fit into one message: " + e.getMessage()));
      return;
    }
    attempts++;
    attempt.granted = granted;
    boolean isFirst = current == null;
    if (isFirst) {
      current = attempt;
    } else {
      hedge = attempt;
    }
    if (attempt.path().open(attempt, message)) {
      if (isFirst) {
        startedBefore = mayHaveStarted;
      }
      mayHaveStarted = true;
      return;
    }
    forget(attempt);
    excludePath(attempt.path());
    if (current == null) {
      again(Failures.lost(route.attachment().agentName(), Applied.NO, "its link took no message"));
    }
  }

  /** Inside. The answer is late; another agent is asked too, if one has room. */
  void onSlow(Attempt attempt) {
    if (isEnded || isHedged || attempt != current || attempt.isAnswered) {
      return;
    }
    isHedged = true;
    calls.hedge(this);
  }

  /** After so long without an answer another agent is asked too; 0 = never. */
  long hedgeNanos() {
    return request.repeatable() && !request.life().isOne()
        ? request.hedgeNanos(calls.hedgeNanos())
        : 0;
  }

  /** Inside. Some rows; the bytes are valid during this call only. */
  void onBatch(
      Attempt attempt,
      @Nullable List<Column> newColumns,
      int rows,
      byte[] bytes,
      int offset,
      int length) {
    if (isEnded || !isLive(attempt)) {
      return;
    }
    answered(attempt);
    win(attempt);
    if (columns == null) {
      columns = newColumns;
    }
    List<Column> known = columns;
    if (known == null || delivered >= granted) {
      stopAttempts();
      end(
          Failures.misbehaved(
              agent(attempt), known == null ? "rows without columns" : "more rows than asked for"));
      return;
    }
    delivered++;
    sink.batch(new RowBatch(known, rows, bytes, offset, length));
    passOnCredit(attempt);
  }

  /** Inside. The agent ended the call. */
  void onEnd(Attempt attempt, CallEnd result) {
    if (isEnded || !isLive(attempt)) {
      return;
    }
    answered(attempt);
    CallError error = result.error();
    if (result.status() == CallStatus.DONE || error == null) {
      win(attempt);
      forget(attempt);
      attempt.route.stats().succeeded();
      if (columns == null) {
        end(Failures.misbehaved(agent(attempt), "a result without columns"));
        return;
      }
      isEnded = true;
      try {
        sink.done(
            new QuerySummary(
                attempt.route.attachment().agent(),
                agent(attempt),
                result.rowCount(),
                result.truncated(),
                result.elapsedMicros()));
      } catch (RuntimeException e) {
        log.error("a receiver of rows failed at the end", e);
      }
      return;
    }
    forget(attempt);
    ConexorException failure = Failures.of(agent(attempt), error);
    if (failure.applied() == Applied.NO && current == null) {
      mayHaveStarted = startedBefore;
    }
    // A defect may be one of the statement; it says nothing about the next one.
    if (failure.blame() == Blame.DEPENDENCY) {
      attempt.route.stats().failed(calls.now());
    } else {
      attempt.route.stats().succeeded();
    }
    boolean isElsewhere = request.life().runsNothing() && failure.code().equals("query_unknown");
    boolean isAnothersTurn =
        isElsewhere
            || failure.safeToRetry()
            || (request.repeatable() && failure.blame() != Blame.CALLER);
    if (delivered == 0 && isAnothersTurn) {
      if (triedAgents == null) {
        triedAgents = new ArrayList<>(2);
      }
      triedAgents.add(attempt.route.attachment().process());
      again(failure);
    } else {
      stopAttempts();
      end(failure);
    }
  }

  /**
   * Inside. The way to the agent is gone, or something on it.
   *
   * @param isPathGone it will not come back
   */
  void onLost(Attempt attempt, Applied applied, boolean isPathGone, String reason) {
    if (isEnded || !isLive(attempt)) {
      return;
    }
    attempt.path().cancel(attempt);
    forget(attempt);
    if (isPathGone) {
      excludePath(attempt.path());
    }
    if (applied == Applied.NO && current == null) {
      mayHaveStarted = startedBefore;
    }
    ConexorException failure = Failures.lost(agent(attempt), applied, reason);
    if (delivered == 0 && (applied == Applied.NO || request.repeatable())) {
      again(failure);
    } else {
      end(failure);
    }
  }

  /** Inside. What the agent said about an attempt; the bytes are valid during this call only. */
  void onMessage(Attempt attempt, ByteBuffer message) {
    if (isEnded || !isLive(attempt)) {
      return;
    }
    FrameReader frame = new FrameReader().message(message);
    if (frame.type() == HubMessage.STREAM_ITEM) {
      AgentMessage.RowBatch batch = AgentDecoder.rowBatch(frame);
      onBatch(
          attempt,
          Columns.of(batch.columns()),
          batch.rowCount(),
          batch.bytes(),
          batch.rowsOffset(),
          batch.rowsLength());
    } else if (frame.type() == HubMessage.COMPLETION) {
      onEnd(attempt, AgentDecoder.callEnd(frame));
    }
  }

  /** Inside. An agent's message can't be read. */
  void onGarbage(Attempt attempt, ProtocolException cause) {
    if (!isEnded && isLive(attempt)) {
      stopAttempts();
      end(Failures.misbehaved(agent(attempt), "garbage: " + cause.getMessage()));
    }
  }

  /** Inside. The deadline has passed. */
  void onDeadline() {
    if (isEnded) {
      return;
    }
    Attempt attempt = current;
    if (attempt != null && !attempt.isAnswered) {
      long now = calls.now();
      attempt.route.stats().atLeast(now - attempt.startedNanos, now);
    }
    stopAttempts();
    end(
        Failures.deadline(
            request.source(), attempt == null ? null : agent(attempt), applied(), lastFailure));
  }

  /**
   * Inside. No agent has come, or none that is left.
   *
   * @param isListed there are agents, but no way to one
   */
  void onNobody(boolean isListed) {
    ConexorException last = lastFailure;
    if (last != null) {
      end(last);
    } else {
      String source = request.source();
      end(isListed ? Failures.unreachable(source) : Failures.noAgent(source));
    }
  }

  /** Inside. There is no place now, and none to wait in. */
  void onRefused(ConexorException refusal) {
    end(refusal);
  }

  /** Inside, or before anyone else knows the call. */
  private void again(ConexorException failure) {
    lastFailure = failure;
    if (current != null) {
      return; // the other attempt goes on
    }
    columns = null;
    if (attempts >= calls.maxAttempts() || request.deadline().passed()) {
      end(failure);
    } else {
      calls.admit(this);
    }
  }

  private void answered(Attempt attempt) {
    if (!attempt.isAnswered) {
      attempt.isAnswered = true;
      long now = calls.now();
      attempt.route.stats().sample(now - attempt.startedNanos, now);
    }
  }

  private void excludePath(Path path) {
    if (deadPaths == null) {
      deadPaths = new ArrayList<>(2);
    }
    deadPaths.add(path);
  }

  private boolean isLive(Attempt attempt) {
    return attempt == current || attempt == hedge;
  }

  /** The attempt is the one whose rows count; what else is under way is cancelled. */
  private void win(Attempt attempt) {
    Attempt loser = attempt == current ? hedge : current;
    if (loser != null) {
      loser.path().cancel(loser);
      forget(loser);
    }
  }

  /** Has the agents cancel what is under way, and forgets it. */
  private void stopAttempts() {
    while (current != null) {
      Attempt attempt = current;
      attempt.path().cancel(attempt);
      forget(attempt);
    }
  }

  private void forget(Attempt attempt) {
    if (attempt == current) {
      current = hedge;
    }
    hedge = null;
    discard(attempt);
  }

  private void discard(Attempt attempt) {
    if (calls.slots().remove(attempt)) {
      attempt.route.stats().release();
      calls.shares().ended(request.org());
      calls.released(this);
    }
  }

  private void end(ConexorException failure) {
    if (isEnded) {
      return;
    }
    stopAttempts();
    isEnded = true;
    try {
      sink.failed(failure);
    } catch (RuntimeException e) {
      log.error("a receiver of rows failed at the end", e);
    }
  }

  private Applied applied() {
    return mayHaveStarted ? Applied.UNKNOWN : Applied.NO;
  }

  private static String agent(Attempt attempt) {
    return attempt.route.attachment().agentName();
  }

  /** What is left before the deadline. */
  Duration remaining() {
    return request.deadline().remaining();
  }
}
