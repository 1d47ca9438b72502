package io.conexor.session.redis;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import io.conexor.api.session.SessionsUnavailableException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.redisson.api.BatchOptions;
import org.redisson.api.BatchResult;
import org.redisson.api.RBatch;
import org.redisson.api.RScript;
import org.redisson.api.RScriptAsync;
import org.redisson.api.RedissonClient;
import org.redisson.client.RedisAuthRequiredException;
import org.redisson.client.RedisException;
import org.redisson.client.RedisOutOfMemoryException;
import org.redisson.client.codec.ByteArrayCodec;
import org.redisson.client.codec.StringCodec;

/**
 * Sessions in Redis. Keys and commands: README.md of this bundle.
 *
 * <p>A session id starts with three characters that follow from its subject; they are the hash tag
 * of its key and of the subject's index, so whatever concerns one subject is one atomic script on
 * one server, in both topologies.
 */
@Component(service = SessionStore.class, configurationPid = RedisSessionStore.PID)
@Designate(ocd = RedisSessionStore.Config.class)
public final class RedisSessionStore implements SessionStore {

  static final String PID = "io.conexor.session.redis";

  private static final int MAX_ATTRIBUTES = 64;
  private static final int MAX_NAME = 64;
  private static final int MAX_PER_SUBJECT = 1_000;
  private static final int TAG = 3;
  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofDays(30);
  private static final long REPLICA_RECHECK_NANOS = Duration.ofSeconds(5).toNanos();
  private static final Pattern REFUSAL =
      Pattern.compile("(OOM|MISCONF|NOPERM|NOAUTH|WRONGPASS|ERR)\\b");
  private static final Pattern CODE = Pattern.compile("[A-Z]{3,}\\b");
  private static final long PAUSE_NANOS = Duration.ofMillis(100).toNanos();
  private static final long QUICK_FAILURE_NANOS = Duration.ofSeconds(1).toNanos();

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

  /** The client in use and what is known about it. */
  private record Redis(RedissonClient client, boolean hasReplicas) {}

  private final Settings settings;
  private final SecureRandom random = new SecureRandom();

  // Written by declarative services (the new one is bound before the old is unbound), read by all.
  private volatile @Nullable Redis redis;
  // Until then replicas are not waited for, since too few answered. Written and read by all
  // callers.
  private volatile long replicasMissingUntil = System.nanoTime();
  // When the last call got no answer, or 0: then only one caller at a time tries it out, the others
  // fail at once. Written and read by all callers.
  private volatile long silentSince;
  private volatile long lastTrial;

  @Activate
  public RedisSessionStore(Config config) {
    this(Settings.checked(config));
  }

  private RedisSessionStore(Settings settings) {
    this.settings = settings;
  }

  /** On a client that its owner closes. */
  public RedisSessionStore(RedissonClient client, boolean hasReplicas, Settings settings) {
    this(settings);
    this.redis = new Redis(client, hasReplicas);
  }

  @Reference(
      name = "redis",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindRedis(RedissonClient client, Map<String, Object> properties) {
    redis = new Redis(client, !"standalone".equals(properties.get("redis.mode")));
    silentSince = 0;
  }

  void unbindRedis(RedissonClient client) {
    Redis current = redis;
    if (current != null && current.client() == client) {
      redis = null;
    }
  }

  @Override
  public Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    if (timeToLive.compareTo(SHORTEST) < 0 || timeToLive.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("time to live " + timeToLive + " is outside 1 s..30 d");
    }
    checkNames(attributes);
    checkSize(attributes);
    SessionId id = newId(tag(subject));
    List<Object> args = new ArrayList<>();
    args.add(bytes(id.value()));
    args.add(bytes(Long.toString(timeToLive.toMillis())));
    args.add(bytes(Integer.toString(MAX_PER_SUBJECT)));
    args.add(bytes(sessionPrefix(id)));
    args.add(bytes("s"));
    args.add(bytes(subject));
    addFields(args, attributes);
    return session(
            id, change(Scripts.CREATE, List.of(key(id), index(tag(id), subject)), args, "create"))
        .orElseThrow();
  }

