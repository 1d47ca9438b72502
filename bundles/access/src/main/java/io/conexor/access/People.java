package io.conexor.access;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Deadline;
import io.conexor.api.Secret;
import io.conexor.api.access.Role;
import io.conexor.api.access.UserId;
import io.conexor.api.access.Users;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.database.Consistency;
import io.conexor.api.database.Database;
import io.conexor.api.database.Schema;
import io.conexor.api.database.SqlFailedException;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.regex.Pattern;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The accounts of people, and their passwords. Hashing has threads of its own, so that a flood of
 * log-ins takes neither the memory nor all cores.
 */
@Component(
    service = {Users.class, People.class},
    configurationPid = AccessConfig.PID)
public final class People implements Users {

  private static final Logger log = LoggerFactory.getLogger(People.class);

  private static final Duration DATABASE = Duration.ofSeconds(5);
  private static final Duration LOOKUP = Duration.ofSeconds(2);
  private static final Duration MAX_LAG = Duration.ofSeconds(30);

  private static final Pattern EMAIL =
      Pattern.compile("[^@\\s\\p{Cntrl}]{1,64}@[^@\\s\\p{Cntrl}]{1,190}");

  /** Held while the first administrator is made, so that there is one. */
  private static final long SETUP_LOCK = 0x636f_6e65_786f_7202L;

  /** An account with what is needed to check a password. */
  record Account(User user, String passwordHash) {}

  private final Database database;
  private final Database fleet;
  private final Settings settings;
  private final Passwords passwords;
  private final Workers hashing;
  private final Current<SessionStore> sessions = new Current<>("session store");

  @Activate
  public People(
      @Reference(name = "database") Database database,
      @Reference(name = "schema") Schema schema,
      AccessConfig config) {
    this(database, Settings.checked(config));
    log.debug("tables are of version {}", schema.version());
  }

  People(Database database, Settings settings) {
    this.database = database;
    this.fleet = database.forFleet();
    this.settings = settings;
    this.passwords = new Passwords(new SecureRandom());
    this.hashing =
        new Workers("passwords", settings.passwordConcurrency(), settings.passwordQueue());
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
    hashing.close();
  }

  @Override
  public User create(OrgId org, UserId id, String email, Role role, Secret password) {
    String address = checkedEmail(email);
    checkPassword(address, password);
    String hash = await(hash(password));
    return changing(
        () ->
            database
                .forOrganisation(org)
                .write(
                    Deadline.in(DATABASE),
                    connection -> {
                      insert(connection, org, id, address, role, hash);
                      User user =
                          select(connection, org, id)
                              .orElseThrow(
                                  () -> ApiKeys.invalid("user_id_taken", "the user id is taken"));
                      if (!user.email().equals(address)) {
                        throw ApiKeys.invalid(
                            "user_id_taken", "the user id belongs to another account");
                      }
                      return user;
                    })
                .value());
  }

  @Override
  public List<User> list(OrgId org) {
    return database
        .forOrganisation(org)
        .read(
            Consistency.caller(database),
            Deadline.in(DATABASE),
            connection -> {
              try (PreparedStatement select =
                  connection.prepareStatement(
                      "SELECT id, org, email, role, created_at FROM users WHERE org = ?"
                          + " ORDER BY lower(email)")) {
                select.setObject(1, org.value());
                try (ResultSet row = select.executeQuery()) {
                  List<User> users = new ArrayList<>();
                  while (row.next()) {
                    users.add(user(row));
                  }
                  return users;
                }
              }
            });
  }

  @Override
  public void changePassword(OrgId org, UserId id, Secret password, Optional<SessionId> except) {
    User user =
        database
            .forOrganisation(org)
            .read(
                Consistency.strong(),
                Deadline.in(DATABASE),
                connection -> select(connection, org, id))
            .orElseThrow(() -> unknown(id));
    checkPassword(user.email(), password);
    String hash = await(hash(password));
    // Sessions end first: should the store be away, nothing has changed yet.
    sessions.get().removeAll(id.toString(), except);
    boolean isChanged =
        database
            .forOrganisation(org)
            .write(Deadline.in(DATABASE), connection -> updateHash(connection, org, id, hash))
            .value();
    if (!isChanged) {
      throw unknown(id);
    }
    endSessions(id, except);
  }

