package io.conexor.session.redis;

import io.conexor.api.session.Session;
import io.conexor.api.session.SessionHandover;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.FrameworkUtil;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.redisson.api.RedissonClient;

/**
 * Sessions in Redis. Keys and commands: README.md of this bundle.
 *
 * <p>A session id starts with three characters that follow from its subject; they are the hash tag
 * of its key and of the subject's index, so whatever concerns one subject is one atomic script on
 * one server, in both topologies.
 *
 * <p>While the backend is connected to a second installation that it moves to or comes from, {@link
 * Move} answers instead. While it replaces a store of another kind it leaves everything to that
 * one, until the migration takes over what is there.
 */
@Component(
    service = {SessionStore.class, BiFunction.class},
    configurationPid = RedisSessionStore.PID,
    property = "conexor.migrate:Integer=2")
@Designate(ocd = RedisSessionStore.Config.class)
public final class RedisSessionStore implements SessionStore, BiFunction<Bundle, Bundle, String> {

  static final String PID = "io.conexor.session.redis";

  @ObjectClassDefinition(name = "Sessions in Redis", description = "Keeps logins in Redis")
  @interface Config {
    @AttributeDefinition(
        name = "Operation timeout",
        description = "Milliseconds any call may take, repeats included. 100..60000",
        min = "100",
        max = "60000")
    long operation_timeout_ms() default 4_500;

    @AttributeDefinition(
        name = "Key prefix",
        description = "Starts every key; a change loses all sessions. 1..32 of a-z, 0-9 and :")
    String key_prefix() default "conexor:";

    @AttributeDefinition(
        name = "Most bytes of attributes",
        description = "Names and values of one session together, in UTF-8. 256..1048576",
        min = "256",
        max = "1048576")
    int attributes_max_bytes() default 16_384;

    @AttributeDefinition(
        name = "Replicas",
        description = "Replicas a change waits for (WAIT); 0 = none. Ignored on one server. 0..5",
        min = "0",
        max = "5")
    int durability_replicas() default 1;

    @AttributeDefinition(
        name = "Replicas' time",
        description = "Milliseconds a change waits for its replicas. 1..10000",
        min = "1",
        max = "10000")
    int durability_timeout_ms() default 100;

    @AttributeDefinition(
        name = "Replicas are required",
        description = "Whether a change that too few replicas confirmed fails (outcome unknown)")
    boolean durability_required() default false;
  }

