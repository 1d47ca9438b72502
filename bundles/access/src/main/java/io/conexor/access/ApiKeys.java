package io.conexor.access;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.Access.Authentication.Granted;
import io.conexor.api.access.Access.Authentication.Refused;
import io.conexor.api.access.ApiKey;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Keys;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.Database;
import io.conexor.api.database.Schema;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * API keys: made and revoked in the database, checked from a bounded map without a lock.
 *
 * <p>A remembered key is used as it is for the refresh interval; a little longer while it is looked
 * up again in the background; then only after the look-up, unless the database does not answer, in
 * which case it stays good up to its maximum age. A revocation travels over the backplane and takes
 * effect at once; should the backplane lose it, the refresh finds out.
 */
@Component(
    service = {Keys.class, ApiKeys.class},
    configurationPid = AccessConfig.PID)
public final class ApiKeys implements Keys {

  static final Topic TOPIC = new Topic("access");

  private static final Logger log = LoggerFactory.getLogger(ApiKeys.class);

  private static final Refused MISTYPED = new Refused("this is not a key; was it mistyped?");
  private static final Refused UNKNOWN = new Refused("the key is unknown or was revoked");
  private static final Refused EXPIRED = new Refused("the key has expired");

  private static final int MAX_UNKNOWN = 10_000;
  private static final int MAX_REVOKED = 10_000;
  private static final int MAX_NAME = 100;

  /** A key that was loaded before its revocation must not come back from a lagging replica. */
  private static final Duration REVOKED_MEMORY = Duration.ofMinutes(10);

  private static final Duration USE_RECORDING = Duration.ofMinutes(1);

  /** While look-ups fail, remembered keys do not wait for one. */
  private static final Duration FAILURE_MEMORY = Duration.ofSeconds(5);

  private static final int PUBLISH_ATTEMPTS = 60;

  /** A key as this backend remembers it. */
  private static final class Known {
    final KeyId id;
    final OrgId org;
    final CompletionStage<Authentication> granted;
    final long expiresAtMillis;
    final long loadedAt;

    /** Set by events, read by look-ups: the next use asks the database first. */
    volatile boolean isStale;

    /** When the next background look-up is due; racy, two instead of one do no harm. */
    volatile long reloadAt;

    /**
     * Wall clock of the last use; to a second, so that a busy key does not bounce between cores.
     */
    volatile long usedAtMillis;

    /** Only for the timer. */
    long recordedMillis;

    Known(KeyTable.Found found, long loadedAt, long reloadAt) {
      this.id = found.id();
      this.org = found.principal().org();
      this.granted = CompletableFuture.completedFuture(new Granted(found.principal()));
      this.expiresAtMillis = found.expiresAt().map(Instant::toEpochMilli).orElse(Long.MAX_VALUE);
      this.loadedAt = loadedAt;
      this.reloadAt = reloadAt;
    }

    void used(long now) {
      if (now - usedAtMillis >= 1_000) {
        usedAtMillis = now;
      }
    }
  }

  private final KeyTable table;
  private final Settings settings;
  private final Clock clock;
  private final LongSupplier nanoTime;
  private final Workers lookups;
  private final ScheduledExecutorService timer;
  private final Subscription catalogChanges;
  private final Current<Backplane> backplane = new Current<>("backplane");
  private final SecureRandom random = new SecureRandom();

  private final ConcurrentHashMap<Digest, Known> known = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<Digest, Long> unknownUntil = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<KeyId, Long> revokedUntil = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<Digest, CompletableFuture<Authentication>> loading =
      new ConcurrentHashMap<>();

  /** By backplane service, so that a replacement is subscribed before the old one goes. */
  private final Map<Backplane, Subscription> subscriptions = new HashMap<>();

  /** When a look-up failed last, written by look-ups, read by everybody; 0 = never. */
  private volatile long failedAt;

