package io.conexor.session.memory;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionHandover;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Sessions in the memory of this one backend. They end with it, unless they are handed over. */
@Component(
    service = {SessionStore.class, SessionHandover.class},
    configurationPid = MemorySessionStore.PID)
@Designate(ocd = MemorySessionStore.Config.class)
public final class MemorySessionStore implements SessionHandover {

  static final String PID = "io.conexor.session.memory";
  static final int MAX_ATTRIBUTES = 64;
  static final int MAX_NAME = 64;

  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofDays(30);
  private static final int MAX_PER_SUBJECT = 1_000;

  @ObjectClassDefinition(
      name = "Sessions in memory",
      description = "Keeps logins in this backend's memory; for one backend only")
  @interface Config {
    @AttributeDefinition(
        name = "Most sessions",
        description = "Sessions kept at most; beyond it a login is refused. 1..10000000",
        min = "1",
        max = "10000000")
    int max_sessions() default 100_000;

    @AttributeDefinition(
        name = "Most bytes of attributes",
        description = "Names and values of one session together, in UTF-8. 256..1048576",
        min = "256",
        max = "1048576")
    int attributes_max_bytes() default 16_384;
  }

  private record Settings(int maxSessions, int maxBytes) {
    static Settings checked(Config config) {
      return new Settings(
          within("max.sessions", config.max_sessions(), 1, 10_000_000),
          within("attributes.max.bytes", config.attributes_max_bytes(), 256, 1_048_576));
    }

