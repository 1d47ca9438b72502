package io.conexor.rest;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Page;
import io.conexor.api.Secret;
import io.conexor.api.Subscription;
import io.conexor.api.access.Access;
import io.conexor.api.access.ApiKey;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Keys;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.access.UserId;
import io.conexor.api.access.Users;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.ColumnType;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.RowSink;
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
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/** Everything the API leans on, as the test scripts it. */
final class World
    implements Access, Catalog, CatalogEditor, AgentDirectory, AgentCalls, AuditTrail, Node {

  final OrgId org = OrgId.random();
  final SessionId session = new SessionId("s".repeat(30));
  final McpServerId server = McpServerId.random();
  final Map<String, Principal> keys = new HashMap<>();
  final List<AuditRecord> records = new CopyOnWriteArrayList<>();
  final List<QueryCall> queries = new CopyOnWriteArrayList<>();
  final List<String> cancelled = new CopyOnWriteArrayList<>();
  final AtomicInteger requested = new AtomicInteger();
  volatile BiConsumer<QueryCall, RowSink> agent = (call, sink) -> {};
  volatile boolean isAccepting = true;

  /** Completes when agents have looked at the structure of their source. */
  volatile CompletableFuture<Void> agentsLook = CompletableFuture.completedFuture(null);

  volatile Role role = Role.ADMIN;
  private volatile OrgCatalog catalog;

  World() {
    keys.put("admin", new Principal.AdminToken(org, KeyId.random(), "ci"));
    keys.put("server", new Principal.ServerKey(org, KeyId.random(), "k", server));
    keys.put("agent", new Principal.AgentKey(org, KeyId.random(), AgentId.random(), "berlin"));
    catalog =
        new OrgCatalog(
            new Organisation(org, "acme", "Acme", Instant.now()),
            1,
            Map.of(),
            Map.of(
                "sales", new DataSource(org, "sales", "postgresql", "", Instant.now()),
                "people", new DataSource(org, "people", "postgresql", "", Instant.now())),
            Map.of(),
            Map.of(),
            Map.of(
                "s",
                new McpServer(
                    server,
                    org,
                    "s",
                    "",
                    true,
                    List.of("sales"),
                    true,
                    true,
                    java.util.Set.of(),
                    Instant.now())));
  }

  @Override
  public CompletionStage<Authentication> authenticate(Credential credential) {
    if (credential instanceof Credential.ApiKey key) {
      Principal principal = keys.get(key.key().reveal());
      return CompletableFuture.completedFuture(
          principal == null
              ? new Authentication.Refused("the key is unknown or was revoked")
              : new Authentication.Granted(principal));
    }
    return CompletableFuture.completedFuture(
        ((Credential.Login) credential).session().equals(session)
            ? new Authentication.Granted(user())
            : new Authentication.Refused("the session has ended; sign in again"));
  }

  private final UserId userId = UserId.random();

  Principal.User user() {
    return new Principal.User(org, userId, "ada@example.org", role, session);
  }

  @Override
  public CompletionStage<SignIn> signIn(String email, Secret password, String remoteAddress) {
    return CompletableFuture.completedFuture(
        switch (password.reveal()) {
          case "right" ->
              new SignIn.Welcome(
                  user(),
                  new Session(session, userId.toString(), Instant.now(), Instant.MAX, Map.of()));
          case "often" -> new SignIn.TooMany(Duration.ofMillis(2_500));
          default -> new SignIn.Refused("the e-mail address or the password is wrong");
        });
  }

  @Override
  public CompletionStage<Boolean> needsSetup() {
    return CompletableFuture.completedFuture(true);
  }

  @Override
  public CompletionStage<Optional<OrgId>> setUp(
      Secret token, String slug, String name, String email, Secret password) {
    return CompletableFuture.completedFuture(
        token.reveal().equals("token") ? Optional.of(org) : Optional.empty());
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> bySlug(String slug) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> byId(OrgId id) {
    return CompletableFuture.completedFuture(
        id.equals(org) ? Optional.of(catalog) : Optional.empty());
  }

  private synchronized <K, V> void change(
      Map<K, V> now,
      Consumer<Map<K, V>> edit,
      java.util.function.Function<Map<K, V>, OrgCatalog> to) {
    Map<K, V> copy = new HashMap<>(now);
    edit.accept(copy);
    catalog = to.apply(copy);
  }

  @Override
  public void put(Organisation organisation) {
    OrgCatalog c = catalog;
    catalog =
        new OrgCatalog(
            organisation,
            c.version() + 1,
            c.agents(),
            c.sources(),
            c.schemas(),
            c.tools(),
            c.servers());
  }

  @Override
  public void put(Agent put) {
    OrgCatalog c = catalog;
    if (c.agents().values().stream()
        .anyMatch(a -> a.name().equals(put.name()) && !a.id().equals(put.id()))) {
      throw new ConexorException(
          Blame.CALLER, Applied.NO, "agent_taken", "an agent of this name exists");
    }
    change(
        c.agents(),
        m -> m.put(put.id(), put),
        m ->
            new OrgCatalog(
                c.organisation(),
                c.version() + 1,
                m,
                c.sources(),
                c.schemas(),
                c.tools(),
                c.servers()));
  }

  @Override
  public boolean add(DataSource source) {
    boolean isNew = !catalog.sources().containsKey(source.name());
    if (isNew) {
      put(source);
    }
    return isNew;
  }

  @Override
  public void put(DataSource source) {
    OrgCatalog c = catalog;
    change(
        c.sources(),
        m -> m.put(source.name(), source),
        m ->
            new OrgCatalog(
                c.organisation(),
                c.version() + 1,
                c.agents(),
                m,
                c.schemas(),
                c.tools(),
                c.servers()));
  }

  @Override
  public void put(Tool tool) {
    OrgCatalog c = catalog;
    change(
        c.tools(),
        m -> m.put(tool.id(), tool),
        m ->
            new OrgCatalog(
                c.organisation(),
                c.version() + 1,
                c.agents(),
                c.sources(),
                c.schemas(),
                m,
                c.servers()));
  }

  @Override
  public void put(McpServer put) {
    OrgCatalog c = catalog;
    change(
        c.servers(),
        m -> m.put(put.name(), put),
        m ->
            new OrgCatalog(
                c.organisation(),
                c.version() + 1,
                c.agents(),
                c.sources(),
                c.schemas(),
                c.tools(),
                m));
  }

  @Override
  public void put(OrgId id, SourceSchema schema) {
    OrgCatalog c = catalog;
    change(
        c.schemas(),
        m -> m.put(schema.source(), schema),
        m ->
            new OrgCatalog(
                c.organisation(),
                c.version() + 1,
                c.agents(),
                c.sources(),
                m,
                c.tools(),
                c.servers()));
  }

  @Override
  public boolean remove(OrgId id, AgentId removed) {
    return catalog.agents().containsKey(removed);
  }

  @Override
  public boolean removeSource(OrgId id, String name) {
    return catalog.sources().containsKey(name);
  }

  @Override
  public boolean remove(OrgId id, ToolId tool) {
    return catalog.tools().containsKey(tool);
  }

  @Override
  public boolean remove(OrgId id, McpServerId removed) {
    return catalog.servers().values().stream().anyMatch(s -> s.id().equals(removed));
  }

  @Override
  public Subscription onChange(Consumer<OrgId> listener) {
    return () -> {};
  }

  @Override
  public List<Attachment> serving(OrgId id, String source) {
    return List.of();
  }

  @Override
  public List<Attachment> attached(OrgId id) {
    return List.of();
  }

  @Override
  public List<Attachment> attached() {
    return List.of();
  }

  @Override
  public int fleetSize() {
    return 1;
  }

  @Override
  public void announce(Attachment attachment) {}

  @Override
  public void withdraw(LinkId link, String reason) {}

  @Override
  public AgentCall start(QueryCall call, RowSink sink) {
    queries.add(call);
    agent.accept(call, sink);
    return new AgentCall() {
      @Override
      public void request(int batches) {
        requested.addAndGet(batches);
      }

      @Override
      public void cancel(String reason) {
        cancelled.add(reason);
      }
    };
  }

  @Override
  public CompletionStage<SourceSchema> discover(OrgId id, String source, Deadline deadline) {
    return agentsLook.thenApply(
        looked ->
            new SourceSchema(
                source,
                "postgresql",
                Instant.now(),
                List.of(
                    new SourceSchema.Table(
                        "public",
                        "orders",
                        "table",
                        "",
                        5,
                        List.of(
                            new SourceSchema.TableColumn(
                                "id", ColumnType.INTEGER, "int4", false, "", "")),
                        List.of("id"),
                        List.of(List.of("id")),
                        List.of(),
                        List.of()))));
  }

  @Override
  public void record(AuditRecord record) {
    records.add(record);
  }

  @Override
  public boolean accepting() {
    return isAccepting;
  }

  @Override
  public Page<AuditRecord> search(Query query) {
    return new Page<>(records.stream().limit(query.limit()).toList(), Optional.of("next"));
  }

  @Override
  public NodeId id() {
    return new NodeId("node-a");
  }

  @Override
  public String version() {
    return "0.1.0";
  }

  @Override
  public Instant startedAt() {
    return Instant.EPOCH;
  }

  @Override
  public State state() {
    return State.SERVING;
  }

  @Override
  public Subscription onState(Consumer<State> listener) {
    return () -> {};
  }

  @Override
  public CompletionStage<Void> drain(Duration limit) {
    return CompletableFuture.completedFuture(null);
  }

  /** Keys kept in a list; the secret is told once. */
  static final class ScriptedKeys implements Keys {
    final List<ApiKey> made = new ArrayList<>();

    @Override
    public NewKey create(
        OrgId org,
        KeyId id,
        ApiKey.Kind kind,
        Optional<String> owner,
        String name,
        Optional<Instant> expiresAt) {
      ApiKey key =
          new ApiKey(
              id,
              org,
              kind,
              owner,
              name,
              "adm_12345678",
              Instant.now(),
              expiresAt,
              Optional.empty(),
              Optional.empty());
      made.add(key);
      return new NewKey(key, Optional.of(new Secret("adm_the-secret-" + made.size())));
    }

    @Override
    public List<ApiKey> list(OrgId org) {
      return made;
    }

    @Override
    public boolean revoke(OrgId org, KeyId id) {
      return made.stream().anyMatch(key -> key.id().equals(id));
    }
  }

  /** People kept in a list. */
  static final class ScriptedUsers implements Users {
    Optional<SessionId> keptSession = Optional.empty();
    final List<User> people = new ArrayList<>();

    @Override
    public User create(OrgId org, UserId id, String email, Role role, Secret password) {
      User user = new User(id, org, email, role, Instant.now());
      people.add(user);
      return user;
    }

    @Override
    public List<User> list(OrgId org) {
      return people;
    }

    @Override
    public void changePassword(OrgId org, UserId id, Secret password, Optional<SessionId> except) {
      keptSession = except;
    }

    @Override
    public void remove(OrgId org, UserId id) {
      throw new ConexorException(
          Blame.CALLER, Applied.NO, "last_administrator", "the last administrator stays");
    }
  }
}