  @Activate
  public ApiKeys(
      @Reference(name = "database") Database database,
      @Reference(name = "schema") Schema schema,
      @Reference(name = "catalog") Catalog catalog,
      AccessConfig config) {
    this(database, catalog, Settings.checked(config), Clock.systemUTC(), System::nanoTime);
    log.debug("tables are of version {}", schema.version());
  }

  ApiKeys(
      Database database, Catalog catalog, Settings settings, Clock clock, LongSupplier nanoTime) {
    this.table = new KeyTable(database);
    this.settings = settings;
    this.clock = clock;
    this.nanoTime = nanoTime;
    this.lookups = new Workers("keys", settings.threads(), settings.queue());
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-access-timer");
              thread.setDaemon(true);
              return thread;
            });
    // An agent or MCP server that is removed takes its keys with it; one that is renamed changes
    // the principal.
    this.catalogChanges = catalog.onChange(this::doubt);
    long everyMillis = USE_RECORDING.toMillis();
    var unused = timer.scheduleWithFixedDelay(this::tend, everyMillis, everyMillis, MILLISECONDS);
  }

  @Reference(
      name = "backplane",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane service) {
    Subscription subscription = service.subscribe(TOPIC, Map.of(), new Listener());
    synchronized (subscriptions) {
      subscriptions.put(service, subscription);
    }
    backplane.set(service);
    // What was said while nobody listened is learned from the database.
    doubtAll("the backplane was bound");
  }

  void unbindBackplane(Backplane service) {
    backplane.clear(service);
    Subscription subscription;
    synchronized (subscriptions) {
      subscription = subscriptions.remove(service);
    }
    if (subscription != null) {
      subscription.close();
    }
  }

  @Deactivate
  void close() {
    catalogChanges.close();
    timer.shutdownNow();
    recordUses();
    lookups.close();
  }

  /** Who holds the key. For one seen recently the stage is complete and nothing was allocated. */
  CompletionStage<Authentication> authenticate(Secret key) {
    String text = key.reveal();
    if (text.length() > KeyText.LENGTH_MAX) {
      return CompletableFuture.completedFuture(MISTYPED);
    }
    Digest digest = Digest.of(text);
    Known entry = known.get(digest);
    if (entry != null) {
      return fromMemory(digest, entry);
    }
    if (!KeyText.isWellFormed(text)) {
      return CompletableFuture.completedFuture(MISTYPED);
    }
    Long until = unknownUntil.get(digest);
    if (until != null && until - nanoTime.getAsLong() > 0) {
      return CompletableFuture.completedFuture(UNKNOWN);
    }
    return load(digest);
  }

  private CompletionStage<Authentication> fromMemory(Digest digest, Known entry) {
    long millis = clock.millis();
    if (millis >= entry.expiresAtMillis) {
      return CompletableFuture.completedFuture(EXPIRED);
    }
    long now = nanoTime.getAsLong();
    long age = now - entry.loadedAt;
    long refresh = settings.keyRefresh().toNanos();
    if (age < refresh && !entry.isStale) {
      entry.used(millis);
      return entry.granted;
    }
    if (age > settings.keyMaxAge().toNanos()) {
      return load(digest);
    }
    entry.used(millis);
    boolean isDatabaseAway = failedAt != 0 && now - failedAt < FAILURE_MEMORY.toNanos();
    if (isDatabaseAway || (age < 3 * refresh && !entry.isStale)) {
      if (now - entry.reloadAt > 0) {
        entry.reloadAt = now + FAILURE_MEMORY.toNanos();
        var unused = load(digest);
      }
      return entry.granted;
    }
    return load(digest)
        .exceptionallyCompose(
            failure -> {
              // INVARIANT: a revocation removes the entry, so one that is still there is good.
              Known still = known.get(digest);
              return still != null && isDependency(failure)
                  ? still.granted
                  : CompletableFuture.failedFuture(failure);
            });
  }

  private static boolean isDependency(Throwable failure) {
    Throwable cause =
        failure instanceof java.util.concurrent.CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    return cause instanceof ConexorException e
        && (e.blame() == Blame.DEPENDENCY || e.blame() == Blame.CAPACITY);
  }

  /** Looks a key up; many callers of one key share one look-up. */
  private CompletableFuture<Authentication> load(Digest digest) {
    CompletableFuture<Authentication> mine = new CompletableFuture<>();
    CompletableFuture<Authentication> running = loading.putIfAbsent(digest, mine);
    if (running != null) {
      return running;
    }
    var unused =
        lookups
            .submit(() -> lookUp(digest))
            .whenComplete(
                (answer, failure) -> {
                  loading.remove(digest, mine);
                  if (failure == null) {
                    mine.complete(answer);
                  } else {
                    mine.completeExceptionally(failure);
                  }
                });
    return mine;
  }

  private Authentication lookUp(Digest digest) {
    Optional<KeyTable.Found> found;
    long startedAt = nanoTime.getAsLong();
    try {
      found = table.find(digest.bytes());
    } catch (ConexorException e) {
      failedAt = Math.max(1, nanoTime.getAsLong());
      throw e;
    }
    failedAt = 0;
    if (found.isEmpty()) {
      known.remove(digest);
      rememberUnknown(digest);
      return UNKNOWN;
    }
    KeyTable.Found row = found.get();
    Known entry = new Known(row, startedAt, startedAt + settings.keyRefresh().toNanos());
    Known before = known.put(digest, entry);
    if (before != null) {
      entry.recordedMillis = before.recordedMillis;
    }
    entry.used(clock.millis());
    makeRoom();
    // After the put: a revocation either sees the entry and removes it, or is seen here.
    if (revokedUntil.containsKey(row.id())) {
      known.remove(digest, entry);
      return UNKNOWN;
    }
    return clock.millis() >= entry.expiresAtMillis ? EXPIRED : new Granted(row.principal());
  }

  private void rememberUnknown(Digest digest) {
    if (unknownUntil.size() >= MAX_UNKNOWN) {
      unknownUntil.clear();
    }
    unknownUntil.put(digest, nanoTime.getAsLong() + settings.keyUnknown().toNanos());
  }

  private void makeRoom() {
    if (known.size() <= settings.keyCacheSize()) {
      return;
    }
    // Rare, and on a look-up thread: drop the tenth that was used longest ago.
    List<Map.Entry<Digest, Known>> oldest =
        known.entrySet().stream()
            .sorted(
                java.util.Comparator.comparingLong(
                    (Map.Entry<Digest, Known> entry) -> entry.getValue().usedAtMillis))
            .limit(Math.max(1, settings.keyCacheSize() / 10))
            .toList();
    oldest.forEach(entry -> known.remove(entry.getKey(), entry.getValue()));
  }

  @Override
  public NewKey create(
      OrgId org,
      KeyId id,
      ApiKey.Kind kind,
      Optional<String> owner,
      String name,
      Optional<Instant> expiresAt) {
    if (name.isBlank() || name.length() > MAX_NAME) {
      throw invalid("key_name_invalid", "a key's name has 1 to " + MAX_NAME + " characters");
    }
    if (expiresAt.isPresent() && !expiresAt.get().isAfter(clock.instant())) {
      throw invalid("key_expiry_invalid", "the key would have expired already");
    }
    if (owner.isPresent() == (kind == ApiKey.Kind.ADMIN)) {
      throw invalid(
          "key_owner_invalid",
          kind == ApiKey.Kind.ADMIN
              ? "an administrator's token belongs to nobody"
              : "the key needs an owner: the id of an agent or MCP server");
    }
    Secret secret = KeyText.random(kind, random);
    String text = secret.reveal();
    return table.create(
        org,
        id,
        kind,
        owner,
        name,
        text.substring(0, KeyText.RECOGNISABLE),
        Digest.of(text).bytes(),
        expiresAt,
        secret);
  }

  static ConexorException invalid(String code, String message) {
    return new ConexorException(Blame.CALLER, Applied.NO, code, message);
  }

  @Override
  public List<ApiKey> list(OrgId org) {
    return table.list(org);
  }

  @Override
  public boolean revoke(OrgId org, KeyId id) {
    if (!table.revoke(org, id)) {
      return false;
    }
    forget(id);
    publish(org, id, 1);
    return true;
  }

  private void publish(OrgId org, KeyId id, int attempt) {
    CompletionStage<?> published;
    try {
      published =
          backplane.get().publish(TOPIC, org.toString(), ("key.revoke " + id).getBytes(UTF_8));
    } catch (RuntimeException e) {
      published = CompletableFuture.failedFuture(e);
    }
    var unused =
        published.whenComplete(
            (position, failure) -> {
              if (failure == null || timer.isShutdown()) {
                return;
              }
              if (Integer.bitCount(attempt) == 1) {
                log.warn(
                    "other backends may accept the revoked key {} for up to {} s, attempt {}: {}",
                    id,
                    settings.keyRefresh().toSeconds(),
                    attempt,
                    failure.getMessage());
              }
              if (attempt < PUBLISH_ATTEMPTS) {
                var unusedLater =
                    timer.schedule(() -> publish(org, id, attempt + 1), 1_000, MILLISECONDS);
              }
            });
  }

  private void forget(KeyId id) {
    long now = nanoTime.getAsLong();
    if (revokedUntil.size() >= MAX_REVOKED) {
      revokedUntil.values().removeIf(until -> until - now <= 0);
    }
    revokedUntil.put(id, now + REVOKED_MEMORY.toNanos());
    known.values().removeIf(entry -> entry.id.equals(id));
  }

  private void doubt(OrgId org) {
    known
        .values()
        .forEach(
            entry -> {
              if (entry.org.equals(org)) {
                entry.isStale = true;
              }
            });
  }

  private void doubtAll(String why) {
    log.debug("remembered keys are looked up again: {}", why);
    known.values().forEach(entry -> entry.isStale = true);
  }

  private void tend() {
    try {
      long now = nanoTime.getAsLong();
      unknownUntil.values().removeIf(until -> until - now <= 0);
      revokedUntil.values().removeIf(until -> until - now <= 0);
      recordUses();
    } catch (RuntimeException e) {
      log.warn("can't record when keys were last used: {}", e.getMessage());
    }
  }

  /** At most once a minute per key, all keys in one statement. */
  void recordUses() {
    Map<KeyId, Instant> uses = new HashMap<>();
    Map<KeyId, Known> entries = new HashMap<>();
    for (Known entry : known.values()) {
      if (entry.usedAtMillis > entry.recordedMillis) {
        uses.put(entry.id, Instant.ofEpochMilli(entry.usedAtMillis));
        entries.put(entry.id, entry);
      }
    }
    if (uses.isEmpty()) {
      return;
    }
    try {
      table.recordUses(uses);
    } catch (RuntimeException e) {
      log.debug("uses of {} keys are recorded later: {}", uses.size(), e.getMessage());
      return;
    }
    uses.forEach((id, at) -> recorded(entries.get(id), at));
  }

  private static void recorded(@Nullable Known entry, Instant at) {
    if (entry != null) {
      entry.recordedMillis = at.toEpochMilli();
    }
  }

  /** For health. */
  Map<String, String> facts() {
    return Map.of(
        "keysRemembered", Integer.toString(known.size()),
        "keysUnknown", Integer.toString(unknownUntil.size()),
        "lookupsWaiting", Integer.toString(lookups.waiting()));
  }

  /** Whether the last look-up failed. */
  boolean isDatabaseAway() {
    return failedAt != 0;
  }

  private final class Listener implements Backplane.EventListener {
    @Override
    public void event(Event event) {
      String[] words = new String(event.payload(), UTF_8).split(" ");
      if (words.length == 2 && words[0].equals("key.revoke")) {
        forget(KeyId.of(words[1]));
      }
    }

    @Override
    public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
      doubtAll("the backplane lost events");
    }
  }
}