  @Override
  public void remove(OrgId org, UserId id) {
    sessions.get().removeAll(id.toString(), Optional.empty());
    var unused =
        database
            .forOrganisation(org)
            .write(
                Deadline.in(DATABASE),
                connection -> {
                  delete(connection, org, id);
                  return true;
                });
    endSessions(id, Optional.empty());
  }

  // One that began between the first look and the change; the account or its old password is gone
  // by now, so none can follow.
  private void endSessions(UserId id, Optional<SessionId> except) {
    try {
      sessions.get().removeAll(id.toString(), except);
    } catch (RuntimeException e) {
      log.warn("sessions of user {} begun a moment ago may go on: {}", id, e.getMessage());
    }
  }

  private static void delete(Connection connection, OrgId org, UserId id) throws SQLException {
    // All administrators are locked, so that the last two can't remove each other.
    try (PreparedStatement admins =
        connection.prepareStatement(
            "SELECT id FROM users WHERE org = ? AND role = 'ADMIN' ORDER BY id FOR UPDATE")) {
      admins.setObject(1, org.value());
      try (ResultSet row = admins.executeQuery()) {
        int others = 0;
        boolean isAdmin = false;
        while (row.next()) {
          if (KeyTable.uuid(row, 1).equals(id.value())) {
            isAdmin = true;
          } else {
            others++;
          }
        }
        if (isAdmin && others == 0) {
          throw ApiKeys.invalid(
              "last_administrator", "the last administrator of an organisation can't be removed");
        }
      }
    }
    try (PreparedStatement delete =
        connection.prepareStatement("DELETE FROM users WHERE id = ? AND org = ?")) {
      delete.setObject(1, id.value());
      delete.setObject(2, org.value());
      delete.executeUpdate();
    }
  }

  /** The account of an e-mail address, whatever its organisation. Blocks. */
  Optional<Account> find(String email) {
    Database.SqlWork<Optional<Account>> work =
        connection -> {
          try (PreparedStatement select =
              connection.prepareStatement(
                  "SELECT id, org, email, role, created_at, password_hash FROM users"
                      + " WHERE lower(email) = lower(?)")) {
            select.setString(1, email);
            try (ResultSet row = select.executeQuery()) {
              return row.next()
                  ? Optional.of(new Account(user(row), KeyTable.text(row, 6)))
                  : Optional.empty();
            }
          }
        };
    try {
      return fleet.read(Consistency.strong(), Deadline.in(LOOKUP), work);
    } catch (ConexorException e) {
      if (e.blame() != Blame.DEPENDENCY) {
        throw e;
      }
      return fleet.read(Consistency.eventual(MAX_LAG), Deadline.in(LOOKUP), work);
    }
  }

  /** Checks a password on a hashing thread; takes as long for nobody's. */
  CompletableFuture<Boolean> matches(Secret password, Optional<Account> account) {
    return hashing.submit(() -> passwords.matches(password, account.map(Account::passwordHash)));
  }

  /** Replaces a hash that was made with yesterday's parameters, if anything is to be done. */
  void modernise(Account account, Secret password) {
    if (!Passwords.isOutdated(account.passwordHash())) {
      return;
    }
    OrgId org = account.user().org();
    UserId id = account.user().id();
    var unused =
        hash(password)
            .thenAccept(
                hash -> {
                  var unusedWritten =
                      database
                          .forOrganisation(org)
                          .write(
                              Deadline.in(DATABASE),
                              connection -> updateHash(connection, org, id, hash));
                })
            .exceptionally(
                failure -> {
                  log.debug(
                      "a password hash is renewed at the next log-in: {}", failure.toString());
                  return null;
                });
  }

  CompletableFuture<String> hash(Secret password) {
    return hashing.submit(() -> passwords.hash(password));
  }

  /** Whether there is an administrator anywhere. Blocks. */
  boolean hasAdministrator() {
    return fleet.read(Consistency.strong(), Deadline.in(DATABASE), People::hasAdministrator);
  }

  private static boolean hasAdministrator(Connection connection) throws SQLException {
    try (PreparedStatement select =
            connection.prepareStatement("SELECT 1 FROM users WHERE role = 'ADMIN' LIMIT 1");
        ResultSet row = select.executeQuery()) {
      return row.next();
    }
  }

