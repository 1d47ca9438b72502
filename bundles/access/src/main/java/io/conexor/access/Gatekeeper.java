package io.conexor.access;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Secret;
import io.conexor.api.access.Access;
import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.access.Role;
import io.conexor.api.access.UserId;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.LongSupplier;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says who is asking: keys, sessions, passwords and the first-run set-up. */
@Component(
    service = {Access.class, HealthCheck.class},
    configurationPid = AccessConfig.PID,
    immediate = true) // the set-up token must be there before anybody asks
public final class Gatekeeper implements Access, HealthCheck {

  /** The session attributes that make a principal. */
  static final String ORG = "org";

  static final String EMAIL = "email";
  static final String ROLE = "role";

  private static final Logger log = LoggerFactory.getLogger(Gatekeeper.class);

  private static final Authentication.Refused NO_SESSION =
      new Authentication.Refused("the session has ended; sign in again");
  private static final SignIn.Refused WRONG =
      new SignIn.Refused("the e-mail address or the password is wrong");

  private static final int MAX_SUBJECTS = 10_000;
  private static final String SETUP = "access.setup";
  private static final String SETUP_FILE = "setup-token";

  private final ApiKeys keys;
  private final People people;
  private final FleetTokens tokens;
  private final CatalogEditor editor;
  private final Settings settings;
  private final Workers workers;
  private final ScheduledExecutorService timer;
  private final Throttle accounts;
  private final Throttle addresses;
  private final Throttle setups;
  private final Current<SessionStore> sessions = new Current<>("session store");

  /** Set once there is an administrator, for there will always be one; written by workers. */
  private volatile boolean isSetUp;

  @Activate
  public Gatekeeper(
      @Reference(name = "keys") ApiKeys keys,
      @Reference(name = "people") People people,
      @Reference(name = "tokens") FleetTokens tokens,
      @Reference(name = "editor") CatalogEditor editor,
      AccessConfig config) {
    this(keys, people, tokens, editor, Settings.checked(config), System::nanoTime);
  }

