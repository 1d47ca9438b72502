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
import java.util.UUID;
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

  Call(Calls calls, Request request, RowSink sink) {
    this.calls = calls;
    this.request = request;
    this.sink = sink;
  }

  boolean isEnded() {
    return isEnded;
  }

  long waitUntilNanos() {
    return waitUntilNanos;
  }

  void waitUntil(long nanos) {
    waitUntilNanos = nanos;
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
      log.error("a step of a call failed", e);
      end(
          null,
          new ConexorException(
              Blame.BUG,
              Applied.UNKNOWN,
              "internal_error",
              "a defect ended the call; the log of this backend has the cause",
              e));
    }
  }

  @Override
  public void request(int batches) {
    if (batches < 1) {
      throw new IllegalArgumentException("request of " + batches + " batches");
    }
    post(
        () -> {
          granted = (int) Math.min(Integer.MAX_VALUE, (long) granted + batches);
          Attempt attempt = current;
          if (attempt != null) {
            passOnCredit(attempt);
          }
        });
  }

  /**
   * Inside. Tells the agent in pieces of half a window, which costs a short result no message at
   * all, but never lets it wait for what has been granted.
   */
  private void passOnCredit(Attempt attempt) {
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
          stopAttempt();
          end(
              null,
              new ConexorException(
                  Blame.CALLER, applied(), "cancelled", "the call was cancelled: " + reason));
        });
  }

  /** Whether a route must not be taken (again); called while nobody is inside, or from inside. */
  boolean excludes(Route route) {
    return hasTried(route)
        || (deadPaths != null && deadPaths.contains(route.path()))
        || !route.path().isUsable();
  }

  /** Whether the agent itself answered that it can't; as {@link #excludes}. */
  boolean hasTried(Route route) {
    return triedAgents != null && triedAgents.contains(route.attachment().process());
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
    Attempt attempt = new Attempt(this, route, calls.now());
    if (!calls.slots().put(attempt)) {
      route.stats().release();
      end(null, Failures.backendFull());
      return;
    }
    GrowingBytes message;
    try {
      message = request.encode(attempt.id, granted);
    } catch (ProtocolException e) {
      discard(attempt);
      end(
          null,
          new ConexorException(
              Blame.CALLER,
              Applied.NO,
              "request_too_large",
              "the statement and its parameters do not fit into one message: " + e.getMessage()));
      return;
    }
    current = attempt;
    attempts++;
    attempt.granted = granted;
    if (attempt.path().open(attempt, message)) {
      startedBefore = mayHaveStarted;
      mayHaveStarted = true;
      return;
    }
    current = null;
    discard(attempt);
    excludePath(attempt.path());
    again(Failures.lost(route.attachment().agentName(), Applied.NO, "its link took no message"));
  }

  /** Inside. Some rows; the bytes are valid during this call only. */
  void onBatch(
      Attempt attempt,
      @Nullable List<Column> newColumns,
      int rows,
      byte[] bytes,
      int offset,
      int length) {
    if (isEnded || attempt != current) {
      return;
    }
    answered(attempt);
    if (columns == null) {
      columns = newColumns;
    }
    List<Column> known = columns;
    if (known == null || delivered >= granted) {
      stopAttempt();
      end(
          attempt,
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
    if (isEnded || attempt != current) {
      return;
    }
    answered(attempt);
    current = null;
    discard(attempt);
    CallError error = result.error();
    if (result.status() == CallStatus.DONE || error == null) {
      attempt.route.stats().succeeded();
      if (columns == null) {
        end(attempt, Failures.misbehaved(agent(attempt), "a result without columns"));
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
    ConexorException failure = Failures.of(agent(attempt), error);
    if (failure.applied() == Applied.NO) {
      mayHaveStarted = startedBefore;
    }
    if (failure.blame() == Blame.DEPENDENCY || failure.blame() == Blame.BUG) {
      attempt.route.stats().failed(calls.now());
    } else {
      attempt.route.stats().succeeded();
    }
    boolean isAnothersTurn =
        failure.safeToRetry() || (request.repeatable() && failure.blame() != Blame.CALLER);
    if (delivered == 0 && isAnothersTurn) {
      if (triedAgents == null) {
        triedAgents = new ArrayList<>(2);
      }
      triedAgents.add(attempt.route.attachment().process());
      again(failure);
    } else {
      end(attempt, failure);
    }
  }

  /**
   * Inside. The way to the agent is gone, or something on it.
   *
   * @param isPathGone it will not come back
   */
  void onLost(Attempt attempt, Applied applied, boolean isPathGone, String reason) {
    if (isEnded || attempt != current) {
      return;
    }
    stopAttempt();
    if (isPathGone) {
      excludePath(attempt.path());
    }
    if (applied == Applied.NO) {
      mayHaveStarted = startedBefore;
    }
    ConexorException failure = Failures.lost(agent(attempt), applied, reason);
    if (delivered == 0 && (applied == Applied.NO || request.repeatable())) {
      again(failure);
    } else {
      end(attempt, failure);
    }
  }

  /** Inside. What the agent said about an attempt; the bytes are valid during this call only. */
  void onMessage(Attempt attempt, ByteBuffer message) {
    if (isEnded || attempt != current) {
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
    if (!isEnded && attempt == current) {
      stopAttempt();
      end(attempt, Failures.misbehaved(agent(attempt), "garbage: " + cause.getMessage()));
    }
  }

  /** Inside. The deadline has passed. */
  void onDeadline() {
    if (isEnded) {
      return;
    }
    Attempt attempt = current;
    if (attempt != null) {
      attempt.route.stats().failed(calls.now());
    }
    stopAttempt();
    end(
        attempt,
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
      end(null, last);
    } else {
      String source = request.source();
      end(null, isListed ? Failures.unreachable(source) : Failures.noAgent(source));
    }
  }

  /** Inside. There is no place now, and none to wait in. */
  void onRefused(ConexorException refusal) {
    end(null, refusal);
  }

  /** Inside, or before anyone else knows the call. */
  private void again(ConexorException failure) {
    lastFailure = failure;
    columns = null;
    if (attempts >= calls.maxAttempts() || request.deadline().passed()) {
      end(null, failure);
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

  /** Has the agent cancel the attempt under way, and forgets it. */
  private void stopAttempt() {
    Attempt attempt = current;
    current = null;
    if (attempt != null) {
      attempt.path().cancel(attempt);
      discard(attempt);
    }
  }

  private void discard(Attempt attempt) {
    if (calls.slots().remove(attempt)) {
      attempt.route.stats().release();
      calls.released(this);
    }
  }

  private void end(@Nullable Attempt attempt, ConexorException failure) {
    if (isEnded) {
      return;
    }
    isEnded = true;
    Attempt left = current != null ? current : attempt;
    current = null;
    if (left != null) {
      discard(left);
    }
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
