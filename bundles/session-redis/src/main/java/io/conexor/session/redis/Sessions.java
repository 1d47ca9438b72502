package io.conexor.session.redis;

import static io.conexor.session.redis.Fields.text;
import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionHandover.Held;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionsUnavailableException;
import io.conexor.session.redis.RedisSessionStore.Settings;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.redisson.api.BatchOptions;
import org.redisson.api.BatchResult;
import org.redisson.api.RBatch;
import org.redisson.api.RScript;
import org.redisson.api.RScriptAsync;
import org.redisson.api.RedissonClient;
import org.redisson.api.options.KeysScanOptions;
import org.redisson.client.RedisAuthRequiredException;
import org.redisson.client.RedisException;
import org.redisson.client.RedisOutOfMemoryException;
import org.redisson.client.codec.ByteArrayCodec;
import org.redisson.client.codec.StringCodec;

/** The sessions of one installation: what {@link RedisSessionStore} promises, without a move. */
final class Sessions {

  static final int MAX_ATTRIBUTES = 64;
  static final int MAX_NAME = 64;

  private static final int MAX_PER_SUBJECT = 1_000;
  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofDays(30);
  private static final long REPLICA_RECHECK_NANOS = Duration.ofSeconds(5).toNanos();
  private static final Pattern REFUSAL =
      Pattern.compile("(OOM|MISCONF|NOPERM|NOAUTH|WRONGPASS|ERR)\\b");
  private static final Pattern CODE = Pattern.compile("[A-Z]{3,}\\b");
  private static final long PAUSE_NANOS = Duration.ofMillis(100).toNanos();
  private static final long QUICK_FAILURE_NANOS = Duration.ofSeconds(1).toNanos();
  // Longer than any call may take, so that no mover is late by more.
  private static final Duration ENDED_REMEMBERED = Duration.ofMinutes(2);

  /** A client and what is known about it. */
  record Redis(RedissonClient client, boolean hasReplicas) {}

  /** A session between two installations: its fields, its age among its subject's. */
  record Taken(SessionId id, String subject, List<Object> put) {}

  private final Settings settings;
  private final Keys keys;
  private final Supplier<@Nullable Redis> at;
  private final SecureRandom random = new SecureRandom();

  // Until then replicas are not waited for, since too few answered. Written and read by all
  // callers.
  private volatile long replicasMissingUntil = System.nanoTime();
  // When the last call got no answer, or 0: then only one caller at a time tries it out, the others
  // fail at once. Written and read by all callers.
  private volatile long silentSince;
  private volatile long lastTrial;

  /**
   * @param at asked at each try of a call, so that a call survives a change of the client
   */
  Sessions(Settings settings, Supplier<@Nullable Redis> at) {
    this.settings = settings;
    this.keys = new Keys(settings.prefix());
    this.at = at;
  }