  /** The configuration, checked. */
  public record Settings(
      Duration timeout,
      String prefix,
      int maxBytes,
      int replicas,
      Duration replicaTime,
      boolean replicasRequired) {

    /** The defaults, for those who start without a configuration. */
    public static Settings defaults() {
      return new Settings(
          Duration.ofMillis(4_500), "conexor:", 16_384, 1, Duration.ofMillis(100), false);
    }

    static Settings checked(Config config) {
      if (!config.key_prefix().matches("[a-z0-9:]{1,32}")) {
        throw new IllegalArgumentException(
            PID + ": key.prefix = '" + config.key_prefix() + "' is not 1..32 of a-z, 0-9 and :");
      }
      return new Settings(
          Duration.ofMillis(
              within("operation.timeout.ms", config.operation_timeout_ms(), 100, 60_000)),
          config.key_prefix(),
          (int) within("attributes.max.bytes", config.attributes_max_bytes(), 256, 1_048_576),
          (int) within("durability.replicas", config.durability_replicas(), 0, 5),
          Duration.ofMillis(
              within("durability.timeout.ms", config.durability_timeout_ms(), 1, 10_000)),
          config.durability_required());
    }

    private static long within(String key, long value, long min, long max) {
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            PID + ": " + key + " = " + value + " is outside " + min + ".." + max);
      }
      return value;
    }
  }

  private final Settings settings;
  private final Sessions sessions;

  // Written by declarative services (the new one is bound before the old is unbound), read by all.
  private volatile Sessions.@Nullable Redis redis;
  private volatile @Nullable Move move;
  // The store this one replaces, until it has given its sessions away.
  private volatile @Nullable SessionHandover before;
  // Guarded by this.
  private Sessions.@Nullable Redis joining;
  private Sessions.@Nullable Redis leaving;
  private @Nullable Predicate<Bundle> coming;
  private boolean isActive;

  @Activate
  public RedisSessionStore(Config config) {
    this(Settings.checked(config));
  }

  private RedisSessionStore(Settings settings) {
    this.settings = settings;
    this.sessions = new Sessions(settings, () -> redis);
  }

  /** On a client that its owner closes. */
  public RedisSessionStore(RedissonClient client, boolean hasReplicas, Settings settings) {
    this(settings);
    this.redis = new Sessions.Redis(client, hasReplicas);
  }

  @Reference(
      name = "redis",
      target = "(!(conexor.joining=true))",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  synchronized void bindRedis(RedissonClient client, Map<String, Object> properties) {
    redis = described(client, properties);
    sessions.speakAgain();
    decide();
  }

  synchronized void unbindRedis(RedissonClient client) {
    Sessions.Redis current = redis;
    if (current != null && current.client() == client) {
      redis = null;
    }
    decide();
  }

  /** 0..1: an installation this backend is about to move to. */
  @Reference(
      name = "joining",
      target = "(conexor.joining=true)",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC)
  synchronized void bindJoining(RedissonClient client, Map<String, Object> properties) {
    joining = described(client, properties);
    decide();
  }

  synchronized void unbindJoining(RedissonClient client) {
    joining = null;
    decide();
  }

  /** 0..1: the installation this backend has moved from. */
  @Reference(
      name = "leaving",
      target = "(conexor.leaving=true)",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC)
  synchronized void bindLeaving(RedissonClient client, Map<String, Object> properties) {
    leaving = described(client, properties);
    decide();
  }

  synchronized void unbindLeaving(RedissonClient client) {
    leaving = null;
    decide();
  }

  /** 0..1: only one that was there first is replaced; what comes in later replaces this one. */
  @Reference(
      name = "before",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC)
  synchronized void bindBefore(SessionHandover other) {
    if (!isActive) {
      before = other;
    }
  }

  synchronized void unbindBefore(SessionHandover other) {
    if (other.equals(before)) {
      before = null;
    }
  }

  /** 0..1: while a swap migrates, tells which bundles come in by it. */
  @Reference(
      name = "coming",
      target = "(conexor.joining=true)",
      cardinality = ReferenceCardinality.OPTIONAL,
      policy = ReferencePolicy.DYNAMIC)
  synchronized void bindComing(Predicate<Bundle> change) {
    coming = change;
  }

  synchronized void unbindComing(Predicate<Bundle> change) {
    coming = null;
  }

  /** All references are bound by now, and nobody has got this store yet. */
  @Activate
  synchronized void activate() {
    isActive = true;
    if (coming == null || !coming.test(FrameworkUtil.getBundle(getClass()))) {
      before = null;
    }
  }

  private static Sessions.Redis described(RedissonClient client, Map<String, Object> properties) {
    return new Sessions.Redis(client, !"standalone".equals(properties.get("redis.mode")));
  }

  private void decide() {
    Sessions.Redis main = redis;
    Sessions.Redis from = leaving == null ? main : leaving;
    Sessions.Redis to = joining == null ? main : joining;
    if (leaving == null && joining == null) {
      move = null;
    } else if (from != null && to != null && from.client() != to.client()) {
      move =
          new Move(
              new Sessions(settings, () -> from),
              new Sessions(settings, () -> to),
              leaving != null);
    }
    // Else the two change roles this moment, and what was decided before still holds.
  }

  /** The first step of a move, for those who start without a framework: look there, too. */
  public synchronized void join(RedissonClient client, boolean hasReplicas) {
    joining = new Sessions.Redis(client, hasReplicas);
    decide();
  }

  /** The second step, once all backends have joined: work there. */
  public synchronized void leave() {
    leaving = redis;
    redis = joining;
    joining = null;
    decide();
  }

  /** The last step, once all backends have left and all sessions were brought along. */
  public synchronized void forget() {
    leaving = null;
    decide();
  }

  @Override
  public Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    SessionHandover other = before;
    if (other != null) {
      return other.create(subject, attributes, timeToLive);
    }
    Move began = move;
    Session made =
        began == null
            ? sessions.create(subject, attributes, timeToLive)
            : began.create(subject, attributes, timeToLive);
    Move now = move;
    return isBehind(began, now)
        ? found(made.id(), now).orElseGet(() -> sessions.create(subject, attributes, timeToLive))
        : made;
  }

  /**
   * Whether a call worked where this backend does not work any more. The others may be about to
   * forget that installation, so that what began there has to be brought along first.
   */
  private static boolean isBehind(@Nullable Move began, @Nullable Move now) {
    return now == null ? began != null && !began.left() : !now.equals(began) && now.left();
  }

  private Optional<Session> found(SessionId id, @Nullable Move now) {
    return now == null ? sessions.find(id) : now.find(id);
  }

  @Override
  public Optional<Session> find(SessionId id) {
    SessionHandover other = before;
    return other != null ? other.find(id) : either(s -> s.find(id), m -> m.find(id));
  }

  @Override
  public Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    SessionHandover other = before;
    return other != null
        ? other.update(id, set, remove)
        : either(s -> s.update(id, set, remove), m -> m.update(id, set, remove));
  }

  @Override
  public Optional<Session> rotate(SessionId id) {
    SessionHandover other = before;
    if (other != null) {
      return other.rotate(id);
    }
    Move began = move;
    Optional<Session> moved = either(s -> s.rotate(id), m -> m.rotate(id));
    Move now = move;
    return moved.isPresent() && isBehind(began, now) ? found(moved.get().id(), now) : moved;
  }

  /** A call that began before a move may look where the session no longer is. */
  private Optional<Session> either(
      Function<Sessions, Optional<Session>> here, Function<Move, Optional<Session>> moving) {
    Move began = move;
    Optional<Session> found = began == null ? here.apply(sessions) : moving.apply(began);
    Move now = move;
    if (found.isPresent() || Objects.equals(now, began)) {
      return found;
    }
    return now == null ? here.apply(sessions) : moving.apply(now);
  }

  @Override
  public void remove(SessionId id) {
    SessionHandover other = before;
    if (other != null) {
      other.remove(id);
      return;
    }
    Move began = move;
    remove(id, began);
    Move now = move;
    if (!Objects.equals(now, began)) {
      remove(id, now);
    }
  }

  private void remove(SessionId id, @Nullable Move at) {
    if (at == null) {
      sessions.remove(id);
    } else {
      at.remove(id);
    }
  }

  @Override
  public int removeAll(String subject, Optional<SessionId> except) {
    SessionHandover other = before;
    if (other != null) {
      return other.removeAll(subject, except);
    }
    Move began = move;
    int ended = removeAll(subject, except, began);
    Move now = move;
    return Objects.equals(now, began) ? ended : ended + removeAll(subject, except, now);
  }

  private int removeAll(String subject, Optional<SessionId> except, @Nullable Move at) {
    return at == null ? sessions.removeAll(subject, except) : at.removeAll(subject, except);
  }

  @Override
  public List<Session> list(String subject) {
    SessionHandover other = before;
    if (other != null) {
      return other.list(subject);
    }
    Move now = move;
    return now == null ? sessions.list(subject) : now.list(subject);
  }

  /** {@code feature:swap --migrate}: brings along whatever nobody has asked for meanwhile. */
  @Override
  public String apply(Bundle from, Bundle to) {
    SessionHandover other = before;
    return other == null ? bringAlong() : takeOver(other) + " sessions from memory";
  }

  /** Takes over what another kind of store holds; the calls of people wait meanwhile. */
  public int takeOver(SessionHandover other) {
    return other.handOver(
        this,
        all -> {
          long place = 0;
          for (SessionHandover.Held each : all) {
            place = Math.max(place + 1, each.session().createdAt().toEpochMilli() * 1_000);
            sessions.put(each, place);
          }
          before = null;
        });
  }

  /** Moves every session that still lies where this backend came from; says how many. */
  public String bringAlong() {
    Move now = move;
    return now == null ? "" : now.all() + " sessions";
  }
}
