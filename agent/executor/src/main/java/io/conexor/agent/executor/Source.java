package io.conexor.agent.executor;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.conexor.api.agent.SourceOffer;
import io.conexor.protocol.agent.AgentMessage.CallError;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One data source: its pool, its workers, its queue, its gate and its probe. What happens to one
 * source (a hanging database, a flood of calls) leaves the others alone.
 *
 * <p><b>Threads.</b> Workers run calls and write the answers; the timer watches deadlines; the
 * canceller talks to the database about statements to stop; the probe looks at the database's
 * health.
 */
@Component(
    service = {Source.class, Supplier.class},
    property = "conexor.check:Boolean=true",
    configurationPid = SourceConfig.PID,
    configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = SourceConfig.class, factory = true)
public final class Source implements Supplier<List<String>> {
  private static final Logger log = LoggerFactory.getLogger(Source.class);

  private static final long TICK_MILLIS = 20;

  /** A database that is down is looked at at least so often. */
  private static final long DOWN_PROBE_MILLIS = 1_000;

  private static final long ABORT_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final SourceSettings settings;
  private final Engine engine;
  private final HikariDataSource pool;
  private final QueryRunner runner;
  private final SchemaReader schema;
  private final ArrayBlockingQueue<Call> queue;
  private final AtomicReferenceArray<@Nullable Call> running;

  /** Calls that wait or run. The queue alone cannot tell: a free worker may not have come yet. */
  private final AtomicInteger taken = new AtomicInteger();

  private final Thread[] workers;
  private final ScheduledThreadPoolExecutor timer;
  private final ScheduledThreadPoolExecutor probe;
  private final ExecutorService canceller;

  /** Written by the probe, read by anyone. */
  private volatile SourceOffer offer;

  /** Written by the executor, read by the probe. */
  private volatile Runnable changed = () -> {};

  /** Written once by {@link #deactivate}, read by all threads here. */
  private volatile boolean isClosed;

  /** Owned by the probe's thread. */
  private @Nullable Rights rights;

  @Activate
  public Source(BundleContext context, SourceConfig config, Map<String, Object> properties) {
    this(
        SourceSettings.checked((String) properties.get("service.pid"), config),
        Drivers.inBundles(context));
  }

  Source(SourceSettings settings, Drivers drivers) {
    this.settings = settings;
    this.engine = new Engine(settings);
    this.timer = scheduler("timer", 1);
    this.probe = scheduler("probe", 1);
    ThreadPoolExecutor cancelling =
        new ThreadPoolExecutor(
            4, 4, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(10_000), threads("cancel"));
    cancelling.allowCoreThreadTimeOut(true);
    this.canceller = cancelling;
    this.pool = pool(drivers);
    ReadOnlyGate gate =
        new ReadOnlyGate(ReadOnlyGate.Limits.DEFAULT, settings.functionsAllowed(), timer);
    this.runner = new QueryRunner(settings, engine, pool, gate);
    this.schema = new SchemaReader(settings, engine, pool);
    this.queue = new ArrayBlockingQueue<>(settings.workers() + settings.maxQueued());
    this.running = new AtomicReferenceArray<>(settings.workers());
    this.offer = offer(SourceOffer.State.UNKNOWN, "", "not looked at yet");
    this.workers = new Thread[settings.workers()];
    ThreadFactory factory = threads("worker");
    for (int i = 0; i < workers.length; i++) {
      int slot = i;
      workers[i] = factory.newThread(() -> work(slot));
      workers[i].start();
    }
    var unusedTimer =
        timer.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
    probe.execute(this::lookAgain);
    log.info(
        "source '{}' ({}): {} workers, {} may wait, {} rows, {} bytes, {} at most{}",
        settings.name(),
        settings.engine(),
        settings.workers(),
        settings.maxQueued(),
        settings.maxRows(),
        settings.maxBytes(),
        settings.maxTime(),
        settings.isReadOnly() ? "; read-only" : "");
    if (!settings.isReadOnly()) {
      log.warn(
          "source '{}' is not read-only: any statement runs, with the rights of its role",
          settings.name());
    }
  }

