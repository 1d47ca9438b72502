package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Keys;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.access.UserId;
import io.conexor.api.access.Users;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.audit.AuditRecord.Outcome;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.ToolId;
import io.conexor.api.database.Database;
import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpRoute;
import io.conexor.api.node.Node;
import io.conexor.api.session.SessionStore;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiFunction;
import java.util.function.Function;
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
import tools.jackson.databind.JsonNode;

/**
 * The REST API. Finds the operation, then who asks, then whether they may; whatever may block runs
 * on threads of its own, the query path does not block.
 */
@Component(service = HttpRoute.class, configurationPid = Settings.PID)
@Designate(ocd = Settings.Config.class)
public final class RestApi implements HttpRoute {

  static final String PATH = "/api/v1";

  private static final Logger log = LoggerFactory.getLogger(RestApi.class);

  /** Who may. */
  private enum Who {
    /** No credential is asked for. */
    ANYBODY,
    /** Any credential but an agent's. */
    KNOWN,
    /** People and administrators' tokens. */
    MEMBERS,
    ADMINISTRATORS
  }

  /** One operation. {@code template} has {@code {}} for each placeholder. */
  private record Operation(
      String method, String template, Who who, boolean blocks, Handler handler) {
    String name() {
      return method + " " + template;
    }
  }

  private interface Handler {
    /** Answers now, or returns null and answers later. */
    @Nullable Answer run(Call call);
  }

  private final Access access;
  private final AuditTrail audit;
  private final Node node;
  private final Settings settings;
  private final ThreadPoolExecutor workers;
  private final List<Operation> operations = new ArrayList<>();
  private final byte[] openApi;
  private final Positions positions;

  /** Bound by the framework, which binds a replacement before it unbinds the old one. */
  private final AtomicReference<@Nullable SessionStore> sessions = new AtomicReference<>();