  Gatekeeper(
      ApiKeys keys,
      People people,
      FleetTokens tokens,
      CatalogEditor editor,
      Settings settings,
      LongSupplier nanoTime) {
    this.keys = keys;
    this.people = people;
    this.tokens = tokens;
    this.editor = editor;
    this.settings = settings;
    this.workers = new Workers("sessions", settings.threads(), settings.queue());
    this.accounts =
        new Throttle(settings.accountBurst(), settings.accountInterval(), MAX_SUBJECTS, nanoTime);
    this.addresses =
        new Throttle(settings.addressBurst(), settings.addressInterval(), MAX_SUBJECTS, nanoTime);
    this.setups = new Throttle(20, Duration.ofSeconds(1), 1, nanoTime);
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-access-setup");
              thread.setDaemon(true);
              return thread;
            });
    timer.execute(() -> prepareSetup(1));
  }

  @Reference(
      name = "sessions",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindSessions(SessionStore service) {
    sessions.set(service);
  }

  void unbindSessions(SessionStore service) {
    sessions.clear(service);
  }

  @Deactivate
  void close() {
    timer.shutdownNow();
    workers.close();
  }

  @Override
  public CompletionStage<Authentication> authenticate(Credential credential) {
    if (credential instanceof Credential.ApiKey key) {
      return keys.authenticate(key.key());
    }
    SessionId session = ((Credential.Login) credential).session();
    return workers.submit(
        () ->
            sessions
                .get()
                .find(session)
                .<Authentication>flatMap(
                    found ->
                        principal(found)
                            .map(who -> new Authentication.Granted(who, found.attributes())))
                .orElse(NO_SESSION));
  }

  private static Optional<Principal.User> principal(Session session) {
    Map<String, String> attributes = session.attributes();
    String org = attributes.get(ORG);
    String email = attributes.get(EMAIL);
    String role = attributes.get(ROLE);
    if (org == null || email == null || role == null) {
      return Optional.empty();
    }
    return Optional.of(
        new Principal.User(
            OrgId.of(org), UserId.of(session.subject()), email, Role.valueOf(role), session.id()));
  }

  @Override
  public CompletionStage<SignIn> signIn(String email, Secret password, String remoteAddress) {
    if (People.isTooLong(password) || email.length() > 320) {
      return CompletableFuture.completedFuture(WRONG);
    }
    String account = email.strip().toLowerCase(Locale.ROOT);
    Optional<Duration> wait =
        addresses.take(network(remoteAddress)).or(() -> accounts.take(account));
    if (wait.isPresent()) {
      return CompletableFuture.completedFuture(new SignIn.TooMany(wait.get()));
    }
    return workers
        .submit(() -> people.find(account))
        .thenCompose(
            found ->
                people
                    .matches(password, found)
                    .thenCompose(
                        matches ->
                            matches && found.isPresent()
                                ? welcome(found.get(), account, password)
                                : CompletableFuture.completedFuture(WRONG)))
        .exceptionallyCompose(Gatekeeper::tooManyIfFull);
  }

  private CompletionStage<SignIn> welcome(People.Account account, String subject, Secret password) {
    accounts.forgive(subject);
    people.modernise(account, password);
    var user = account.user();
    return workers.submit(
        () -> {
          Session session =
              sessions
                  .get()
                  .create(
                      user.id().toString(),
                      Map.of(
                          ORG, user.org().toString(),
                          EMAIL, user.email(),
                          ROLE, user.role().name()),
                      settings.sessionTimeToLive());
          return new SignIn.Welcome(
              new Principal.User(user.org(), user.id(), user.email(), user.role(), session.id()),
              session);
        });
  }

  private static CompletionStage<SignIn> tooManyIfFull(Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    return cause instanceof ConexorException e && e.blame() == Blame.CAPACITY
        ? CompletableFuture.completedFuture(
            new SignIn.TooMany(e.retryAfter().orElse(Duration.ofSeconds(1))))
        : CompletableFuture.failedFuture(cause);
  }

  /** A household or an office has a /64 of IPv6, and as many addresses as it likes. */
  static String network(String address) {
    if (address.indexOf(':') < 0) {
      return address;
    }
    try {
      byte[] bytes = java.net.InetAddress.getByName(literal(address)).getAddress();
      return java.util.HexFormat.of().formatHex(bytes, 0, Math.min(8, bytes.length));
    } catch (java.net.UnknownHostException e) {
      return address;
    }
  }

  // Only characters of an address, so that no name is ever looked up.
  private static String literal(String address) {
    StringBuilder literal = new StringBuilder();
    for (int i = 0; i < address.length() && address.charAt(i) != '%'; i++) {
      char c = address.charAt(i);
      if (Character.digit(c, 16) >= 0 || c == ':' || c == '.') {
        literal.append(c);
      }
    }
    return literal.toString();
  }

  @Override
  public CompletionStage<Boolean> needsSetup() {
    if (isSetUp) {
      return CompletableFuture.completedFuture(false);
    }
    return workers.submit(this::looksForSetup);
  }

  private boolean looksForSetup() {
    if (!isSetUp && people.hasAdministrator()) {
      isSetUp = true;
    }
    return !isSetUp;
  }

  @Override
  public CompletionStage<Optional<OrgId>> setUp(
      Secret setupToken, String orgSlug, String orgName, String email, Secret password) {
    return workers.submit(
        () -> {
          Optional<Duration> wait = setups.take(SETUP);
          if (wait.isPresent()) {
            throw new ConexorException(
                Blame.CAPACITY,
                ConexorException.Applied.NO,
                "busy",
                "too many attempts to set up",
                null,
                wait.get());
          }
          if (!isSetupToken(setupToken) || !looksForSetup()) {
            return Optional.empty();
          }
          return found(orgSlug, orgName, email, password);
        });
  }

  private Optional<OrgId> found(String slug, String name, String email, Secret password) {
    if (!slug.matches("[a-z0-9-]{1,63}")) {
      throw ApiKeys.invalid(
          "slug_invalid", "an organisation's slug is 1..63 characters of a-z, 0-9 and -");
    }
    if (name.isBlank() || name.length() > 200) {
      throw ApiKeys.invalid("name_invalid", "an organisation's name has 1 to 200 characters");
    }
    String address = people.checkedEmail(email);
    people.checkPassword(address, password);
    Optional<OrgId> org = people.found(slug, name, address, people.hash(password).join());
    if (org.isPresent()) {
      isSetUp = true;
      log.info("set-up is done: organisation '{}' with its first administrator", slug);
      // The row is there; this tells the catalogs of all backends.
      editor.put(new Organisation(org.get(), slug, name, Instant.now()));
      deleteSetupFile();
    }
    return org;
  }

  private boolean isSetupToken(Secret shown) {
    boolean isEqual = false;
    for (Secret token : tokens.derived(SETUP)) {
      isEqual |=
          MessageDigest.isEqual(
              token.reveal().getBytes(StandardCharsets.UTF_8),
              shown.reveal().getBytes(StandardCharsets.UTF_8));
    }
    return isEqual;
  }

  private void prepareSetup(int attempt) {
    try {
      if (looksForSetup()) {
        writeSetupFile();
      } else {
        deleteSetupFile();
      }
    } catch (RuntimeException | IOException e) {
      if (Integer.bitCount(attempt) == 1) {
        log.warn("can't prepare the first-run set-up yet, attempt {}: {}", attempt, e.getMessage());
      }
      if (!timer.isShutdown()) {
        var unused = timer.schedule(() -> prepareSetup(attempt + 1), 1_000, MILLISECONDS);
      }
    }
  }

  private void writeSetupFile() throws IOException {
    Path file = setupFile();
    Path folder = settings.dataFolder().toAbsolutePath();
    Files.createDirectories(folder);
    boolean isPosix = FileSystems.getDefault().supportedFileAttributeViews().contains("posix");
    FileAttribute<?>[] onlyOwner =
        isPosix
            ? new FileAttribute<?>[] {
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
            }
            : new FileAttribute<?>[0];
    // Complete and private from its first moment: written aside, then moved into place.
    Path fresh = Files.createTempFile(folder, SETUP_FILE, ".new", onlyOwner);
    Files.writeString(fresh, tokens.derived(SETUP).get(0).reveal() + "\n");
    Files.move(fresh, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    log.info(
        "nobody is set up yet: POST /api/v1/setup with the one-time token in {} makes the first"
            + " administrator",
        file);
  }

  private void deleteSetupFile() {
    try {
      Files.deleteIfExists(setupFile());
    } catch (IOException e) {
      log.warn("can't delete {}, which is of no use any more: {}", setupFile(), e.getMessage());
    }
  }

  private Path setupFile() {
    return settings.dataFolder().toAbsolutePath().resolve(SETUP_FILE);
  }

  @Override
  public String name() {
    return "access";
  }

  @Override
  public Health check() {
    Map<String, String> facts = keys.facts();
    if (!tokens.isReady()) {
      return Health.degraded(
          "the fleet secret could not be read from PostgreSQL yet: no tokens, no log-ins", facts);
    }
    if (keys.isDatabaseAway()) {
      return Health.degraded(
          "PostgreSQL does not answer: API keys are served from memory, new ones are not known",
          facts);
    }
    return Health.healthy(facts);
  }
}
