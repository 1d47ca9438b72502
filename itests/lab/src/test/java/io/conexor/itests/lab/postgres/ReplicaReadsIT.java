package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Consistency;
import io.conexor.api.health.Health;
import io.conexor.database.PostgresDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What reads see of replicas that lag, hang or go. {@code -Dconexor.full=true}: full lengths. */
class ReplicaReadsIT {

  private static final Logger log = LoggerFactory.getLogger(ReplicaReadsIT.class);
  private static final boolean FULL = Boolean.getBoolean("conexor.full");
  private static final int READS = FULL ? 100_000 : 6_000;

  /** Beside other tests on two cores anything may take seconds. */
  private static final long LONGEST_MILLIS = FULL ? 1_000 : 5_000;

  private static final Consistency ANY = Consistency.eventual(Duration.ofSeconds(1));

  private static StreamingLab lab;
  private PostgresDatabase one;
  private PostgresDatabase other;
  private Traffic traffic;

  @BeforeAll
  static void startLab() {
    lab = StreamingLab.start(2);
  }

  @AfterAll
  static void stopLab() {
    if (lab != null) {
      lab.close();
    }
  }

  @BeforeEach
  void open() {
    one = PostgresDatabase.open(lab.endpoints(), Map.of("lag.max.ms", "1000"));
    other = PostgresDatabase.open(lab.endpoints(), Map.of("lag.max.ms", "1000"));
    traffic = new Traffic(List.of(one, other));
    lab.awaitStreaming(lab.server(0), 2);
    await().atMost(Duration.ofSeconds(20)).until(() -> isHealthy(one) && isHealthy(other));
  }

  @AfterEach
  void close() {
    traffic.close();
    one.close();
    other.close();
  }

  @Test
  void eventual_reads_go_to_the_replicas() {
    Map<Integer, Integer> ports = whoAnswers(one, ANY, 500);

    log.info("500 eventual reads by port: {}, primary {}", ports, lab.server(0).port());
    assertThat(ports.getOrDefault(lab.server(0).port(), 0)).isLessThanOrEqualTo(100);
    assertThat(whoAnswers(one, Consistency.strong(), 20).keySet())
        .containsExactly(lab.server(0).port());
  }

  @Test
  void nobody_misses_its_own_write_while_replicas_pause_and_come_back() throws Exception {
    readTheirWrites("read your writes", traffic, READS);
  }

  /** A pooler hides which server answers, so that each read has to ask. */
  @Test
  void nobody_misses_its_own_write_behind_poolers() throws Exception {
    Map<String, String> settings = Map.of("pooler", "transaction");
    try (PoolerLab poolers =
            PoolerLab.before(lab.servers().stream().map(PgServer::endpoint).toList());
        PostgresDatabase pooled = PostgresDatabase.open(poolers.poolers(), settings);
        PostgresDatabase beside = PostgresDatabase.open(poolers.poolers(), settings);
        Traffic through = new Traffic(List.of(pooled, beside))) {
      await().atMost(Duration.ofSeconds(20)).until(() -> isHealthy(pooled) && isHealthy(beside));
      readTheirWrites("read your writes, PgBouncer", through, READS / 3);
    }
  }