  @Deactivate
  void deactivate() {
    isClosed = true;
    probe.shutdownNow();
    Call waiting;
    while ((waiting = queue.poll()) != null) {
      refuse(waiting, stopping("NO"));
    }
    for (int i = 0; i < running.length(); i++) {
      Call call = running.get(i);
      if (call != null && call.stop(Call.Stop.CLOSING)) {
        cancelLater(call);
      }
    }
    for (Thread worker : workers) {
      worker.interrupt();
    }
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
    try {
      for (Thread worker : workers) {
        worker.join(Math.max(1, TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime())));
      }
      // a connection in use would outlive the pool with drivers that cannot abort
      if (!probe.awaitTermination(until - System.nanoTime(), TimeUnit.NANOSECONDS)) {
        log.debug("the probe of '{}' is still looking", settings.name());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    timer.shutdownNow();
    canceller.shutdownNow();
    pool.close();
  }

  String name() {
    return settings.name();
  }

  SourceSettings settings() {
    return settings;
  }

  /** For {@code check}: what there is to say about it, beginning with ok, wait, note or wrong. */
  @Override
  public List<String> get() {
    SourceOffer now = offer;
    String what = "source '" + settings.name() + "' (" + settings.engine() + "): ";
    return switch (now.state()) {
      case UNKNOWN -> List.of("wait: " + what + "not looked at yet");
      case DOWN ->
          List.of(
              "wrong: "
                  + what
                  + now.reason()
                  + "; look at url, user and password of agent.executor.source~"
                  + settings.name());
      case UP ->
          now.reason().isEmpty()
              ? List.of("ok: " + what + now.productVersion() + access())
              : List.of(
                  "ok: " + what + now.productVersion() + access(), "note: " + what + now.reason());
    };
  }

  private String access() {
    return settings.isReadOnly() ? ", read-only" : ", changes allowed";
  }

  /** What the backends are told about this source. */
  SourceOffer offer() {
    return offer;
  }

  /** Calls the listener, from the probe's thread, when the offer has changed. */
  void onChange(Runnable listener) {
    changed = listener;
  }

  /** Takes a call or refuses it at once. Does not block. */
  void submit(Call call) {
    boolean fits = taken.incrementAndGet() <= settings.workers() + settings.maxQueued();
    if (isClosed) {
      refuse(call, stopping("NO"));
    } else if (!fits || !queue.offer(call)) {
      refuse(
          call,
          SqlFailures.of(
              "source_busy",
              "CAPACITY",
              "NO",
              "'"
                  + settings.name()
                  + "' runs "
                  + settings.workers()
                  + " statements and "
                  + settings.maxQueued()
                  + " more wait already"));
    } else if (isClosed && queue.remove(call)) {
      refuse(call, stopping("NO"));
    }
  }

  /** Stops a call: takes it out of the queue, or cancels its statement. Does not block. */
  void stop(Call call, Call.Stop why) {
    if (!call.stop(why)) {
      return;
    }
    if (queue.remove(call)) {
      stopped(call, new Answer(call, 0));
      done(call);
    } else {
      cancelLater(call);
    }
  }

  private CallError stopping(String applied) {
    return SqlFailures.of(
        "source_stopping",
        "DEPENDENCY",
        applied,
        "the agent no longer serves '" + settings.name() + "'");
  }

  private CallError unreachable() {
    return SqlFailures.of(
        "source_unreachable",
        "DEPENDENCY",
        "NO",
        "'" + settings.name() + "' is down: " + offer.reason());
  }

  static void refuse(Call call, CallError error) {
    new Answer(call, 0).fail(CallStatus.FAILED, error);
    done(call);
  }

  private static void done(Call call) {
    call.leave();
    call.done();
  }

  /** A call no longer counts; called once for each that was submitted. */
  void left() {
    taken.decrementAndGet();
  }

  private void cancelLater(Call call) {
    try {
      canceller.execute(() -> call.cancelStatement(engine));
    } catch (RejectedExecutionException e) {
      // the timer tries again
      log.debug("cancelling is behind");
    }
  }

  private void work(int slot) {
    while (!isClosed) {
      Call call;
      try {
        call = queue.take();
      } catch (InterruptedException e) {
        // deactivation; anything else is a stray interrupt of a driver
        continue;
      }
      running.set(slot, call);
      try {
        run(call);
      } finally {
        running.set(slot, null);
        done(call);
      }
    }
  }

  private void run(Call call) {
    Answer answer = new Answer(call, limit(call.maxBytes, settings.maxBytes()));
    try {
      call.worker(Thread.currentThread());
      if (call.isLate(System.nanoTime())) {
        call.stop(Call.Stop.DEADLINE);
      }
      call.check();
      if (offer.state() == SourceOffer.State.DOWN
          && pool.getHikariPoolMXBean().getIdleConnections() == 0) {
        // waiting for a connection would only hold a worker
        answer.fail(CallStatus.FAILED, unreachable());
        return;
      }
      String sql = call.sql;
      if (sql == null) {
        schema.describe(call, answer);
      } else {
        runner.run(call, sql, answer, limit(call.maxRows, settings.maxRows()));
      }
    } catch (Call.StoppedException e) {
      stopped(call, answer);
    } catch (QueryRunner.RefusedException e) {
      answer.fail(CallStatus.FAILED, e.error());
    } catch (QueryRunner.FailedException e) {
      if (call.stopped() != null) {
        stopped(call, answer);
      } else {
        CallError error =
            SqlFailures.of(
                settings, e.cause(), call.parameters, settings.isReadOnly(), e.wasSent());
        if (error.blame().equals("DEPENDENCY")) {
          probeSoon();
        }
        answer.fail(CallStatus.FAILED, error);
      }
    } catch (Answer.RowTooLargeException e) {
      answer.fail(
          CallStatus.FAILED,
          SqlFailures.of(
              "row_too_large",
              "CALLER",
              settings.isReadOnly() ? "NO" : "UNKNOWN",
              "a row does not fit into one message of 4 MiB; select fewer or shorter columns"));
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      log.error("a call to '{}' failed by a defect", settings.name(), e);
      answer.fail(
          CallStatus.FAILED,
          SqlFailures.of(
              "agent_defect",
              "BUG",
              settings.isReadOnly() ? "NO" : "UNKNOWN",
              "the agent failed; its log says how (" + e.getClass().getSimpleName() + ")"));
    }
  }

  private static long limit(long asked, long ceiling) {
    return asked <= 0 ? ceiling : Math.min(asked, ceiling);
  }

  private void stopped(Call call, Answer answer) {
    String applied = settings.isReadOnly() ? "NO" : "UNKNOWN";
    Call.Stop why = call.stopped();
    if (why == Call.Stop.CANCELLED) {
      answer.fail(
          CallStatus.CANCELLED,
          SqlFailures.of("cancelled", "CALLER", applied, "the call was cancelled"));
    } else if (why == Call.Stop.OVERFLOW) {
      answer.fail(
          CallStatus.FAILED,
          SqlFailures.of(
              "keep_full",
              "CAPACITY",
              applied,
              "the agent has no room to keep the result; ask for less, or raise"
                  + " agent.executor.keep.bytes.max"));
    } else if (why == Call.Stop.CLOSING) {
      answer.fail(CallStatus.FAILED, stopping(applied));
    } else if (why == Call.Stop.DEADLINE) {
      CallError error =
          call.isAtCeiling
              ? SqlFailures.of(
                  "time_limit",
                  "CALLER",
                  applied,
                  "the statement took longer than the "
                      + settings.maxTime().toMillis()
                      + " ms allowed on '"
                      + settings.name()
                      + "'")
              : SqlFailures.of(
                  "deadline_exceeded",
                  "DEPENDENCY",
                  applied,
                  "'" + settings.name() + "' did not answer within the deadline");
      answer.fail(CallStatus.FAILED, error);
    }
  }

  /**
   * Ends what is past its deadline; the wire's deadlines are milliseconds, {@code
   * setQueryTimeout}'s are seconds.
   */
  private void tick() {
    try {
      long now = System.nanoTime();
      for (int i = 0; i < running.length(); i++) {
        Call call = running.get(i);
        if (call != null) {
          watch(call, now);
        }
      }
      for (Iterator<Call> i = queue.iterator(); i.hasNext(); ) {
        Call call = i.next();
        if (call.isLate(now)) {
          stop(call, Call.Stop.DEADLINE);
        }
      }
    } catch (RuntimeException e) {
      log.error("watching deadlines of '{}' failed; going on", settings.name(), e);
    }
  }

  private void watch(Call call, long now) {
    if (call.stopped() == null) {
      call.recordIfLong(now);
      if (call.isLate(now) && call.stop(Call.Stop.DEADLINE)) {
        cancelLater(call);
      }
      return;
    }
    long since = now - call.stoppedAt();
    if (since > ABORT_NANOS) {
      call.abort(canceller);
    } else if (call.isCancelDue(now)) {
      cancelLater(call);
    }
  }

  private void probeSoon() {
    try {
      probe.execute(this::look);
    } catch (RejectedExecutionException e) {
      log.debug("the source is closing");
    }
  }

  /** Looks, and plans the next look; one chain of these runs for ever. */
  private void lookAgain() {
    look();
    long millis = settings.probeInterval().toMillis();
    if (offer.state() != SourceOffer.State.UP) {
      millis = Math.min(millis, DOWN_PROBE_MILLIS);
    }
    try {
      var unusedNext = probe.schedule(this::lookAgain, millis, TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      log.debug("the source is closing");
    }
  }

  private void look() {
    SourceOffer before = offer;
    SourceOffer now;
    try (Connection connection = pool.getConnection()) {
      if (!connection.isValid(2)) {
        throw new SQLException("the connection does not answer", "08006");
      }
      Rights known = rights;
      if (known == null || before.state() != SourceOffer.State.UP) {
        known = Rights.of(connection, settings, engine);
        rights = known;
        if (settings.isReadOnly() && !known.detail().isEmpty()) {
          log.warn("source '{}': {}", settings.name(), known.detail());
        }
      }
      String version =
          before.productVersion().isEmpty() || before.state() != SourceOffer.State.UP
              ? connection.getMetaData().getDatabaseProductName()
                  + " "
                  + connection.getMetaData().getDatabaseProductVersion()
              : before.productVersion();
      now = offer(SourceOffer.State.UP, version, known.detail());
    } catch (SQLException | RuntimeException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      now =
          offer(
              SourceOffer.State.DOWN,
              before.productVersion(),
              SqlFailures.clean(settings, cause, List.of()));
    }
    if (isClosed || now.equals(before)) {
      return;
    }
    offer = now;
    if (now.state() != before.state()) {
      log.info(
          "source '{}' -> {}: {}",
          settings.name(),
          now.state(),
          now.state() == SourceOffer.State.UP ? now.productVersion() : now.reason());
    }
    changed.run();
  }

  private SourceOffer offer(SourceOffer.State state, String version, String reason) {
    return new SourceOffer(
        settings.name(),
        settings.engine(),
        version,
        settings.isReadOnly(),
        settings.maxRows(),
        settings.maxBytes(),
        settings.workers(),
        state,
        reason);
  }

  private HikariDataSource pool(Drivers drivers) {
    HikariConfig config = new HikariConfig();
    config.setPoolName("conexor-" + settings.name());
    config.setDataSource(new DriverDataSource(settings, drivers, engine));
    // one for the probe
    config.setMaximumPoolSize(settings.workers() + 1);
    config.setMinimumIdle(1);
    config.setConnectionTimeout(settings.connectTimeout().toMillis());
    config.setValidationTimeout(Math.min(2_000, settings.connectTimeout().toMillis()));
    config.setInitializationFailTimeout(-1);
    // the pool would switch it off otherwise, which SQLite refuses on a file opened for reading
    config.setReadOnly(settings.isReadOnly() && settings.dialect() == Dialect.SQLITE);
    config.setKeepaliveTime(TimeUnit.SECONDS.toMillis(60));
    config.setThreadFactory(threads("pool"));
    return new HikariDataSource(config);
  }

  private ScheduledThreadPoolExecutor scheduler(String role, int size) {
    ScheduledThreadPoolExecutor scheduler = new ScheduledThreadPoolExecutor(size, threads(role));
    scheduler.setRemoveOnCancelPolicy(true);
    return scheduler;
  }

  private ThreadFactory threads(String role) {
    AtomicInteger number = new AtomicInteger();
    return task -> {
      Thread thread =
          new Thread(
              task,
              "conexor-agent-executor-"
                  + role
                  + "-"
                  + settings.name()
                  + "-"
                  + number.getAndIncrement());
      thread.setDaemon(true);
      return thread;
    };
  }
}