    private static int within(String key, int value, int min, int max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            PID + ": " + key + " = " + value + " is outside " + min + ".." + max);
      }
      return value;
    }
  }

  /** One session; a change is a new entry put in its place atomically. */
  private record Entry(
      String subject,
      Instant createdAt,
      long order,
      long timeToLive,
      long expires,
      Map<String, String> attributes) {
    Entry until(long moment) {
      return new Entry(subject, createdAt, order, timeToLive, moment, attributes);
    }

    Entry with(Map<String, String> changed) {
      return new Entry(subject, createdAt, order, timeToLive, expires, changed);
    }
  }

  private final Settings settings;
  private final LongSupplier nanos;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();
  private final ConcurrentHashMap<SessionId, Entry> sessions = new ConcurrentHashMap<>();
  private final AtomicInteger created = new AtomicInteger();
  private final ScheduledExecutorService sweeper;

  /** Callers share it; whoever hands over has it alone. */
  private final ReadWriteLock handing = new ReentrantReadWriteLock();

  // Written by whoever hands over, alone; read by all callers, who share the lock.
  private volatile @Nullable SessionStore successor;

  @Activate
  public MemorySessionStore(Config config) {
    this(Settings.checked(config), System::nanoTime, Clock.systemUTC());
  }

  /** With the default settings. */
  public MemorySessionStore() {
    this(new Settings(100_000, 16_384), System::nanoTime, Clock.systemUTC());
  }

  MemorySessionStore(int maxSessions, LongSupplier nanos, Clock clock) {
    this(new Settings(maxSessions, 16_384), nanos, clock);
  }

  private MemorySessionStore(Settings settings, LongSupplier nanos, Clock clock) {
    this.settings = settings;
    this.nanos = nanos;
    this.clock = clock;
    this.sweeper =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-session-memory-sweeper");
              thread.setDaemon(true);
              return thread;
            });
    var unused = sweeper.scheduleWithFixedDelay(this::sweep, 10, 10, TimeUnit.SECONDS);
  }

  @Deactivate
  public void close() {
    sweeper.shutdownNow();
    sessions.clear();
  }

  /** Here, or where the sessions have gone. */
  private <T> T call(Function<SessionStore, T> there, Supplier<T> here) {
    SessionStore next;
    handing.readLock().lock();
    try {
      next = successor;
      if (next == null) {
        return here.get();
      }
    } finally {
      handing.readLock().unlock();
    }
    return there.apply(next);
  }

  @Override
  public int handOver(SessionStore next, Consumer<List<Held>> put) {
    handing.writeLock().lock();
    try {
      List<Held> all =
          sessions.entrySet().stream()
              .filter(e -> !isOver(e.getValue()))
              .sorted(Comparator.comparingLong(e -> e.getValue().order()))
              .map(
                  e ->
                      new Held(
                          session(e.getKey(), e.getValue()),
                          Duration.ofNanos(e.getValue().timeToLive())))
              .toList();
      put.accept(all);
      successor = next;
      sessions.clear();
      return all.size();
    } finally {
      handing.writeLock().unlock();
    }
  }

  @Override
  public Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    return call(
        next -> next.create(subject, attributes, timeToLive),
        () -> begin(subject, attributes, timeToLive));
  }

  @Override
  public Optional<Session> find(SessionId id) {
    return call(next -> next.find(id), () -> look(id));
  }

  @Override
  public Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    return call(next -> next.update(id, set, remove), () -> change(id, set, remove));
  }

  @Override
  public Optional<Session> rotate(SessionId id) {
    return call(next -> next.rotate(id), () -> rename(id));
  }

  @Override
  public void remove(SessionId id) {
    boolean unused =
        call(
            next -> {
              next.remove(id);
              return true;
            },
            () -> sessions.remove(id) != null);
  }

  @Override
  public int removeAll(String subject, Optional<SessionId> except) {
    return call(next -> next.removeAll(subject, except), () -> endAll(subject, except));
  }

  @Override
  public List<Session> list(String subject) {
    return call(next -> next.list(subject), () -> listed(subject));
  }

  private Session begin(String subject, Map<String, String> attributes, Duration timeToLive) {
    if (timeToLive.compareTo(SHORTEST) < 0 || timeToLive.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("time to live " + timeToLive + " is outside 1 s..30 d");
    }
    checkLimits(attributes);
    if (sessions.size() >= settings.maxSessions()) {
      sweep();
      if (sessions.size() >= settings.maxSessions()) {
        throw new ConexorException(
            ConexorException.Blame.CAPACITY,
            ConexorException.Applied.NO,
            "sessions_full",
            "this backend keeps at most "
                + settings.maxSessions()
                + " sessions in memory; raise session.memory.max.sessions or use Redis");
      }
    }
    endOldestBeyond(subject, MAX_PER_SUBJECT - 1);
    Entry entry =
        new Entry(
            subject,
            Instant.ofEpochMilli(clock.millis()),
            created.incrementAndGet(),
            timeToLive.toNanos(),
            nanos.getAsLong() + timeToLive.toNanos(),
            Map.copyOf(attributes));
    SessionId id = newId(subject);
    sessions.put(id, entry);
    return session(id, entry);
  }

  private Optional<Session> look(SessionId id) {
    Entry entry = live(id);
    if (entry == null) {
      return Optional.empty();
    }
    long now = nanos.getAsLong();
    if (now - (entry.expires() - entry.timeToLive()) > entry.timeToLive() / 10) {
      entry =
          sessions.computeIfPresent(
              id, (key, current) -> current.until(now + current.timeToLive()));
      if (entry == null) {
        return Optional.empty();
      }
    }
    return Optional.of(session(id, entry));
  }

  private Optional<Session> change(SessionId id, Map<String, String> set, List<String> remove) {
    Entry entry =
        sessions.computeIfPresent(
            id,
            (key, current) -> {
              if (isOver(current)) {
                return null;
              }
              Map<String, String> changed = new HashMap<>(current.attributes());
              remove.forEach(changed::remove);
              set.forEach(
                  (name, value) ->
                      changed.merge(
                          name,
                          value,
                          (before, now) ->
                              name.startsWith(GROWING) && before.compareTo(now) > 0
                                  ? before
                                  : now));
              checkLimits(changed);
              return current.with(Map.copyOf(changed));
            });
    return Optional.ofNullable(entry).map(e -> session(id, e));
  }

  private Optional<Session> rename(SessionId id) {
    Entry entry = sessions.remove(id);
    if (entry == null || isOver(entry)) {
      return Optional.empty();
    }
    SessionId moved = newId(entry.subject());
    sessions.put(moved, entry);
    return Optional.of(session(moved, entry));
  }

  private int endAll(String subject, Optional<SessionId> except) {
    int removed = 0;
    for (Map.Entry<SessionId, Entry> each : sessions.entrySet()) {
      if (each.getValue().subject().equals(subject)
          && !(except.isPresent() && except.get().equals(each.getKey()))
          && sessions.remove(each.getKey()) != null) {
        removed += isOver(each.getValue()) ? 0 : 1;
      }
    }
    return removed;
  }

  private List<Session> listed(String subject) {
    return entries(subject).stream().map(e -> session(e.getKey(), e.getValue())).toList();
  }

  /** Oldest first. A scan: subjects are asked about rarely, and this store is for one machine. */
  private List<Map.Entry<SessionId, Entry>> entries(String subject) {
    List<Map.Entry<SessionId, Entry>> found = new ArrayList<>();
    for (Map.Entry<SessionId, Entry> each : sessions.entrySet()) {
      if (each.getValue().subject().equals(subject) && !isOver(each.getValue())) {
        found.add(Map.entry(each.getKey(), each.getValue()));
      }
    }
    found.sort(Comparator.comparingLong(e -> e.getValue().order()));
    return found;
  }

  private void endOldestBeyond(String subject, int kept) {
    if (sessions.size() > kept) {
      List<Map.Entry<SessionId, Entry>> all = entries(subject);
      all.subList(0, Math.max(0, all.size() - kept)).forEach(e -> sessions.remove(e.getKey()));
    }
  }

  private void sweep() {
    sessions.values().removeIf(this::isOver);
  }

  private @Nullable Entry live(SessionId id) {
    Entry entry = sessions.get(id);
    return entry == null || isOver(entry) ? null : entry;
  }

  private boolean isOver(Entry entry) {
    return nanos.getAsLong() - entry.expires() >= 0;
  }

  private Session session(SessionId id, Entry entry) {
    Instant expires =
        Instant.ofEpochMilli(clock.millis()).plusNanos(entry.expires() - nanos.getAsLong());
    return new Session(id, entry.subject(), entry.createdAt(), expires, entry.attributes());
  }

  private void checkLimits(Map<String, String> attributes) {
    if (attributes.size() > MAX_ATTRIBUTES) {
      throw new IllegalArgumentException("a session has at most " + MAX_ATTRIBUTES + " attributes");
    }
    int bytes = 0;
    for (Map.Entry<String, String> each : attributes.entrySet()) {
      if (each.getKey().isEmpty() || each.getKey().length() > MAX_NAME) {
        throw new IllegalArgumentException("an attribute name is 1.." + MAX_NAME + " characters");
      }
      bytes += each.getKey().getBytes(UTF_8).length + each.getValue().getBytes(UTF_8).length;
    }
    if (bytes > settings.maxBytes()) {
      throw new IllegalArgumentException(
          "attributes of "
              + bytes
              + " bytes are more than the "
              + settings.maxBytes()
              + " allowed");
    }
  }

  /** Starts as a store with hash tags wants it (docs/adr/0017), so that it can take it over. */
  private SessionId newId(String subject) {
    byte[] bytes = new byte[24];
    random.nextBytes(bytes);
    Base64.Encoder base64 = Base64.getUrlEncoder().withoutPadding();
    return new SessionId(
        base64.encodeToString(sha256(subject)).substring(0, 3) + base64.encodeToString(bytes));
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JVM has SHA-256", e);
    }
  }
}