  @Override
  public Optional<Session> find(SessionId id) {
    // One plain command: it works where writes are refused, and costs what a raw read costs.
    Map<?, ?> answer =
        (Map<?, ?>)
            call(
                client ->
                    client
                        .<String, String>getMap(key(id), StringCodec.INSTANCE)
                        .readAllMapAsync()
                        .thenApply(all -> all),
                Applied.NO,
                "find");
    if (answer.isEmpty()) {
      return Optional.empty();
    }
    Fields fields = new Fields(answer);
    if (fields.timeToLive - fields.remaining > fields.timeToLive / 10) {
      renew(id);
    }
    return Optional.of(fields.session(id));
  }

  /** In the background: nobody waits for it, and when it is lost the next find does it. */
  private void renew(SessionId id) {
    Redis current = redis;
    if (current != null) {
      CompletableFuture<Object> unused =
          eval(
                  current.client().getScript(CODEC),
                  Scripts.RENEW,
                  List.of(key(id)),
                  List.of(bytes(indexPrefix(tag(id)))))
              .toCompletableFuture();
    }
  }

  @Override
  public Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    checkNames(set);
    checkSize(set);
    List<Object> args = new ArrayList<>();
    args.add(bytes(Integer.toString(MAX_ATTRIBUTES)));
    args.add(bytes(Integer.toString(settings.maxBytes())));
    args.add(bytes(Integer.toString(remove.size())));
    remove.forEach(name -> args.add(bytes("a:" + name)));
    addFields(args, set);
    List<?> answer = change(Scripts.UPDATE, List.of(key(id)), args, "update");
    if (answer.size() == 2 && "!".equals(text(answer.get(0)))) {
      throw new IllegalArgumentException(
          text(answer.get(1))
              + " are more than a session may have ("
              + MAX_ATTRIBUTES
              + " attributes, "
              + settings.maxBytes()
              + " bytes)");
    }
    return session(id, answer);
  }

  @Override
  public Optional<Session> rotate(SessionId id) {
    SessionId moved = newId(tag(id));
    return session(
        moved,
        change(
            Scripts.ROTATE,
            List.of(key(id), key(moved)),
            List.of(bytes(id.value()), bytes(moved.value()), bytes(indexPrefix(tag(id)))),
            "rotate"));
  }

  @Override
  public void remove(SessionId id) {
    change(
        Scripts.REMOVE,
        List.of(key(id)),
        List.of(bytes(id.value()), bytes(indexPrefix(tag(id)))),
        "remove");
  }

  @Override
  public int removeAll(String subject, Optional<SessionId> except) {
    String tag = tag(subject);
    List<?> ended =
        change(
            Scripts.REMOVE_ALL,
            List.of(index(tag, subject)),
            List.of(bytes(except.map(SessionId::value).orElse("")), bytes(sessionPrefix(tag))),
            "removeAll");
    return ((Number) ended.get(0)).intValue();
  }

  @Override
  public List<Session> list(String subject) {
    String tag = tag(subject);
    List<?> answer =
        (List<?>)
            call(
                client ->
                    eval(
                        client.getScript(CODEC),
                        Scripts.LIST,
                        List.of(index(tag, subject)),
                        List.of(bytes(sessionPrefix(tag)))),
                Applied.NO,
                "list");
    List<Session> found = new ArrayList<>();
    for (Object each : answer) {
      List<?> fields = (List<?>) each;
      found.add(new Fields(fields, 1).session(new SessionId(text(fields.get(0)))));
    }
    return found;
  }

  // Calls

  private static final ByteArrayCodec CODEC = ByteArrayCodec.INSTANCE;

  /** One command to Redis, begun. */
  private interface Command {
    CompletionStage<Object> begin(RedissonClient client);
  }

  private static CompletionStage<Object> eval(
      RScriptAsync on, String script, List<Object> keys, List<Object> args) {
    return on.evalAsync(
        RScript.Mode.READ_WRITE, script, RScript.ReturnType.LIST, keys, args.toArray());
  }

  /** A change, which waits for its replicas on the same connection as {@code WAIT} demands. */
  private List<?> change(String script, List<Object> keys, List<Object> args, String what) {
    Redis current = redis;
    boolean waits =
        settings.replicas() > 0
            && current != null
            && current.hasReplicas()
            && (settings.replicasRequired() || System.nanoTime() - replicasMissingUntil >= 0);
    if (!waits) {
      return asList(
          call(client -> eval(client.getScript(CODEC), script, keys, args), Applied.UNKNOWN, what));
    }
    BatchResult<?> result =
        (BatchResult<?>)
            call(
                client -> {
                  RBatch batch =
                      client.createBatch(
                          BatchOptions.defaults()
                              .sync(settings.replicas(), settings.replicaTime()));
                  CompletableFuture<Object> unused =
                      eval(batch.getScript(CODEC), script, keys, args).toCompletableFuture();
                  return batch.executeAsync().thenApply(this::confirmed);
                },
                Applied.UNKNOWN,
                what);
    return asList(result.getResponses().get(0));
  }

  /** Judges how many replicas have a change. */
  private Object confirmed(BatchResult<?> result) {
    if (result.getSyncedSlaves() < settings.replicas()) {
      replicasMissingUntil = System.nanoTime() + REPLICA_RECHECK_NANOS;
      if (settings.replicasRequired()) {
        throw new IllegalStateException(
            "only "
                + result.getSyncedSlaves()
                + " of "
                + settings.replicas()
                + " replicas confirmed it; a failover may lose it");
      }
    }
    return result;
  }

  /** Repeats what got no answer until the time is up; every command may be repeated. */
  private Object call(Command command, Applied whenSilent, String what) {
    failFastIfSilent(what);
    Deadline deadline = Deadline.in(settings.timeout());
    boolean begun = false;
    Throwable failure = null;
    while (true) {
      Redis current = redis;
      try {
        if (current == null) {
          throw new IllegalStateException("no Redis is connected");
        }
        begun = true;
        Object answer =
            command
                .begin(current.client())
                .toCompletableFuture()
                .get(deadline.remainingNanos(), NANOSECONDS);
        if (silentSince != 0) {
          silentSince = 0;
        }
        return answer;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new SessionsUnavailableException(whenSilent, "session " + what + " interrupted", e);
      } catch (TimeoutException e) {
        failure = failure == null ? e : failure;
      } catch (ExecutionException e) {
        failure = e.getCause() == null ? e : e.getCause();
      } catch (RedisException | IllegalStateException e) {
        failure = e; // the client was shut down by a swap; the next one is bound already or soon
      }
      boolean repeats = !isRefusal(failure) && deadline.remainingNanos() > PAUSE_NANOS;
      if (!repeats) {
        throw unavailable(failure, begun ? whenSilent : Applied.NO, what);
      }
      LockSupport.parkNanos(PAUSE_NANOS);
    }
  }

  /** What Redis says for good; during a failover it also says things that pass. */
  private static boolean isRefusal(Throwable failure) {
    return failure instanceof RedisOutOfMemoryException
        || failure instanceof RedisAuthRequiredException
        || REFUSAL.matcher(String.valueOf(failure.getMessage())).lookingAt();
  }

  private SessionsUnavailableException unavailable(Throwable failure, Applied silent, String what) {
    if (isRefusal(failure)) {
      return new SessionsUnavailableException(
          Applied.NO, "session " + what + ": Redis refuses it: " + words(failure), null);
    }
    heardNothing();
    return new SessionsUnavailableException(
        silent,
        "session "
            + what
            + ": not done in "
            + settings.timeout().toMillis()
            + " ms: "
            + words(failure),
        null);
  }

  /** Without the client's own message, which quotes keys, and so session ids. */
  private static String words(Throwable failure) {
    if (failure instanceof RedisOutOfMemoryException) {
      return "OOM, its memory is full (maxmemory)";
    }
    if (failure instanceof RedisException) {
      Matcher code = CODE.matcher(String.valueOf(failure.getMessage()));
      return code.lookingAt() ? code.group() : failure.getClass().getSimpleName();
    }
    return failure instanceof IllegalStateException
        ? String.valueOf(failure.getMessage())
        : "no answer";
  }

  private void heardNothing() {
    long now = System.nanoTime();
    if (silentSince == 0) {
      silentSince = now == 0 ? 1 : now;
      lastTrial = now;
    }
  }

  /**
   * While Redis is silent for more than a failover takes, callers must not queue up behind it: one
   * call each 200 ms tries, the others are told at once.
   */
  private void failFastIfSilent(String what) {
    long since = silentSince;
    long now = System.nanoTime();
    if (since == 0 || now - since < QUICK_FAILURE_NANOS) {
      return;
    }
    if (now - lastTrial >= Duration.ofMillis(200).toNanos()) {
      lastTrial = now; // a race lets two try, which is fine
      return;
    }
    throw new SessionsUnavailableException(
        Applied.NO, "session " + what + ": Redis has not answered lately", null);
  }

  // Keys and values

  private String sessionPrefix(SessionId id) {
    return sessionPrefix(tag(id));
  }

  private String sessionPrefix(String tag) {
    return settings.prefix() + "{" + tag + "}:session:";
  }

  private String indexPrefix(String tag) {
    return settings.prefix() + "{" + tag + "}:sessions:";
  }

  private String key(SessionId id) {
    return sessionPrefix(id) + id.value();
  }

  private String index(String tag, String subject) {
    return indexPrefix(tag) + subject;
  }

  private static String tag(SessionId id) {
    return id.value().substring(0, TAG);
  }

  private static String tag(String subject) {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(subject.getBytes(UTF_8));
      return Base64.getUrlEncoder().encodeToString(hash).substring(0, TAG);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JVM has SHA-256", e);
    }
  }

  private SessionId newId(String tag) {
    byte[] secret = new byte[24];
    random.nextBytes(secret);
    return new SessionId(tag + Base64.getUrlEncoder().withoutPadding().encodeToString(secret));
  }

  private static void addFields(List<Object> args, Map<String, String> attributes) {
    attributes.forEach(
        (name, value) -> {
          args.add(bytes("a:" + name));
          args.add(bytes(value));
        });
  }

  private static void checkNames(Map<String, String> attributes) {
    if (attributes.size() > MAX_ATTRIBUTES) {
      throw new IllegalArgumentException("a session has at most " + MAX_ATTRIBUTES + " attributes");
    }
    for (String name : attributes.keySet()) {
      if (name.isEmpty() || name.length() > MAX_NAME) {
        throw new IllegalArgumentException("an attribute name is 1.." + MAX_NAME + " characters");
      }
    }
  }

  private void checkSize(Map<String, String> attributes) {
    long size = 0;
    for (Map.Entry<String, String> each : attributes.entrySet()) {
      size += bytes(each.getKey()).length + bytes(each.getValue()).length;
    }
    if (size > settings.maxBytes()) {
      throw new IllegalArgumentException(
          "attributes of " + size + " bytes are more than the " + settings.maxBytes() + " allowed");
    }
  }

  private static Optional<Session> session(SessionId id, List<?> answer) {
    return answer.isEmpty() ? Optional.empty() : Optional.of(new Fields(answer, 0).session(id));
  }

  private static List<?> asList(@Nullable Object answer) {
    return answer instanceof List<?> list ? list : List.of(answer == null ? 0L : answer);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  private static String text(Object value) {
    return value instanceof byte[] raw ? new String(raw, UTF_8) : String.valueOf(value);
  }

  /** What a script answered about one session. */
  private static final class Fields {
    long remaining;
    long timeToLive;
    private long created;
    private long expires;
    private String subject = "";
    private final Map<String, String> attributes = new HashMap<>();

    Fields(List<?> answer, int from) {
      remaining = Long.parseLong(text(answer.get(from)));
      for (int i = from + 1; i + 1 < answer.size(); i += 2) {
        take(text(answer.get(i)), text(answer.get(i + 1)));
      }
    }

    /**
     * From the plain hash, which says itself until when it lives; Redis decides when it is gone.
     */
    Fields(Map<?, ?> hash) {
      hash.forEach((field, value) -> take((String) field, (String) value));
      remaining = expires - Instant.now().toEpochMilli();
    }

    private void take(String field, String value) {
      switch (field) {
        case "s" -> subject = value;
        case "c" -> created = Long.parseLong(value);
        case "t" -> timeToLive = Long.parseLong(value);
        case "x" -> expires = Long.parseLong(value);
        default -> attributes.put(field.substring(2), value);
      }
    }

    Session session(SessionId id) {
      return new Session(
          id,
          subject,
          Instant.ofEpochMilli(created),
          Instant.now().plusMillis(remaining),
          attributes);
    }
  }
}