  private static void readTheirWrites(String what, Traffic traffic, int reads) throws Exception {
    traffic.readersOfTheirWrites(8, Duration.ZERO);
    int turn = 0;
    while (traffic.reads() < reads) {
      PgServer replica = lab.server(1 + turn++ % 2);
      replica.pauseReplay();
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(700));
      replica.resumeReplay();
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(300));
    }
    Traffic.Outcome outcome = traffic.finish();

    log.info("{}: {}", what, outcome);
    assertThat(outcome.staleReads()).isZero();
    assertThat(outcome.failedReads()).isZero();
    assertThat(outcome.lost()).isZero();
  }

  @Test
  void with_all_replicas_behind_the_primary_answers() {
    lab.server(1).pauseReplay();
    lab.server(2).pauseReplay();
    try {
      CommitToken token = traffic.write(0, 1);

      assertThat(traffic.count(1, Consistency.session(token), 1)).isEqualTo(1);
      assertThat(whoAnswers(other, Consistency.session(token), 5).keySet())
          .containsExactly(lab.server(0).port());
    } finally {
      lab.server(1).resumeReplay();
      lab.server(2).resumeReplay();
    }
  }

  @Test
  void one_replica_that_caught_up_does_not_vouch_for_the_other() {
    lab.server(2).pauseReplay();
    try {
      CommitToken token = traffic.write(0, 1);
      await()
          .atMost(Duration.ofSeconds(20))
          .until(
              () ->
                  whoAnswers(other, Consistency.session(token), 1)
                      .containsKey(lab.server(1).port()));

      assertThat(whoAnswers(other, Consistency.session(token), 100).keySet())
          .doesNotContain(lab.server(2).port());
    } finally {
      lab.server(2).resumeReplay();
    }
  }

  @Test
  void an_older_token_of_the_same_session_does_not_take_back_a_newer_one() {
    CommitToken first = traffic.write(0, 1);
    lab.server(1).pauseReplay();
    lab.server(2).pauseReplay();
    try {
      CommitToken second = traffic.write(1, 2);

      CommitToken merged = second.orLater(first);
      assertThat(merged).isEqualTo(first.orLater(second)).isEqualTo(second);
      assertThat(traffic.count(0, Consistency.session(merged), 2)).isEqualTo(1);
    } finally {
      lab.server(1).resumeReplay();
      lab.server(2).resumeReplay();
    }
  }

  @Test
  void a_lagging_replica_gets_no_reads_until_it_has_caught_up() {
    PgServer slow = lab.server(2);
    slow.pauseReplay();
    traffic.write(0, 1);
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> one.check().reason().contains(slow.endpoint() + " is "));

    assertThat(one.check().status()).isEqualTo(Health.Status.DEGRADED);
    assertThat(one.check().details().get(slow.endpoint().toString()))
        .matches("REPLICA, timeline 1, lag \\d{4,} ms, [1-9]\\d* bytes behind");
    assertThat(whoAnswers(one, Consistency.eventual(Duration.ofHours(1)), 100).keySet())
        .doesNotContain(slow.port());
    slow.resumeReplay();
    await().atMost(Duration.ofSeconds(20)).until(() -> isHealthy(one));
  }

  @Test
  void the_lag_limit_can_be_switched_off() {
    PgServer slow = lab.server(2);
    try (PostgresDatabase careless =
        PostgresDatabase.open(lab.endpoints(), Map.of("lag.max.ms", "0"))) {
      await().atMost(Duration.ofSeconds(20)).until(() -> isHealthy(careless));
      slow.pauseReplay();
      traffic.write(0, 1);
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> one.check().reason().contains(slow.endpoint() + " is "));
      await()
          .atMost(Duration.ofSeconds(20))
          .until(
              () ->
                  whoAnswers(careless, Consistency.eventual(Duration.ofHours(1)), 50)
                      .containsKey(slow.port()));
    } finally {
      slow.resumeReplay();
    }
  }

  @Test
  void a_backend_that_has_seen_no_server_yet_trusts_no_replica() {
    lab.server(1).pauseReplay();
    lab.server(2).pauseReplay();
    try {
      CommitToken token = traffic.write(0, 1);
      for (int i = 0; i < (FULL ? 50 : 5); i++) {
        try (PostgresDatabase fresh = PostgresDatabase.open(lab.endpoints(), Map.of())) {
          int found =
              fresh.read(
                  Consistency.session(token),
                  Deadline.in(Duration.ofSeconds(10)),
                  connection -> count(connection, 1));
          assertThat(found).isEqualTo(1);
        }
      }
    } finally {
      lab.server(1).resumeReplay();
      lab.server(2).resumeReplay();
    }
  }

  @Test
  void a_frozen_replica_stalls_nobody() throws Exception {
    traffic.readers(4, Duration.ofSeconds(1), Duration.ofMillis(1));
    park(1_000);
    lab.server(1).freeze();
    park(2_500);
    lab.server(1).thaw();
    park(500);
    Traffic.Outcome outcome = traffic.finish();

    log.info("frozen replica: {}", outcome);
    assertThat(outcome.failedReads()).isZero();
    assertThat(outcome.longestReadMillis()).isLessThan(LONGEST_MILLIS);
    assertThat(outcome.readGapMillis()).isLessThan(LONGEST_MILLIS);
  }

  @Test
  void a_killed_replica_fails_no_read_and_health_says_why() throws Exception {
    traffic.readers(4, Duration.ofSeconds(1), Duration.ofMillis(1));
    park(1_000);
    lab.server(1).kill();
    await()
        .atMost(Duration.ofSeconds(FULL ? 1 : 10))
        .until(() -> one.check().reason().contains("Connection refused"));
    park(1_000);
    lab.server(1).start();
    await().atMost(Duration.ofSeconds(20)).until(() -> isHealthy(one));
    Traffic.Outcome outcome = traffic.finish();

    log.info("killed replica: {}", outcome);
    assertThat(outcome.failedReads()).isZero();
    assertThat(outcome.longestReadMillis()).isLessThan(LONGEST_MILLIS);
  }

  /** A cancel request would make PostgreSQL report what only the primary has as committed. */
  @Test
  void a_commit_that_the_synchronous_standby_does_not_confirm_is_not_acknowledged() {
    PgServer primary = lab.server(0);
    lab.synchronous(primary, lab.server(1));
    lab.server(1).freeze();
    try {
      ConexorException failure =
          catchThrowableOfType(
              ConexorException.class,
              () ->
                  one.write(
                      Deadline.in(Duration.ofMillis(700)),
                      connection -> {
                        try (var statement = connection.createStatement()) {
                          return statement.executeUpdate("insert into ledger values (77)");
                        }
                      }));

      assertThat(failure).isNotNull();
      assertThat(failure.applied()).isEqualTo(Applied.UNKNOWN);
    } finally {
      lab.server(1).thaw();
      primary.execute("alter system reset synchronous_standby_names");
      primary.execute("select pg_reload_conf()");
    }
  }

  @Test
  void a_read_only_jdbc_connection_reads_from_a_replica_and_another_writes_to_the_primary()
      throws Exception {
    try (Connection connection = one.dataSource().getConnection()) {
      await().atMost(Duration.ofSeconds(20)).until(() -> readsFromAReplica(connection));
      assertThatThrownBy(() -> execute(connection, INSERT)).isInstanceOf(SQLException.class);
      connection.setReadOnly(false);
      connection.setAutoCommit(false);
      execute(connection, INSERT);
      assertThat(port(connection)).isEqualTo(lab.server(0).port());
      assertThatThrownBy(() -> connection.setReadOnly(true)).isInstanceOf(SQLException.class);
      connection.rollback();
      await().atMost(Duration.ofSeconds(20)).until(() -> readsFromAReplica(connection));
    }
    assertThat(traffic.count(0, Consistency.strong(), 5)).isZero();
  }

  @Test
  void a_jdbc_connection_sees_its_own_writes_and_those_whose_token_it_was_given() throws Exception {
    lab.server(1).pauseReplay();
    lab.server(2).pauseReplay();
    try (Connection writer = one.dataSource().getConnection();
        Connection reader = other.dataSource().getConnection()) {
      execute(writer, INSERT);
      writer.setReadOnly(true);
      reader.setReadOnly(true);
      reader.setClientInfo("conexor.token", writer.getClientInfo("conexor.token"));

      assertThat(count(writer, 5)).isEqualTo(1);
      assertThat(count(reader, 5)).isEqualTo(1);
    } finally {
      lab.server(1).resumeReplay();
      lab.server(2).resumeReplay();
    }
  }

  private static boolean readsFromAReplica(Connection connection) throws SQLException {
    connection.setReadOnly(false);
    connection.setReadOnly(true);
    int port = port(connection);
    if (!connection.getAutoCommit()) {
      connection.commit();
    }
    return port != lab.server(0).port();
  }

  private static final String INSERT = "insert into ledger values (5)";

  private static void execute(Connection connection, String sql) throws SQLException {
    try (var statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static int port(Connection connection) throws SQLException {
    try (var statement = connection.createStatement();
        ResultSet row = statement.executeQuery("select inet_server_port()")) {
      row.next();
      return row.getInt(1);
    }
  }

  private static boolean isHealthy(PostgresDatabase database) {
    return database.check().status() == Health.Status.HEALTHY
        && database.check().details().values().stream().filter(v -> v.startsWith("REPLICA")).count()
            == 2;
  }

  private static Map<Integer, Integer> whoAnswers(
      PostgresDatabase database, Consistency consistency, int times) {
    Map<Integer, Integer> ports = new TreeMap<>();
    for (int i = 0; i < times; i++) {
      ports.merge(
          database.read(
              consistency,
              Deadline.in(Duration.ofSeconds(10)),
              connection -> {
                try (var statement = connection.createStatement();
                    ResultSet row = statement.executeQuery("select inet_server_port()")) {
                  row.next();
                  return row.getInt(1);
                }
              }),
          1,
          Integer::sum);
    }
    return ports;
  }

  private static int count(Connection connection, long id) throws SQLException {
    try (var statement = connection.createStatement();
        ResultSet row = statement.executeQuery("select count(*) from ledger where id = " + id)) {
      row.next();
      return row.getInt(1);
    }
  }

  private static void park(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (System.nanoTime() - until < 0) {
      LockSupport.parkNanos(until - System.nanoTime());
    }
  }
}
