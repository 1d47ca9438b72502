package io.conexor.catalog;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import io.conexor.api.database.Database.SqlWork;
import io.conexor.api.database.Schema;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The catalog in PostgreSQL, read from memory.
 *
 * <p>One immutable {@link OrgCatalog} per organisation. A change made here is read back before the
 * editor returns; one made elsewhere is announced on the backplane and read in the background while
 * the version at hand goes on being served. A version never replaces a newer one. What was not
 * confirmed within the refresh interval is read again in the background; past the maximum age
 * callers wait for the database.
 */
@Component(
    service = {Catalog.class, CatalogEditor.class},
    configurationPid = Settings.PID)
@Designate(ocd = Settings.Config.class)
public final class PostgresCatalog implements Catalog, CatalogEditor {

  static final Topic TOPIC = new Topic("catalog");

  private static final Logger log = LoggerFactory.getLogger(PostgresCatalog.class);
  private static final int LOADERS = 2;
  private static final int MAX_WAITING_LOADS = 1_000;

  /** A read for a caller who has written. */
  private record Asked(OrgId org, CommitToken written) {}

  private static final CompletionStage<Optional<OrgCatalog>> NOBODY =
      CompletableFuture.completedStage(Optional.empty());

  /**
   * One organisation as this backend knows it; replaced, never changed, but for what is known of
   * it.
   */
  private static final class Known {
    final OrgCatalog catalog;
    final CompletionStage<Optional<OrgCatalog>> answer;
    final long readAt;

    /** Set by events, read by look-ups: read again at the next use. */
    volatile boolean isStale;

    /** What it has for certain; written while the map's entry is computed. */
    volatile CommitToken proven;

    Known(OrgCatalog catalog, long readAt, CommitToken proven) {
      this.proven = proven;
      this.catalog = catalog;
      this.answer = CompletableFuture.completedStage(Optional.of(catalog));
      this.readAt = readAt;
    }
  }

  private final Database database;
  private final OrgWriter writer;
  private final Settings settings;
  private final LongSupplier nanoTime;
  private final ThreadPoolExecutor loaders;

  private final ConcurrentHashMap<String, Known> bySlug = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<OrgId, Known> byId = new ConcurrentHashMap<>();
  private final ConcurrentHashMap<String, Long> unknownUntil = new ConcurrentHashMap<>();

  /** By slug or id: one read at a time for each. */
  private final ConcurrentHashMap<Object, CompletableFuture<Optional<OrgCatalog>>> reading =
      new ConcurrentHashMap<>();

  private final List<Consumer<OrgId>> listeners = new CopyOnWriteArrayList<>();

  // Written by bind and unbind, read by editors.
  private final AtomicReference<@Nullable Backplane> backplane = new AtomicReference<>();
  private final Map<Backplane, Subscription> subscriptions = new HashMap<>();

  @Activate
  public PostgresCatalog(
      @Reference(name = "database") Database database,
      @Reference(name = "schema") Schema schema,
      Settings.Config config) {
    this(database, Settings.checked(config), System::nanoTime);
  }

  PostgresCatalog(Database database, Settings settings, LongSupplier nanoTime) {
    this.database = database;
    this.settings = settings;
    this.nanoTime = nanoTime;
    this.writer = new OrgWriter(database, settings.changeLimit());
    this.loaders =
        new ThreadPoolExecutor(
            LOADERS,
            LOADERS,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(MAX_WAITING_LOADS),
            task -> {
              Thread thread = new Thread(task, "conexor-catalog-reader");
              thread.setDaemon(true);
              return thread;
            });
    loaders.allowCoreThreadTimeOut(true);
  }