  /**
   * Creates an organisation with its first administrator in one transaction; empty when somebody
   * else was faster. Blocks.
   */
  Optional<OrgId> found(String slug, String name, String email, String hash) {
    OrgId org = OrgId.random();
    return changing(
        () ->
            fleet
                .write(
                    Deadline.in(DATABASE),
                    connection -> {
                      try (PreparedStatement lock =
                          connection.prepareStatement("SELECT pg_advisory_xact_lock(?)")) {
                        lock.setLong(1, SETUP_LOCK);
                        lock.executeQuery().close();
                      }
                      if (hasAdministrator(connection)) {
                        return Optional.<OrgId>empty();
                      }
                      try (PreparedStatement insert =
                          connection.prepareStatement(
                              "INSERT INTO organisations (id, slug, name) VALUES (?, ?, ?)")) {
                        insert.setObject(1, org.value());
                        insert.setString(2, slug);
                        insert.setString(3, name);
                        insert.executeUpdate();
                      }
                      insert(connection, org, UserId.random(), email, Role.ADMIN, hash);
                      return Optional.of(org);
                    })
                .value());
  }

  String checkedEmail(String email) {
    String address = email.strip().toLowerCase(Locale.ROOT);
    if (!EMAIL.matcher(address).matches()) {
      throw ApiKeys.invalid("email_invalid", "this is not an e-mail address");
    }
    return address;
  }

  void checkPassword(String email, Secret password) {
    String text = password.reveal();
    int min = settings.passwordLengthMin();
    if (text.codePointCount(0, text.length()) < min) {
      throw ApiKeys.invalid("password_weak", "a password has at least " + min + " characters");
    }
    if (isTooLong(password)) {
      throw ApiKeys.invalid(
          "password_long", "a password has at most " + Passwords.MAX_BYTES + " bytes");
    }
    if (text.equalsIgnoreCase(email) || text.codePoints().distinct().count() < 4) {
      throw ApiKeys.invalid("password_weak", "the password is too easy to guess");
    }
  }

  static boolean isTooLong(Secret password) {
    String text = password.reveal();
    return text.length() > Passwords.MAX_BYTES
        || text.getBytes(StandardCharsets.UTF_8).length > Passwords.MAX_BYTES;
  }

  private static void insert(
      Connection connection, OrgId org, UserId id, String email, Role role, String hash)
      throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO users (id, org, email, role, password_hash) VALUES (?, ?, ?, ?, ?)"
                + " ON CONFLICT (id) DO NOTHING")) {
      insert.setObject(1, id.value());
      insert.setObject(2, org.value());
      insert.setString(3, email);
      insert.setString(4, role.name());
      insert.setString(5, hash);
      insert.executeUpdate();
    }
  }

  private static boolean updateHash(Connection connection, OrgId org, UserId id, String hash)
      throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE users SET password_hash = ? WHERE id = ? AND org = ?")) {
      update.setString(1, hash);
      update.setObject(2, id.value());
      update.setObject(3, org.value());
      return update.executeUpdate() == 1;
    }
  }

  private static Optional<User> select(Connection connection, OrgId org, UserId id)
      throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id, org, email, role, created_at FROM users WHERE id = ? AND org = ?")) {
      select.setObject(1, id.value());
      select.setObject(2, org.value());
      try (ResultSet row = select.executeQuery()) {
        return row.next() ? Optional.of(user(row)) : Optional.empty();
      }
    }
  }

  private static User user(ResultSet row) throws SQLException {
    return new User(
        new UserId(KeyTable.uuid(row, 1)),
        new OrgId(KeyTable.uuid(row, 2)),
        KeyTable.text(row, 3),
        Role.valueOf(KeyTable.text(row, 4)),
        KeyTable.instant(row, 5).orElse(Instant.EPOCH));
  }

  private static ConexorException unknown(UserId id) {
    return ApiKeys.invalid("user_unknown", "there is no user " + id);
  }

  private interface Change<T> {
    T run();
  }

  /** Turns the refusals of the tables into sentences. */
  private static <T> T changing(Change<T> change) {
    try {
      return change.run();
    } catch (SqlFailedException e) {
      if (!e.sqlState().equals("23505")) {
        throw e;
      }
      String message = e.text();
      if (message.contains("organisations_slug_taken")) {
        throw ApiKeys.invalid("slug_taken", "an organisation of this name exists already");
      }
      if (message.contains("users_email_taken")) {
        throw ApiKeys.invalid("email_taken", "an account with this e-mail address exists already");
      }
      throw e;
    }
  }

  private static <T> T await(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof ConexorException cause) {
        throw cause;
      }
      throw new ConexorException(
          Blame.BUG, Applied.NO, "internal", "a password could not be hashed", e);
    }
  }
}