  /** Another client answers now. */
  void speakAgain() {
    silentSince = 0;
  }

  Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    if (timeToLive.compareTo(SHORTEST) < 0 || timeToLive.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("time to live " + timeToLive + " is outside 1 s..30 d");
    }
    checkNames(attributes);
    checkSize(attributes);
    SessionId id = newId(Keys.tag(subject));
    List<Object> args = new ArrayList<>();
    args.add(bytes(id.value()));
    args.add(bytes(Long.toString(timeToLive.toMillis())));
    args.add(bytes(Integer.toString(MAX_PER_SUBJECT)));
    args.add(bytes(keys.sessionPrefix(Keys.tag(id))));
    args.add(bytes("s"));
    args.add(bytes(subject));
    addFields(args, attributes);
    return session(
            id,
            change(
                Scripts.CREATE,
                List.of(keys.session(id), keys.index(Keys.tag(id), subject)),
                args,
                "create"))
        .orElseThrow();
  }

  Optional<Session> find(SessionId id) {
    // One plain command: it works where writes are refused, and costs what a raw read costs.
    String key = keys.session(id);
    Map<?, ?> answer =
        (Map<?, ?>)
            call(
                client ->
                    client.<String, String>getMap(key, StringCodec.INSTANCE).readAllMapAsync(),
                Applied.NO,
                "find");
    if (answer.isEmpty()) {
      return Optional.empty();
    }
    Fields fields = new Fields(answer);
    if (fields.isDueForRenewal()) {
      renew(id);
    }
    return Optional.of(fields.session(id));
  }

  /** In the background: nobody waits for it, and when it is lost the next find does it. */
  private void renew(SessionId id) {
    Redis current = at.get();
    if (current != null) {
      CompletableFuture<Object> unused =
          eval(
                  current.client().getScript(CODEC),
                  Scripts.RENEW,
                  List.of(keys.session(id)),
                  List.of(bytes(keys.indexPrefix(Keys.tag(id)))))
              .toCompletableFuture();
    }
  }

  Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    checkNames(set);
    checkSize(set);
    List<Object> args = new ArrayList<>();
    args.add(bytes(Integer.toString(MAX_ATTRIBUTES)));
    args.add(bytes(Integer.toString(settings.maxBytes())));
    args.add(bytes(Integer.toString(remove.size())));
    remove.forEach(name -> args.add(bytes("a:" + name)));
    addFields(args, set);
    List<?> answer = change(Scripts.UPDATE, List.of(keys.session(id)), args, "update");
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

  Optional<Session> rotate(SessionId id) {
    SessionId moved = newId(Keys.tag(id));
    return session(
        moved,
        change(
            Scripts.ROTATE,
            List.of(keys.session(id), keys.session(moved)),
            List.of(bytes(id.value()), bytes(moved.value()), bytes(keys.indexPrefix(Keys.tag(id)))),
            "rotate"));
  }

  void remove(SessionId id) {
    change(
        Scripts.REMOVE,
        List.of(keys.session(id)),
        List.of(bytes(id.value()), bytes(keys.indexPrefix(Keys.tag(id)))),
        "remove");
  }

  int removeAll(String subject, Optional<SessionId> except) {
    String tag = Keys.tag(subject);
    List<?> ended =
        change(
            Scripts.REMOVE_ALL,
            List.of(keys.index(tag, subject)),
            List.of(bytes(except.map(SessionId::value).orElse("")), bytes(keys.sessionPrefix(tag))),
            "removeAll");
    return ((Number) ended.get(0)).intValue();
  }

  List<Session> list(String subject) {
    String tag = Keys.tag(subject);
    List<?> answer =
        (List<?>)
            call(
                client ->
                    eval(
                        client.getScript(CODEC),
                        Scripts.LIST,
                        List.of(keys.index(tag, subject)),
                        List.of(bytes(keys.sessionPrefix(tag)))),
                Applied.NO,
                "list");
    List<Session> found = new ArrayList<>();
    for (Object each : answer) {
      List<?> fields = (List<?>) each;
      found.add(new Fields(fields, 1).session(new SessionId(text(fields.get(0)))));
    }
    return found;
  }

  // Moves

  /** Takes a session out of use here, or finds it taken; empty if there is none. */
  Optional<Taken> take(SessionId id) {
    List<?> answer =
        change(
            Scripts.TAKE,
            List.of(keys.session(id), keys.moving(id)),
            List.of(bytes(id.value()), bytes(keys.indexPrefix(Keys.tag(id)))),
            "move");
    if (answer.isEmpty()) {
      return Optional.empty();
    }
    List<Object> put = new ArrayList<>(answer);
    put.add(0, bytes(id.value()));
    return Optional.of(new Taken(id, new Fields(answer, 1).subject(), put));
  }

  /** Puts down what was taken elsewhere, unless it is here already or has ended here. */
  void put(Taken taken) {
    change(
        Scripts.PUT,
        List.of(
            keys.session(taken.id()),
            keys.index(Keys.tag(taken.id()), taken.subject()),
            keys.ended(taken.id())),
        taken.put(),
        "move");
  }

  /** Forgets what was taken here and is put down elsewhere. */
  void drop(Taken taken) {
    change(
        Scripts.DROP,
        List.of(keys.moving(taken.id()), keys.index(Keys.tag(taken.id()), taken.subject())),
        List.of(bytes(taken.id().value())),
        "move");
  }

  /** From now on nobody puts it down here, however late. */
  void markEnded(SessionId id) {
    change(
        Scripts.MARK_ENDED,
        List.of(keys.ended(id)),
        List.of(bytes(Long.toString(ENDED_REMEMBERED.toMillis()))),
        "move");
  }

  /** The ids of a subject that may live here, taken ones included. */
  List<SessionId> ids(String subject) {
    List<?> answer =
        (List<?>)
            call(
                client ->
                    eval(
                        client.getScript(CODEC),
                        Scripts.IDS,
                        List.of(keys.index(Keys.tag(subject), subject)),
                        List.of()),
                Applied.NO,
                "list");
    return answer.stream().map(id -> new SessionId(text(id))).toList();
  }

  /** Every id here, taken ones included, while others come and go. Blocks while it is read. */
  List<SessionId> all() {
    Redis current = at.get();
    if (current == null) {
      throw new SessionsUnavailableException(Applied.NO, "no Redis is connected", null);
    }
    Set<SessionId> found = new LinkedHashSet<>();
    try {
      for (String pattern : List.of(keys.sessionPattern(), keys.movingPattern())) {
        for (String key :
            current
                .client()
                .getKeys()
                .getKeys(KeysScanOptions.defaults().pattern(pattern).chunkSize(1_000))) {
          found.add(new SessionId(key.substring(key.lastIndexOf(':') + 1)));
        }
      }
    } catch (RedisException e) {
      throw unavailable(e, Applied.NO, "scan");
    }
    return List.copyOf(found);
  }

  /** Puts down what another kind of store held, oldest first. */
  void put(Held held, long place) {
    Session session = held.session();
    List<Object> put = new ArrayList<>();
    put.add(bytes(session.id().value()));
    put.add(bytes(Long.toString(place)));
    put.add(bytes(Long.toString(Duration.between(Instant.now(), session.expiresAt()).toMillis())));
    Map<String, String> fields = new LinkedHashMap<>();
    fields.put("c", Long.toString(session.createdAt().toEpochMilli()));
    fields.put("t", Long.toString(held.timeToLive().toMillis()));
    fields.put("x", Long.toString(session.expiresAt().toEpochMilli()));
    fields.put("s", session.subject());
    session.attributes().forEach((name, value) -> fields.put("a:" + name, value));
    fields.forEach(
        (name, value) -> {
          put.add(bytes(name));
          put.add(bytes(value));
        });
    put(new Taken(session.id(), session.subject(), put));
  }

  // Calls

  private static final ByteArrayCodec CODEC = ByteArrayCodec.INSTANCE;

  /** One command to Redis, begun. */
  private interface Command {
    CompletionStage<?> begin(RedissonClient client);
  }

  private static CompletionStage<Object> eval(
      RScriptAsync on, String script, List<Object> keys, List<Object> args) {
    return on.evalAsync(
        RScript.Mode.READ_WRITE, script, RScript.ReturnType.LIST, keys, args.toArray());
  }

  /** A change, which waits for its replicas on the same connection as {@code WAIT} demands. */
  private List<?> change(String script, List<Object> keys, List<Object> args, String what) {
    Redis current = at.get();
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
      Redis current = at.get();
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
}