  @Reference(
      name = "backplane",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindBackplane(Backplane service) {
    synchronized (subscriptions) {
      subscriptions.put(service, service.subscribe(TOPIC, Map.of(), new Listener()));
      backplane.set(service);
    }
    // What was announced while nobody listened is found by reading again.
    byId.values().forEach(known -> known.isStale = true);
  }

  void unbindBackplane(Backplane service) {
    synchronized (subscriptions) {
      Subscription subscription = subscriptions.remove(service);
      if (subscription != null) {
        subscription.close();
      }
      // INVARIANT: the new one was bound before the old one is unbound
      backplane.compareAndSet(service, null);
    }
  }

  @Deactivate
  void close() {
    loaders.shutdownNow();
    synchronized (subscriptions) {
      subscriptions.values().forEach(Subscription::close);
      subscriptions.clear();
    }
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> bySlug(String slug) {
    Known known = bySlug.get(slug);
    if (known != null) {
      return current(known);
    }
    Long until = unknownUntil.get(slug);
    if (until != null && until - nanoTime.getAsLong() > 0) {
      return NOBODY;
    }
    return read(
        slug, connection -> OrgReader.bySlug(connection, slug), freshEnough(), CommitToken.NONE);
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> byId(OrgId org) {
    Known known = byId.get(org);
    CommitToken written = database.position().orElse(CommitToken.NONE);
    if (written.compareTo(known == null ? CommitToken.NONE : known.proven) > 0) {
      return read(
          new Asked(org, written),
          connection -> OrgReader.byId(connection, org),
          Consistency.session(written),
          written);
    }
    return known != null ? current(known) : readAgain(org, freshEnough());
  }

  @Override
  public Subscription onChange(Consumer<OrgId> listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  private CompletionStage<Optional<OrgCatalog>> current(Known known) {
    long age = nanoTime.getAsLong() - known.readAt;
    if (!known.isStale && age < settings.refresh().toNanos()) {
      return known.answer;
    }
    OrgId org = known.catalog.organisation().id();
    Consistency consistency = known.isStale ? Consistency.strong() : freshEnough();
    CompletionStage<Optional<OrgCatalog>> next = readAgain(org, consistency);
    return age < settings.maxAge().toNanos() ? known.answer : next;
  }

  private static Consistency freshEnough() {
    return Consistency.eventual(Duration.ofSeconds(10));
  }

  private CompletionStage<Optional<OrgCatalog>> readAgain(OrgId org, Consistency consistency) {
    CommitToken proven =
        consistency instanceof Consistency.Session session ? session.token() : CommitToken.NONE;
    return read(org, connection -> OrgReader.byId(connection, org), consistency, proven);
  }

  private CompletionStage<Optional<OrgCatalog>> read(
      Object key, SqlWork<Optional<OrgCatalog>> work, Consistency consistency, CommitToken proven) {
    CompletableFuture<Optional<OrgCatalog>> mine = new CompletableFuture<>();
    CompletableFuture<Optional<OrgCatalog>> other = reading.putIfAbsent(key, mine);
    if (other != null) {
      return other;
    }
    try {
      loaders.execute(
          () -> {
            try {
              Optional<OrgCatalog> found = readNow(work, consistency, proven);
              if (found.isEmpty() && key instanceof String slug) {
                rememberUnknown(slug);
              }
              reading.remove(key, mine);
              mine.complete(found);
            } catch (RuntimeException e) {
              reading.remove(key, mine);
              mine.completeExceptionally(e);
            }
          });
    } catch (RejectedExecutionException e) {
      reading.remove(key, mine);
      mine.completeExceptionally(
          new ConexorException(
              Blame.CAPACITY,
              Applied.NO,
              "catalog_busy",
              "too many organisations are being read from the database; try again",
              e,
              Duration.ofSeconds(1)));
    }
    return mine;
  }

  private Optional<OrgCatalog> readNow(
      SqlWork<Optional<OrgCatalog>> work, Consistency consistency, CommitToken proven) {
    long readAt = nanoTime.getAsLong();
    return database
        .forFleet()
        .read(consistency, Deadline.in(settings.changeLimit()), work)
        .map(found -> remember(found, readAt, proven));
  }

  /** What is known afterwards: the newer of the two. */
  private OrgCatalog remember(OrgCatalog found, long readAt, CommitToken proven) {
    OrgId org = found.organisation().id();
    if (byId.size() >= settings.maxOrganisations() && !byId.containsKey(org)) {
      forgetOldest();
    }
    boolean[] isNews = {false};
    Known now =
        byId.compute(
            org,
            (id, before) -> {
              if (before == null || before.catalog.version() < found.version()) {
                isNews[0] = true;
                return new Known(found, readAt, proven);
              }
              // one that is newer has it as well
              CommitToken all = before.proven.orLater(proven);
              if (before.catalog.version() > found.version()) {
                before.proven = all;
                return before; // a lagging replica answered
              }
              return new Known(before.catalog, readAt, all); // same version, same instance
            });
    bySlug.put(now.catalog.organisation().slug(), now);
    unknownUntil.remove(now.catalog.organisation().slug());
    if (isNews[0]) {
      for (Consumer<OrgId> listener : listeners) {
        try {
          listener.accept(org);
        } catch (RuntimeException e) {
          log.warn("a listener to catalog changes failed", e);
        }
      }
    }
    return now.catalog;
  }

  private void forgetOldest() {
    byId.values().stream()
        .min((a, b) -> Long.compare(a.readAt - b.readAt, 0))
        .ifPresent(
            oldest -> {
              byId.remove(oldest.catalog.organisation().id(), oldest);
              bySlug.remove(oldest.catalog.organisation().slug());
            });
  }

  private void rememberUnknown(String slug) {
    if (unknownUntil.size() >= settings.maxOrganisations()) {
      unknownUntil.clear();
    }
    unknownUntil.put(slug, nanoTime.getAsLong() + settings.unknownMemory().toNanos());
  }

  @Override
  public void put(Organisation organisation) {
    writer.put(organisation);
    changed(organisation.id());
  }

  @Override
  public void put(Agent agent) {
    writer.put(agent);
    changed(agent.org());
  }

  @Override
  public void put(DataSource source) {
    writer.put(source);
    changed(source.org());
  }

  @Override
  public boolean add(DataSource source) {
    boolean isNew = writer.add(source);
    if (isNew) {
      changed(source.org());
    }
    return isNew;
  }

  @Override
  public void put(Tool tool) {
    writer.put(tool);
    changed(tool.org());
  }

  @Override
  public void put(McpServer server) {
    writer.put(server);
    changed(server.org());
  }

  @Override
  public void put(OrgId org, SourceSchema schema) {
    if (writer.put(org, schema)) {
      changed(org);
    }
  }

  @Override
  public boolean remove(OrgId org, AgentId agent) {
    return changed(org, writer.remove(org, agent));
  }

  @Override
  public boolean removeSource(OrgId org, String name) {
    return changed(org, writer.removeSource(org, name));
  }

  @Override
  public boolean remove(OrgId org, ToolId tool) {
    return changed(org, writer.remove(org, tool));
  }

  @Override
  public boolean remove(OrgId org, McpServerId server) {
    return changed(org, writer.remove(org, server));
  }

  private boolean changed(OrgId org, boolean isChanged) {
    if (isChanged) {
      changed(org);
    }
    return isChanged;
  }

  /**
   * The change is committed: see it here, tell the others. Neither may make the editor's caller
   * believe it failed.
   */
  private void changed(OrgId org) {
    CommitToken written = database.position().orElse(CommitToken.NONE);
    try {
      readNow(connection -> OrgReader.byId(connection, org), Consistency.strong(), written);
    } catch (RuntimeException e) {
      markStale(org);
      log.warn("a change of organisation {} could not be read back: {}", org, e.getMessage());
    }
    Backplane bus = backplane.get();
    if (bus == null) {
      return; // the others find out when they refresh
    }
    bus.publish(TOPIC, org.toString(), written.text().getBytes(UTF_8))
        .whenComplete(
            (position, failure) -> {
              if (failure != null) {
                log.warn(
                    "other backends learn of a change of organisation {} only when they refresh: {}",
                    org,
                    failure.getMessage());
              }
            });
  }

  private void markStale(OrgId org) {
    Known known = byId.get(org);
    if (known != null) {
      known.isStale = true;
    }
  }

  private final class Listener implements Backplane.EventListener {

    @Override
    public void event(Event event) {
      OrgId org;
      try {
        org = OrgId.of(event.key());
      } catch (IllegalArgumentException e) {
        return; // not ours
      }
      unknownUntil.clear(); // it may be a new organisation
      if (byId.containsKey(org)) {
        markStale(org);
        var unused = readAgain(org, atLeast(event));
      }
    }

    /** Backends of earlier versions, and those that wrote for nobody, do not say how far it is. */
    private static Consistency atLeast(Event event) {
      try {
        CommitToken written = CommitToken.of(new String(event.payload(), UTF_8));
        return written.equals(CommitToken.NONE)
            ? Consistency.strong()
            : Consistency.session(written);
      } catch (IllegalArgumentException e) {
        return Consistency.strong();
      }
    }

    @Override
    public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
      unknownUntil.clear();
      byId.values().forEach(known -> known.isStale = true);
    }
  }
}