  @Activate
  public RestApi(
      @Reference(name = "access") Access access,
      @Reference(name = "tokens") Tokens tokens,
      @Reference(name = "keys") Keys keys,
      @Reference(name = "users") Users users,
      @Reference(name = "catalog") Catalog catalog,
      @Reference(name = "editor") CatalogEditor editor,
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "calls") AgentCalls calls,
      @Reference(name = "audit") AuditTrail audit,
      @Reference(name = "database") Database database,
      @Reference(name = "node") Node node,
      Settings.Config config) {
    this(
        access,
        tokens,
        keys,
        users,
        catalog,
        editor,
        directory,
        calls,
        audit,
        database,
        node,
        Settings.checked(config));
  }

  RestApi(
      Access access,
      Tokens tokens,
      Keys keys,
      Users users,
      Catalog catalog,
      CatalogEditor editor,
      AgentDirectory directory,
      AgentCalls calls,
      AuditTrail audit,
      Database database,
      Node node,
      Settings settings) {
    this.access = access;
    this.audit = audit;
    this.node = node;
    this.settings = settings;
    AtomicInteger number = new AtomicInteger();
    this.workers =
        new ThreadPoolExecutor(
            settings.threads(),
            settings.threads(),
            30,
            SECONDS,
            new LinkedBlockingQueue<>(settings.queue()),
            task -> {
              Thread thread = new Thread(task, "conexor-rest-worker-" + number.getAndIncrement());
              thread.setDaemon(true);
              return thread;
            });
    workers.allowCoreThreadTimeOut(true);
    this.openApi = openApi();
    Idempotency once = new Idempotency(database);
    LeftQueries left = new LeftQueries(calls, tokens, settings);
    this.positions = new Positions(database, tokens, this::sessions, Clock.systemUTC());
    declare(
        new QueryOperation(catalog, directory, calls, once, left, workers, settings),
        left,
        new Accounts(access, users, this::sessions),
        new Resources(catalog, editor, directory, calls, keys, audit),
        once);
  }

  @Reference(
      name = "sessions",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindSessions(SessionStore service) {
    sessions.set(service);
  }

  void unbindSessions(SessionStore service) {
    sessions.compareAndSet(service, null);
  }

  @Deactivate
  void close() {
    workers.shutdownNow();
  }

  private SessionStore sessions() {
    SessionStore current = sessions.get();
    if (current == null) {
      throw new ConexorException(
          Blame.DEPENDENCY,
          Applied.NO,
          "service_away",
          "the session store is being replaced; try again in a moment");
    }
    return current;
  }

  private void declare(
      QueryOperation query, LeftQueries left, Accounts accounts, Resources all, Idempotency once) {
    now("GET", "/openapi.json", Who.ANYBODY, this::openApi);
    later("GET", "/setup", Who.ANYBODY, accounts::needsSetup);
    later("POST", "/setup", Who.ANYBODY, accounts::setUp);
    later("POST", "/login", Who.ANYBODY, accounts::login);
    blocking("POST", "/logout", Who.KNOWN, accounts::logout);
    now("GET", "/session", Who.KNOWN, Accounts::session);
    blocking("GET", "/session/attributes", Who.MEMBERS, accounts::attributes);
    blocking("PATCH", "/session/attributes", Who.MEMBERS, accounts::changeAttributes);
    later("POST", "/query", Who.KNOWN, query::run);
    later("GET", "/queries/{}", Who.KNOWN, left::state);
    later("GET", "/queries/{}/result", Who.KNOWN, query::result);
    later("DELETE", "/queries/{}", Who.KNOWN, left::discard);

    blocking("GET", "/organisation", Who.MEMBERS, all::organisation);
    blocking("PUT", "/organisation", Who.ADMINISTRATORS, all::renameOrganisation);

    blocking("GET", "/agents", Who.MEMBERS, all::agents);
    creating(once, "/agents", Who.ADMINISTRATORS, (c, id) -> all.createAgent(c, new AgentId(id)));
    blocking("GET", "/agents/{}", Who.MEMBERS, all::agent);
    blocking("PUT", "/agents/{}", Who.ADMINISTRATORS, all::updateAgent);
    blocking("DELETE", "/agents/{}", Who.ADMINISTRATORS, all::removeAgent);

    blocking("GET", "/sources", Who.MEMBERS, all::sources);
    creating(once, "/sources", Who.ADMINISTRATORS, (c, id) -> all.createSource(c));
    blocking("GET", "/sources/{}", Who.MEMBERS, all::source);
    blocking("PUT", "/sources/{}", Who.ADMINISTRATORS, all::updateSource);
    blocking("DELETE", "/sources/{}", Who.ADMINISTRATORS, all::removeSource);
    blocking("GET", "/sources/{}/schema", Who.MEMBERS, all::schema);
    waiting(
        "POST",
        "/sources/{}/schema/refresh",
        Who.MEMBERS,
        all::discoverSchema,
        all::refreshedSchema);

    blocking("GET", "/tools", Who.MEMBERS, all::tools);
    creating(once, "/tools", Who.MEMBERS, (c, id) -> all.createTool(c, new ToolId(id)));
    blocking("GET", "/tools/{}", Who.MEMBERS, all::tool);
    blocking("PUT", "/tools/{}", Who.MEMBERS, all::updateTool);
    blocking("DELETE", "/tools/{}", Who.MEMBERS, all::removeTool);

    blocking("GET", "/mcp-servers", Who.MEMBERS, all::servers);
    creating(
        once, "/mcp-servers", Who.MEMBERS, (c, id) -> all.createServer(c, new McpServerId(id)));
    blocking("GET", "/mcp-servers/{}", Who.MEMBERS, all::server);
    blocking("PUT", "/mcp-servers/{}", Who.MEMBERS, all::updateServer);
    blocking("DELETE", "/mcp-servers/{}", Who.MEMBERS, all::removeServer);

    blocking("GET", "/keys", Who.MEMBERS, all::keys);
    creating(once, "/keys", Who.ADMINISTRATORS, (c, id) -> all.createKey(c, new KeyId(id)));
    blocking("DELETE", "/keys/{}", Who.ADMINISTRATORS, all::revokeKey);

    blocking("GET", "/users", Who.MEMBERS, accounts::list);
    creating(once, "/users", Who.ADMINISTRATORS, (c, id) -> accounts.create(c, new UserId(id)));
    blocking("DELETE", "/users/{}", Who.ADMINISTRATORS, accounts::remove);
    blocking("PUT", "/users/{}/password", Who.MEMBERS, accounts::changePassword);

    blocking("GET", "/audit", Who.MEMBERS, all::audit);
  }

  private interface Creation {
    Answer run(Call call, java.util.UUID id);
  }

  private void creating(Idempotency once, String template, Who who, Creation creation) {
    operations.add(
        new Operation(
            "POST", template, who, true, call -> once.once(call, id -> creation.run(call, id))));
  }

  private void blocking(String method, String template, Who who, Handler handler) {
    operations.add(new Operation(method, template, who, true, handler));
  }

  /** Asks with one worker and answers with another; while it waits for what it asked, with none. */
  private <T> void waiting(
      String method,
      String template,
      Who who,
      Function<Call, CompletionStage<T>> ask,
      BiFunction<Call, T, Answer> answer) {
    Handler first =
        call -> {
          var unused =
              ask.apply(call)
                  .whenComplete(
                      (value, failure) -> {
                        Handler second =
                            same -> {
                              if (failure != null) {
                                throw problem(failure);
                              }
                              return answer.apply(same, value);
                            };
                        run(new Operation(method, template, who, true, second), call);
                      });
          return null;
        };
    operations.add(new Operation(method, template, who, true, first));
  }

  private void now(String method, String template, Who who, Handler handler) {
    operations.add(new Operation(method, template, who, false, handler));
  }

  private void later(
      String method, String template, Who who, java.util.function.Consumer<Call> handler) {
    operations.add(
        new Operation(
            method,
            template,
            who,
            false,
            call -> {
              handler.accept(call);
              return null;
            }));
  }

  /** Every operation as {@code METHOD /template}, for the test of the OpenAPI document. */
  Set<String> operationNames() {
    Set<String> names = new TreeSet<>();
    operations.forEach(operation -> names.add(operation.name()));
    return names;
  }

  @Override
  public String path() {
    return PATH;
  }

  @Override
  public int maxBodyBytes() {
    return settings.bodyMaxBytes();
  }

  @Override
  public void handle(HttpExchange exchange) {
    String path = exchange.path();
    String rest = path.length() > PATH.length() ? path.substring(PATH.length()) : "/";
    Set<String> allowed = new TreeSet<>();
    for (Operation operation : operations) {
      Optional<List<String>> values = match(operation.template(), rest);
      if (values.isEmpty()) {
        continue;
      }
      if (operation.method().equals(exchange.method())) {
        Call call = new Call(exchange, operation.name(), values.get(), audit, node.id());
        begin(operation, call);
        return;
      }
      allowed.add(operation.method());
    }
    Call nobody = new Call(exchange, exchange.method(), List.of(), audit, node.id());
    if (allowed.isEmpty()) {
      nobody.problem(
          Problem.of(404, "path_unknown", "there is nothing here; see " + PATH + "/openapi.json"));
    } else {
      exchange.withHeader("Allow", String.join(", ", allowed));
      nobody.problem(
          Problem.of(405, "method_invalid", "only " + String.join(", ", allowed) + " fit here"));
    }
  }

  private static Optional<List<String>> match(String template, String path) {
    String[] wanted = template.split("/");
    String[] shown = path.split("/");
    if (wanted.length != shown.length) {
      return Optional.empty();
    }
    List<String> values = new ArrayList<>();
    for (int i = 0; i < wanted.length; i++) {
      if (wanted[i].equals("{}")) {
        values.add(shown[i]);
      } else if (!wanted[i].equals(shown[i])) {
        return Optional.empty();
      }
    }
    return Optional.of(values);
  }

  private void begin(Operation operation, Call call) {
    boolean isChange = !operation.method().equals("GET");
    if (isChange && !audit.accepting()) {
      call.problem(
          new Problem(
              503,
              "audit_unavailable",
              "nothing is done that can't be recorded, and the audit trail takes no records now",
              Applied.NO,
              Optional.of(Duration.ofSeconds(2)),
              List.of()));
      return;
    }
    if (operation.who() == Who.ANYBODY) {
      run(operation, call);
      return;
    }
    Optional<Credential> credential = Credential.of(call.exchange);
    if (credential.isEmpty()) {
      refuse(call, Problem.of(401, "credential_missing", "show an API key or sign in"));
      return;
    }
    var unused =
        access
            .authenticate(credential.get())
            .whenComplete(
                (outcome, failure) -> {
                  if (failure != null) {
                    call.problem(problem(failure).problem);
                  } else if (outcome instanceof Access.Authentication.Granted granted) {
                    call.is(granted.principal());
                    call.attributes = granted.attributes();
                    admit(operation, call, credential.get());
                  } else if (outcome instanceof Access.Authentication.Refused refused) {
                    refuse(call, Problem.of(401, "credential_refused", refused.reason()));
                  }
                });
  }

  private void admit(Operation operation, Call call, Credential credential) {
    if (credential instanceof Credential.Login login && !operation.method().equals("GET")) {
      String shown = call.exchange.header("X-CSRF-Token").orElse("");
      if (!MessageDigest.isEqual(
          shown.getBytes(UTF_8), Accounts.csrf(login.session()).getBytes(UTF_8))) {
        refuse(
            call,
            Problem.of(
                403,
                "csrf_token_missing",
                "send the csrfToken of GET /session in the header X-CSRF-Token"));
        return;
      }
    }
    boolean may =
        switch (operation.who()) {
          case ANYBODY -> true;
          case KNOWN -> !(call.principal() instanceof Principal.AgentKey);
          case MEMBERS -> call.isPerson() || call.isAdmin();
          case ADMINISTRATORS -> call.isAdmin();
        };
    if (!may) {
      refuse(call, Problem.of(403, "forbidden", "this credential may not do " + operation.name()));
      return;
    }
    run(operation, call);
  }

  private static void refuse(Call call, Problem problem) {
    call.audited("auth.refuse", Outcome.REFUSED, null, problem.code() + ": " + problem.detail());
    call.problem(problem);
  }

  private void run(Operation operation, Call call) {
    if (!operation.blocks()) {
      perform(operation, call);
      return;
    }
    try {
      workers.execute(() -> perform(operation, call));
    } catch (RejectedExecutionException full) {
      call.problem(busy());
    }
  }

  static Problem busy() {
    return new Problem(
        503,
        "busy",
        "too many operations are waiting; try again in a moment",
        Applied.NO,
        Optional.of(Duration.ofSeconds(1)),
        List.of());
  }

  private void perform(Operation operation, Call call) {
    try {
      Optional<Answer> answer =
          operation.blocks()
              ? positions.following(call, () -> operation.handler().run(call))
              : Optional.ofNullable(operation.handler().run(call));
      answer.ifPresent(now -> respond(call, now));
    } catch (RuntimeException e) {
      Problem problem = problem(e).problem;
      if (problem.status() >= 500) {
        log.warn("request {}: {}", call.exchange.requestId(), operation.name(), e);
      }
      if (!operation.method().equals("GET")) {
        call.audited(
            action(operation),
            problem.status() < 500
                ? Outcome.REFUSED
                : problem.applied() == Applied.UNKNOWN ? Outcome.UNKNOWN : Outcome.FAILED,
            call.path.isEmpty() ? null : call.path.get(0),
            problem.code() + ": " + problem.detail());
      }
      call.problem(problem);
    }
  }

  /** For failures; successes name their own, with the same words. */
  private static String action(Operation operation) {
    String[] words = operation.template().substring(1).split("/");
    String noun = words[0].endsWith("s") ? words[0].substring(0, words[0].length() - 1) : words[0];
    if (operation.template().equals("/query")) {
      return "query.refuse";
    }
    return switch (operation.method()) {
      case "DELETE" -> noun + (noun.equals("key") ? ".revoke" : ".remove");
      case "PATCH" -> noun + ".update";
      case "PUT" -> noun + (words.length == 3 ? "." + words[2] : ".update");
      default -> words.length == 4 ? "schema.refresh" : noun + ".create";
    };
  }

  static void respond(Call call, Answer answer) {
    answer.headers().forEach(call.exchange::withHeader);
    call.exchange.withHeader("Cache-Control", "no-store");
    String tag = answer.headers().get("ETag");
    if (tag != null
        && call.exchange.method().equals("GET")
        && call.exchange.header("If-None-Match").filter(tag::equals).isPresent()) {
      call.exchange.respond(304);
      return;
    }
    JsonNode body = answer.body();
    if (body == null) {
      call.exchange.respond(answer.status());
    } else {
      call.exchange.respond(answer.status(), Json.TYPE, Json.bytes(body));
    }
  }

  /** Any failure as a problem. */
  static Problem.Raised problem(Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    if (cause instanceof Problem.Raised raised) {
      return raised;
    }
    if (cause instanceof ConexorException e) {
      return new Problem.Raised(Problem.of(e));
    }
    log.error("a request failed for no reason anybody thought of", cause);
    return Problem.raise(
        500, "internal", "the server failed; the request id leads to the cause in its log");
  }

  private @Nullable Answer openApi(Call call) {
    call.exchange.withHeader("Cache-Control", "max-age=300");
    call.exchange.respond(200, Json.TYPE, openApi);
    return null;
  }

  private static byte[] openApi() {
    try (InputStream in = RestApi.class.getResourceAsStream("openapi.json")) {
      if (in == null) {
        throw new IllegalStateException("openapi.json is not in this bundle");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
